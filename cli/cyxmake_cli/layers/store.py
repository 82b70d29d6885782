"""The layers of one user: directories named by what is in them, shared by all projects.

A layer is made beside the others and renamed into place: whoever sees it sees it whole. Whatever a
crash or a full disk leaves is a directory that nobody reads, and that the next one removes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol

from cyxmake_cli.layers.apt import Apt
from cyxmake_cli.layers.layout import layout_of
from cyxmake_cli.layers.model import Layer, LayerError, LayerPlan, Layout, Package
from cyxmake_cli.layers.relocate import names_of_files, relocate
from cyxmake_cli.tools.packages import checked
from cyxmake_common.errors import ConfigError, UsageError
from cyxmake_common.execution.process import ProcessRequest, run_process

MANAGERS: Final = (Apt.name,)
"""Managers whose packages can be layers."""

_MANIFEST: Final = "layer.json"
_ROOT: Final = "root"
_MAKING: Final = ".making-"
_FETCHED: Final = ".fetched"
_OLD_SECONDS: Final = 86_400
"""What is being made for longer than this was left behind."""


class Archive(Protocol):
    """Where packages come from."""

    def plan(self, wanted: Sequence[str]) -> LayerPlan:
        """Return what a layer with some packages takes; raises LayerError."""
        ...

    def lacking(self, plan: LayerPlan) -> tuple[Package, ...]:
        """Return what a layer that was made elsewhere needs beside its packages here."""
        ...

    def fetch(self, packages: Sequence[Package], folder: Path) -> dict[Package, Path]:
        """Fetch packages into an empty folder; raises LayerError."""
        ...


class LayerStore:
    """Every layer below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._archives: dict[str, Archive] = {}

    def __repr__(self) -> str:
        return f"<LayerStore {self.directory}>"

    def plan(self, manager: str, packages: Sequence[str]) -> LayerPlan:
        """Return what a layer would be made of, and fetch nothing; raises CyxError."""
        if not packages:
            raise UsageError("no package is named", next_step="name one: libfmt-dev")
        return self._archive(manager).plan(tuple(map(checked, packages)))

    def obtain(self, manager: str, packages: Sequence[str]) -> Layer:
        """Return the layer of some packages and what they need here; raises CyxError."""
        return self.make(self.plan(manager, packages))

    def lacking(self, plan: LayerPlan) -> tuple[Package, ...]:
        """Return what a layer that was made elsewhere needs beside its packages here."""
        return self._archive(plan.manager).lacking(plan)

    def make(self, plan: LayerPlan) -> Layer:
        """Return the layer of a plan, made if it is not here yet; raises LayerError."""
        found = self.get(plan)
        if found is not None:
            return found
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._drop_leavings()
            with tempfile.TemporaryDirectory(prefix=_MAKING, dir=self.directory) as scratch:
                self._make(plan, Path(scratch))
        except OSError as error:
            raise _cannot(f"the layer of {', '.join(plan.wanted)}", error) from error
        made = self.get(plan)
        if made is None:
            raise LayerError(f"the layer of {', '.join(plan.wanted)} is gone as soon as it is made")
        return made

    def get(self, plan: LayerPlan) -> Layer | None:
        """Return the layer of a plan if it is here; it then counts as used now."""
        folder = self.directory / plan.digest
        found = _read(folder)
        if found is None:
            return None
        with contextlib.suppress(OSError):
            os.utime(folder / _MANIFEST)
        return Layer(plan, folder / _ROOT, found[1])

    def all(self) -> list[tuple[Layer, float, int]]:
        """Return the layers here with the time of their last use and their size, oldest first."""
        result = []
        for folder in self._folders():
            found = _read(folder)
            if found is not None:
                used = (folder / _MANIFEST).stat().st_mtime
                result.append((Layer(found[0], folder / _ROOT, found[1]), used, found[2]))
        return sorted(result, key=lambda each: each[1])

    def drop_fetched(self, before: float, *, dry_run: bool = False) -> int:
        """Remove packages as they were fetched that nothing needed since; returns their bytes."""
        size = 0
        for path in (self.directory / _FETCHED).glob("*.deb"):
            with contextlib.suppress(OSError):
                found = path.stat()
                if found.st_mtime <= before:
                    size += found.st_size
                    if not dry_run:
                        path.unlink()
        return size

    def drop(self, digest: str) -> bool:
        """Remove a layer, at once for whoever looks; tells whether there was one."""
        folder = self.directory / digest
        if folder not in self._folders():
            return False
        going = self.directory / f"{_MAKING}{digest}-{os.getpid()}"
        try:
            folder.rename(going)
        except OSError as error:
            raise _cannot(f"the layer {digest}", error, "removed") from error
        shutil.rmtree(going, ignore_errors=True)
        return True

    # ── making ──────────────────────────────────────────────────────────────────────────────────

    def _make(self, plan: LayerPlan, scratch: Path) -> None:
        debs, made = scratch / "debs", scratch / "layer"
        tree = made / _ROOT
        debs.mkdir()
        tree.mkdir(parents=True)
        files = self._fetched(plan, debs)
        for package in plan.packages:
            _unpack(package, files[package], tree)
        final = str(self.directory / plan.digest / _ROOT)
        relocate(tree, final)
        size = sum(path.lstat().st_size for path in tree.rglob("*") if not path.is_dir())
        layout = layout_of(names_of_files(tree))
        manifest = {"plan": asdict(plan), "layout": asdict(layout), "size": size, "root": final}
        (made / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        target = self.directory / plan.digest
        try:
            made.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            if _read(target) is None:  # something else under the layer's name: set it aside
                target.rename(scratch / "damaged")
                made.rename(target)

    def _fetched(self, plan: LayerPlan, scratch: Path) -> dict[Package, Path]:
        """Return the packages' files, each compared with its digest just now."""
        kept = self.directory / _FETCHED
        kept.mkdir(exist_ok=True)
        files = {package: kept / f"{package.sha256}.deb" for package in plan.packages}
        lacking = [package for package, path in files.items() if not _is_good(package, path)]
        if lacking:
            for package, path in self._archive(plan.manager).fetch(lacking, scratch).items():
                verify(package, path)
                path.replace(files[package])
        for path in files.values():
            os.utime(path)
        return files

    def _archive(self, manager: str) -> Archive:
        if manager not in MANAGERS:
            raise UsageError(
                f"packages of {manager} cannot be layers, only those of {', '.join(MANAGERS)}",
                next_step=f"use {manager} itself: `cyxmake packages install --with {manager} NAME`",
            )
        return self._archives.setdefault(manager, Apt(self.directory.parent / "apt"))

    def _folders(self) -> list[Path]:
        try:
            entries = sorted(self.directory.iterdir())
        except OSError:
            return []
        return [entry for entry in entries if not entry.name.startswith(".") and entry.is_dir()]

    def _drop_leavings(self) -> None:
        before = time.time() - _OLD_SECONDS
        for entry in self.directory.glob(f"{_MAKING}*"):
            with contextlib.suppress(OSError):
                if entry.stat().st_mtime < before:
                    shutil.rmtree(entry, ignore_errors=True)


def verify(package: Package, path: Path) -> None:
    """Raise LayerError unless a file is the very package that the archive names."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        raise LayerError(
            f"{package.name} {package.version} is not what its archive names:"
            f" SHA-256 {found[:12]}… instead of {package.sha256[:12]}…",
            next_step="nothing was unpacked; check the package sources of this machine",
        )


def _is_good(package: Package, path: Path) -> bool:
    try:
        verify(package, path)
    except (OSError, LayerError):
        return False
    return True


def _unpack(package: Package, path: Path, tree: Path) -> None:
    """Unpack a package's files, and run nothing of it."""
    environ = {**os.environ, "LC_ALL": "C"}
    argv = ("dpkg-deb", "--extract", str(path), str(tree))
    done = asyncio.run(run_process(ProcessRequest(argv, environment=environ, timeout=600)))
    if not done.succeeded:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise LayerError(f"{package.name} cannot be unpacked: {said[0] if said else 'dpkg-deb'}")


def _read(folder: Path) -> tuple[LayerPlan, Layout, int] | None:
    """Read a layer's manifest; None: there is no whole layer."""
    try:
        value = json.loads((folder / _MANIFEST).read_bytes())
        plan, layout = _plan_of(value["plan"]), _layout_of(value["layout"])
        size = int(value["size"])
    except (OSError, ValueError, KeyError, TypeError, ConfigError):
        return None
    # Its texts name the place it was made for: elsewhere it is none.
    if plan.digest != folder.name or value.get("root") != str(folder / _ROOT):
        return None
    return plan, layout, size


def _plan_of(value: dict[str, Any]) -> LayerPlan:
    packages = tuple(Package.of(each) for each in value["packages"])
    wanted = tuple(map(str, value["wanted"]))
    return LayerPlan(str(value["manager"]), str(value["system"]), wanted, packages)


def _layout_of(value: dict[str, Any]) -> Layout:
    data = tuple((str(name), str(place)) for name, place in value.pop("data", ()))
    return Layout(**{key: tuple(map(str, names)) for key, names in value.items()}, data=data)


def _cannot(what: str, error: OSError, done: str = "made") -> LayerError:
    hint = "free some space" if error.errno == errno.ENOSPC else "look at the cache directory"
    return LayerError(f"{what} cannot be {done}: {error.strerror or error}", next_step=hint)
