"""The layers that a project builds with, written down in it: `.cyxmake/layers.toml`.

Knows nothing of archives and stores. The file is meant for version control: it names packages,
versions and digests, so that every clone builds with the same files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.layers.model import LayerPlan, Package
from cyxmake_cli.tools.packages import checked
from cyxmake_common.errors import ConfigError, UsageError

RECORD: Final = "layers.toml"
_VERSION: Final = 1
_HEAD: Final = """\
# Packages that this project builds with, unpacked by CyxMake instead of installed.
# Made by `cyxmake layer`; keep it under version control, and every clone builds with the same.
version = 1
"""


class LayerRecord:
    """What one project has written down."""

    def __init__(self, source: Path) -> None:
        self._own = OwnFolder(source)
        self.path = self._own.path / RECORD

    def __repr__(self) -> str:
        return f"<LayerRecord {self.path}>"

    def read(self) -> tuple[LayerPlan, ...]:
        """Return the layers in the order they are searched; raises ConfigError."""
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.path} cannot be read: {error}") from error
        try:
            return parse(text)
        except (tomllib.TOMLDecodeError, ConfigError, UsageError) as error:
            raise ConfigError(
                f"{self.path}: {error}", next_step="take the version from version control"
            ) from error

    def snapshot(self) -> bytes | None:
        """Return the file as it is; None: there is none. `restore` brings it back."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def restore(self, before: bytes | None) -> None:
        """Make the file what it was, or remove it where there was none."""
        if before is not None:
            self._own.write_bytes(RECORD, before)
            return
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be removed: {error.strerror}") from error

    def add(self, plan: LayerPlan) -> None:
        """Write a layer down, in place of an earlier one of the same packages."""
        kept = [each for each in self.read() if not _same(each, plan)]
        self._write((plan, *kept))

    def remove(self, names: Sequence[str]) -> tuple[LayerPlan, ...]:
        """Take out the layers that were asked for by these names; returns them."""
        before = self.read()
        gone = tuple(each for each in before if set(each.wanted) & set(names))
        if gone:
            self._write(tuple(each for each in before if each not in gone))
        return gone

    def _write(self, plans: Sequence[LayerPlan]) -> None:
        if not plans:
            self.restore(None)
            return
        self._own.write_bytes(RECORD, render(plans).encode("utf-8"))
        self._own.keep_visible(RECORD)


def _same(one: LayerPlan, other: LayerPlan) -> bool:
    return (one.manager, one.system, one.wanted) == (other.manager, other.system, other.wanted)


def render(plans: Sequence[LayerPlan]) -> str:
    """Return the text of the record; every value in it was checked when it was made."""
    lines = [_HEAD]
    for plan in plans:
        wanted = ", ".join(f'"{name}"' for name in plan.wanted)
        lines += [
            "[[layer]]",
            f'manager = "{plan.manager}"',
            f'system = "{plan.system}"',
            f"wanted = [{wanted}]",
            f'digest = "{plan.digest}"',
            "packages = [",
        ]
        for p in plan.packages:
            lines.append(
                f'    {{name = "{p.name}", version = "{p.version}",'
                f' architecture = "{p.architecture}", sha256 = "{p.sha256}",'
                f" size = {p.size}, installed_size = {p.installed_size}}},"
            )
        lines += ["]", ""]
    return "\n".join(lines)


def parse(text: str) -> tuple[LayerPlan, ...]:
    """Read the text of the record; raises TOMLDecodeError and ConfigError."""
    value = tomllib.loads(text)
    if value.get("version") != _VERSION:
        raise ConfigError(f"its version is {value.get('version')!r}, and only {_VERSION} is known")
    layers = value.get("layer", [])
    if not isinstance(layers, list):
        raise ConfigError("layer is no list of tables")
    return tuple(map(_plan, layers))


def _plan(value: Any) -> LayerPlan:
    try:
        plan = LayerPlan(
            checked(str(value["manager"])),
            checked(str(value["system"])),
            tuple(checked(str(name)) for name in value["wanted"]),
            tuple(sorted(map(Package.of, value["packages"]))),
        )
        digest = value["digest"]
    except (KeyError, TypeError) as error:
        raise ConfigError(f"a layer without {error}") from error
    if plan.digest != digest:
        raise ConfigError(
            f"the layer {' '.join(plan.wanted)} has other packages than its digest says"
        )
    return plan
