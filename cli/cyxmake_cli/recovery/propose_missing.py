"""Proposes fixes for what is missing: files, headers, tools, modules, packages, directories.

Looks at the project through `View` only, and changes nothing. Every package that is proposed is
known to exist; the project's own headers are never taken for a package's.
"""

from __future__ import annotations

import json
import os.path
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from cyxmake_cli.knowledge.names import Manager, Name, NameKind, name_of
from cyxmake_cli.recovery.fixes import (
    SOURCE,
    Alias,
    Fix,
    How,
    MakeDirectory,
    ObtainPackages,
    Restore,
    RunTool,
    SetVariables,
    SystemInstall,
    Variable,
)
from cyxmake_cli.recovery.view import View, system_candidates
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.diagnosis.model import Category, Diagnosis

_MOST_PACKAGES: Final = 2
PYTHON_PLACE: Final = ".cyxmake/python"
"""Where modules that only the build needs are installed."""

_OTHER_NAMES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "python": (("python3",),),
    "python2": (("python3",),),
    "pip": (("pip3",), ("python3", "-m", "pip")),
    "pip3": (("python3", "-m", "pip"),),
    "cc": (("gcc",), ("clang",)),
    "gcc": (("cc",), ("clang",)),
    "clang": (("cc",), ("gcc",)),
    "c++": (("g++",), ("clang++",)),
    "g++": (("c++",), ("clang++",)),
    "clang++": (("c++",), ("g++",)),
    "c99": (("cc", "-std=c99"),),
    "gmake": (("make",),),
    "make": (("gmake",),),
    "lex": (("flex",),),
    "yacc": (("bison", "-y"), ("byacc",)),
    "bison": (("byacc",),),
    "awk": (("gawk",), ("mawk",)),
    "gawk": (("awk",), ("mawk",)),
    "nawk": (("awk",), ("gawk",)),
    "gsed": (("sed",),),
    "gtar": (("tar",),),
    "gpatch": (("patch",),),
    "ginstall": (("install",),),
    "glibtoolize": (("libtoolize",),),
    "glibtool": (("libtool",),),
    "ninja": (("ninja-build",), ("samu",)),
    "ninja-build": (("ninja",),),
    "cmake3": (("cmake",),),
    "pkg-config": (("pkgconf",),),
    "pkgconf": (("pkg-config",),),
    "node": (("nodejs",),),
    "nodejs": (("node",),),
    "sha256": (("sha256sum",),),
    "md5": (("md5sum",),),
    "gmd5sum": (("md5sum",),),
    "ar": (("gcc-ar",), ("llvm-ar",)),
    "ranlib": (("gcc-ranlib",), ("llvm-ranlib",)),
    "ld": (("ld.bfd",), ("ld.gold",), ("ld.lld",)),
    "ex": (("vi", "-e"),),
    "vim": (("vi",),),
}
"""Programs that do the work of another that is not here."""
_SOURCES: Final = ("c", "cc", "cpp", "cxx", "C", "S", "s", "m", "f90", "f")
_VERSIONED: Final = re.compile(
    r"((?:gcc|g\+\+|clang|clang\+\+|cc|c\+\+|python3?|llvm-\w+))-?[\d.]+\Z"
)


def restore_from_version_control(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A file that version control has and somebody removed comes back."""
    facts = cause.facts
    for named in (facts.path, facts.header, facts.target):
        if found := view.gone(named):
            yield Restore((found,))
            return
        stem, _, ending = (named or "").rpartition(".")
        if ending in ("o", "obj", "lo"):
            for suffix in _SOURCES:
                if found := view.gone(f"{stem}.{suffix}"):
                    yield Restore((found,))
                    return
    if facts.module and facts.ecosystem == "python":
        path = facts.module.replace(".", "/")
        for named in (f"{path}.py", f"{path}/__init__.py"):
            if found := view.gone(named):
                yield Restore((found,))
                return


def submodules(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """Submodules that were never fetched are fetched."""
    config = view.text(".gitmodules")
    if config is None or not view.exists(".git") or view.which("git") is None:
        return
    paths = re.findall(r"^\s*path\s*=\s*(.+?)\s*$", config, re.MULTILINE)
    named = cause.facts.path or cause.facts.header or ""
    empty = [p for p in paths if not any(f.startswith(f"{p}/") for f in view.files)]
    asked = [p for p in empty if p in named] or empty
    if asked and (cause.facts.kind == "submodule" or asked != empty or cause.facts.header):
        argv = ("git", "submodule", "update", "--init", "--recursive", "--", *asked)
        yield RunTool(argv, (*asked, ".git/modules", ".git/config"))


def own_header(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A header of the project's own that no search path leads to gets one."""
    header = cause.facts.header
    if not header:
        return
    wanted = PurePosixPath(os.path.normpath(header))
    if wanted.parts[:1] == ("..",):
        return
    suffix = f"/{wanted}"
    found = [f"/{f}"[: -len(suffix)].lstrip("/") for f in view.files if f"/{f}".endswith(suffix)]
    found.sort(key=lambda f: (f.count("/"), "test" in f, f))
    for folder in found[:_MOST_PACKAGES]:
        place = f"{SOURCE}/{folder}".rstrip("/")
        yield SetVariables((Variable("CPATH", place, How.BEFORE),))


def other_name(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A program that is here under another name is called by that."""
    command = PurePosixPath(cause.facts.command or "").name
    known = _OTHER_NAMES.get(command, ())
    if not known and (match := _VERSIONED.match(command)):
        known = ((match[1],), *_OTHER_NAMES.get(match[1], ()))
    for program, *arguments in known:
        if view.which(program):
            yield Alias(command, program, tuple(arguments))


def system_packages(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """Packages of the system that have what is missing: aside if possible, else for everybody."""
    name = name_of(cause)
    if name is None:
        return
    found = system_candidates(view.packages(name))[:_MOST_PACKAGES]
    for candidate in found:
        if candidate.manager is Manager.APT and candidate.package not in view.layered:
            yield ObtainPackages(candidate.manager.value, (candidate.package,))
    for candidate in found[:1]:
        yield SystemInstall(candidate.manager.value, (candidate.package,))


def language_packages(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A module of a language is installed where only this project sees it."""
    name = name_of(cause)
    if name is None:
        return
    if name.kind is NameKind.PYTHON:
        yield from _python_module(name, view)
    elif name.kind is NameKind.NODE and view.exists("package.json"):
        yield from _node_module(name, view)
    elif name.kind is NameKind.RUST and view.exists("Cargo.toml") and not cause.facts.kind:
        yield RunTool(("cargo", "add", name.text), ("Cargo.toml", "Cargo.lock"))


_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9@][\w.@/+-]*\Z")


def _python_module(name: Name, view: View) -> Iterator[Fix]:
    pip = next((c for c in view.packages(name) if c.manager is Manager.PIP), None)
    if pip is None or not _PLAIN_NAME.match(pip.package) or view.which("python3") is None:
        return
    wanted = [pip.package]
    options: tuple[str, ...] = ()
    if view.system is SystemName.PYTHON:
        # An isolated build sees nothing of ours, so it has to do without isolation.
        wanted += [r for r in build_requirements(view) if r.lower() != pip.package.lower()]
        options = ("--no-build-isolation",)
    place = f"{PYTHON_PLACE}/{pip.package}"
    argv = (
        "python3", "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
        "--no-warn-conflicts", "--target", place, *wanted,
    )  # fmt: skip
    variables = (
        Variable("PYTHONPATH", f"{SOURCE}/{place}", How.BEFORE),
        Variable("PATH", f"{SOURCE}/{place}/bin", How.BEFORE),
    )
    yield RunTool(argv, (place,), variables, options)


def build_requirements(view: View) -> list[str]:
    """Return what a Python project says that its build needs."""
    import tomllib

    found = ["setuptools", "wheel"]
    try:
        project = tomllib.loads(view.text("pyproject.toml") or "")
        asked = project.get("build-system", {}).get("requires", found)
    except (tomllib.TOMLDecodeError, AttributeError):
        asked = found
    return [r for r in asked if isinstance(r, str) and re.match(r"[A-Za-z0-9]", r)]


def _node_module(name: Name, view: View) -> Iterator[Fix]:
    npm = next((c for c in view.packages(name) if c.manager is Manager.NPM), None)
    if npm is None or not _PLAIN_NAME.match(npm.package):
        return
    declared = npm.package in declared_node(view)
    if declared and not view.exists(f"node_modules/{npm.package}"):
        yield from _npm_install(view)
    elif not declared:
        yield RunTool(
            ("npm", "install", "--no-save", "--no-audit", "--no-fund", npm.package),
            ("node_modules", "package-lock.json"),
        )


def declared_node(view: View) -> frozenset[str]:
    """Return the packages that package.json names."""
    try:
        found = json.loads(view.text("package.json") or "{}")
    except ValueError:
        return frozenset()
    if not isinstance(found, dict):
        return frozenset()
    tables = (found.get(t) for t in ("dependencies", "devDependencies", "optionalDependencies"))
    return frozenset(name for table in tables if isinstance(table, dict) for name in table)


def node_modules(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """What package.json names and nobody installed is installed."""
    if view.system is SystemName.NPM and not view.exists("node_modules") and declared_node(view):
        yield from _npm_install(view)


def _npm_install(view: View) -> Iterator[Fix]:
    verb = "ci" if view.exists("package-lock.json") else "install"
    yield RunTool(("npm", verb, "--no-audit", "--no-fund"), ("node_modules", "package-lock.json"))


def go_modules(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """Go's own tool writes what go.mod and go.sum lack."""
    if cause.facts.ecosystem == "go" and view.exists("go.mod") and cause.facts.kind != "checksum":
        yield RunTool(("go", "mod", "tidy"), ("go.mod", "go.sum"))


def directory(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A directory for outputs that no rule makes is made."""
    path = cause.facts.path
    if not path or cause.category is not Category.MISSING_INPUT:
        return
    wanted = path if os.path.splitext(path)[1] == "" and path.endswith("/") else ""  # noqa: PTH122
    wanted = wanted or os.path.dirname(path)  # noqa: PTH120 - pure text
    if not wanted or not _WRITES.search(cause.evidence):
        return
    for base in (view.source, view.build):
        place = view.inside(os.path.normpath(os.path.join(base, wanted)))  # noqa: PTH118
        if place and not view.exists(place) and place not in view.tracked:
            yield MakeDirectory(place)


_WRITES: Final = re.compile(
    r"cannot (?:create|open output)|can't (?:create|open)[^\n]*(?:writ|for output|output)|"
    r"[Ee]rror opening output|opening dependency file|unable to open output|Directory nonexistent|"
    r"fatal error: opening|can't create|cannot open output file|: No such file or directory"
)
