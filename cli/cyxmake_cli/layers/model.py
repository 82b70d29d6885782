"""What a layer is: packages of an archive, unpacked into one directory that its content names.

Knows no files and no package manager.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from cyxmake_common.errors import ConfigError, CyxError, ExitStatus

FOLDER: Final = "layers"
"""Where layers stand, below the cache directory."""
RECIPE: Final = 1
"""Counts the ways of making a directory out of packages: another way, another name."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")
_VERSION: Final = re.compile(r"[A-Za-z0-9.+:~-]+\Z")
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")


class LayerError(CyxError):
    """A layer cannot be had: no such package, no network, a wrong hash, a full disk."""

    code = "layer"
    exit_status = ExitStatus.BUILD_FAILED


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One package of an archive, in one version, with the digest of its file."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int = 0
    """Bytes to fetch."""
    installed_size: int = 0
    """Bytes once unpacked, as the archive says."""

    @staticmethod
    def of(value: Any) -> Package:
        """Read one from a record; raises ConfigError for what is none."""
        try:
            found = Package(
                str(value["name"]),
                str(value["version"]),
                str(value["architecture"]),
                str(value["sha256"]),
                int(value.get("size", 0)),
                int(value.get("installed_size", 0)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"no package of a layer: {value!r}") from error
        checks = (
            (_NAME, found.name), (_VERSION, found.version), (_WORD, found.architecture),
            (_SHA256, found.sha256),
        )  # fmt: skip
        if not all(pattern.match(text) for pattern, text in checks):
            raise ConfigError(f"no package of a layer: {value!r}")
        return found


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """What a layer is to be made of: what was asked for, and every package that this takes.

    `system` is the release and processor whose archive has them: `debian-bookworm-amd64`.
    """

    manager: str
    system: str
    wanted: tuple[str, ...]
    packages: tuple[Package, ...]

    @property
    def digest(self) -> str:
        """Return the name of the directory that comes of it."""
        text = "\n".join(
            f"{p.name} {p.version} {p.architecture} {p.sha256}" for p in sorted(self.packages)
        )
        return hashlib.sha256(f"{RECIPE}\n{self.manager}\n{text}".encode()).hexdigest()[:32]

    @property
    def download_bytes(self) -> int:
        """Return how much there is to fetch."""
        return sum(package.size for package in self.packages)


def together(plans: Sequence[LayerPlan]) -> LayerPlan:
    """Return one layer with the packages of several; of two versions the first one's counts.

    Programs look for their data, and libraries for others, beside themselves.
    """
    packages: dict[tuple[str, str], Package] = {}
    for plan in plans:
        for package in plan.packages:
            packages.setdefault((package.name, package.architecture), package)
    wanted = dict.fromkeys(name for plan in plans for name in plan.wanted)
    return replace(plans[0], wanted=tuple(wanted), packages=tuple(sorted(packages.values())))


@dataclass(frozen=True, slots=True)
class Layout:
    """Directories of a layer that tools look into, relative to its root, in order of search."""

    include: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    pkg_config: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    aclocal: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    perl: tuple[str, ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    """Variables that a program of the layer reads to find its own data: name and directory."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that stands ready below `root`."""

    plan: LayerPlan
    root: Path
    layout: Layout = field(default_factory=Layout)

    @property
    def digest(self) -> str:
        """Return the layer's name."""
        return self.plan.digest

    def __repr__(self) -> str:
        return f"<Layer {self.digest[:8]} {' '.join(self.plan.wanted)}>"
