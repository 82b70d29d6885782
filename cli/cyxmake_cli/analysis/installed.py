"""Whether dependencies are installed here: looks where each ecosystem keeps things; starts nothing.

Knows directories, not package managers. What cannot be told by looking is None.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

from cyxmake_cli.analysis.model import Dependency
from cyxmake_cli.systems.manifests import json_object

_PREFIXES: Final = ("/usr", "/usr/local", "/opt/homebrew", "/opt/local")
_DIST_INFO: Final = re.compile(r"^(.+?)-([^-]+)\.(?:dist|egg)-info$")
_PC_VERSION: Final = re.compile(r"^Version:\s*(\S+)", re.MULTILINE)

Found = tuple[bool | None, str]
"""Whether it is installed, and which version, if that can be seen."""
_MISSING: Final[Found] = (False, "")
_UNKNOWN: Final[Found] = (None, "")


class Installed:
    """What is installed on this machine, as far as a project at `root` would find it."""

    def __init__(self, root: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._root = root
        self._environ = environ
        self._home = Path(environ.get("HOME") or Path.home())

    def __repr__(self) -> str:
        return f"<Installed for {self._root}>"

    def check(self, dependencies: Iterable[Dependency]) -> tuple[Dependency, ...]:
        """Return the dependencies with what is known of them here."""
        asked: dict[str, Callable[[Dependency], Found]] = {
            "pkg-config": self._pkg_config,
            "cmake": self._cmake,
            "library": self._library,
            "cargo": self._cargo,
            "npm": self._npm,
            "python": self._python,
            "go": self._go,
            "maven": self._maven,
            "vcpkg": self._vcpkg,
        }
        checked = []
        for one in dependencies:
            ask = asked.get(one.ecosystem)
            here, version = ask(one) if ask else _UNKNOWN
            checked.append(replace(one, installed=here, version=version))
        return tuple(checked)

    @cached_property
    def _prefixes(self) -> list[Path]:
        named = (self._environ.get("CMAKE_PREFIX_PATH") or "").split(os.pathsep)
        places = [p for p in (*named, str(self._home / ".local"), *_PREFIXES) if p]
        return [path for path in map(Path, dict.fromkeys(places)) if path.is_dir()]

    @cached_property
    def _library_folders(self) -> list[Path]:
        found = []
        for prefix in self._prefixes:
            for name in ("lib", "lib64"):
                folder = prefix / name
                if folder.is_dir():
                    found.append(folder)
                    found += [p for p in folder.glob("*-linux-*") if p.is_dir()]
        return found

    @cached_property
    def _pc_files(self) -> dict[str, Path]:
        named = (self._environ.get("PKG_CONFIG_PATH") or "").split(os.pathsep)
        folders = [Path(p) for p in named if p]
        folders += [folder / "pkgconfig" for folder in self._library_folders]
        folders += [prefix / "share/pkgconfig" for prefix in self._prefixes]
        found: dict[str, Path] = {}
        for folder in folders:
            for name in _names(folder):
                if name.endswith(".pc"):
                    found.setdefault(name[:-3].lower(), folder / name)
        return found

    @cached_property
    def _cmake_packages(self) -> set[str]:
        found = set()
        for folder in [*self._library_folders, *(p / "share" for p in self._prefixes)]:
            for name in _names(folder / "cmake"):
                found.add(name.lower())
                found.add(re.sub(r"-?[\d.]+$", "", name).lower())
        return found

    @cached_property
    def _libraries(self) -> set[str]:
        """Return libraries that can be linked against: a runtime alone is not enough."""
        return {
            name[3:].rpartition(".")[0].lower()
            for folder in self._library_folders
            for name in _names(folder)
            if name.startswith("lib") and name.endswith((".so", ".a", ".dylib"))
        }

    def _pkg_config(self, wanted: Dependency) -> Found:
        path = self._pc_files.get(wanted.name.lower())
        if path is None:
            return _MISSING
        match = _PC_VERSION.search(_text(path))
        return True, match[1] if match else ""

    def _cmake(self, wanted: Dependency) -> Found:
        name = wanted.name.lower()
        if name in self._cmake_packages:
            return True, ""
        for other in (name, f"lib{name}", name.removeprefix("lib"), f"{name}2"):
            if other in self._pc_files:
                return self._pkg_config(replace(wanted, name=other))
        return (name.removeprefix("lib") in self._libraries, "")

    def _library(self, wanted: Dependency) -> Found:
        return (wanted.name.lower() in self._libraries, "")

    def _cargo(self, wanted: Dependency) -> Found:
        if (self._root / "vendor" / wanted.name).is_dir():
            return True, ""
        cargo = Path(self._environ.get("CARGO_HOME") or self._home / ".cargo")
        pattern = re.compile(re.escape(wanted.name) + r"-(\d[\w.+-]*)$")
        versions = [
            match[1]
            for registry in _folders(cargo / "registry/src")
            for name in _names(registry)
            if (match := pattern.match(name))
        ]
        return (bool(versions), max(versions, default=""))

    def _npm(self, wanted: Dependency) -> Found:
        place = self._root / Path(wanted.file).parent
        for folder in (place, *place.parents):
            manifest = folder / "node_modules" / wanted.name / "package.json"
            if manifest.is_file():
                return True, str(json_object(_text(manifest)).get("version", ""))
            if folder == self._root:
                break
        return _MISSING

    @cached_property
    def _distributions(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for folder in self._site_packages():
            for name in _names(folder):
                if match := _DIST_INFO.match(name):
                    found.setdefault(_normal(match[1]), match[2])
        return found

    def _site_packages(self) -> Iterable[Path]:
        named = self._environ.get("VIRTUAL_ENV")
        homes = [self._root / ".venv", self._root / "venv", *([Path(named)] if named else [])]
        if not any(home.is_dir() for home in homes):
            python = shutil.which("python3", path=self._environ.get("PATH"))
            homes = [Path(python).resolve().parents[1] if python else Path(sys.prefix)]
        for home in homes:
            yield from home.glob("lib/python3*/site-packages")
            yield from home.glob("lib/python3*/dist-packages")
            yield home / "Lib/site-packages"

    def _python(self, wanted: Dependency) -> Found:
        version = self._distributions.get(_normal(wanted.name))
        return _MISSING if version is None else (True, version)

    def _go(self, wanted: Dependency) -> Found:
        gopath = self._environ.get("GOPATH") or str(self._home / "go")
        cache = Path(self._environ.get("GOMODCACHE") or Path(gopath) / "pkg/mod")
        # Capital letters are written !x there.
        name = re.sub(r"[A-Z]", lambda m: "!" + m[0].lower(), wanted.name)
        if (self._root / "vendor" / wanted.name).is_dir():
            return True, wanted.requirement
        here = (cache / f"{name}@{wanted.requirement}").is_dir()
        return (here, wanted.requirement if here else "")

    def _maven(self, wanted: Dependency) -> Found:
        group, _, artifact = wanted.name.partition(":")
        folder = self._home / ".m2/repository" / group.replace(".", "/") / artifact
        versions = [path.name for path in _folders(folder) if any(path.glob("*.jar"))]
        if wanted.requirement and "$" not in wanted.requirement and wanted.requirement[0].isdigit():
            here = wanted.requirement in versions
            return (here, wanted.requirement if here else "")
        return (bool(versions), max(versions, default=""))

    def _vcpkg(self, wanted: Dependency) -> Found:
        roots = [self._root / "vcpkg_installed"]
        if named := self._environ.get("VCPKG_ROOT"):
            roots.append(Path(named) / "installed")
        for root in roots:
            for triplet in _folders(root):
                if (triplet / "share" / wanted.name).is_dir():
                    return True, ""
        return _MISSING


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names only, thousands of them
    except OSError:
        return []


def _folders(folder: Path) -> list[Path]:
    return [folder / name for name in _names(folder) if (folder / name).is_dir()]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
