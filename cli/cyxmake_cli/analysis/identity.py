"""What a project calls itself: name, version, one line of description, from its main manifest.

Knows texts only. The manifest of the build system that is meant is asked first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from cyxmake_cli.analysis.cmake_text import cmake_commands, meson_calls
from cyxmake_cli.analysis.dependencies_packages import xml
from cyxmake_cli.analysis.files import Files
from cyxmake_cli.systems.manifests import json_object, toml

_AC_INIT: Final = re.compile(
    r"^\s*AC_INIT\(\s*\[?([^\],()]+)\]?\s*(?:,\s*\[?([^\],()\s]+)\]?)?", re.MULTILINE
)
_MODULE: Final = re.compile(r"^module\s+(\S+)", re.MULTILINE)
_SETUP: Final = re.compile(r"\b(name|version|description)\s*=\s*[\"']([^\"'\n]+)[\"']")
_GRADLE_NAME: Final = re.compile(r"rootProject\.name\s*=\s*[\"']([^\"']+)")
_GRADLE_VERSION: Final = re.compile(r"^version\s*=?\s*[\"']([^\"']+)", re.MULTILINE)
_BAZEL: Final = re.compile(r"^module\(([^)]*)\)", re.MULTILINE | re.DOTALL)
_FIELD: Final = re.compile(r"(\w+)\s*=\s*\"([^\"]*)\"")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a project calls itself; empty where it does not say."""

    name: str = ""
    version: str = ""
    description: str = ""


def identity(files: Files, systems: tuple[str, ...]) -> Identity:
    """Return what the repository's root says; `systems` are its build systems, best first."""
    order = [f for system in systems for f in _MANIFESTS.get(system, ())]
    found = [
        _READERS[name](files.text(name), files)
        for name in dict.fromkeys((*order, *_READERS))
        if name in files.sizes
    ]
    return Identity(
        next((one.name for one in found if one.name), files.root.name),
        next((one.version for one in found if one.name and one.version), ""),
        next((one.description for one in found if one.description), ""),
    )


def _cmake(text: str, _: Files) -> Identity:
    variables: dict[str, str] = {}
    for command in cmake_commands(text, variables):
        words = command.words
        if command.name == "project" and words and "$" not in words[0]:
            fields = dict(pairwise(words[1:]))
            version = fields.get("VERSION", "")
            return Identity(
                words[0], "" if "$" in version else version, fields.get("DESCRIPTION", "")
            )
    return Identity()


def _meson(text: str, _: Files) -> Identity:
    for call in meson_calls(text, frozenset(("project",))):
        if call.words:
            return Identity(call.words[0], _plain(call.named.get("version", "")))
    return Identity()


def _plain(version: str) -> str:
    return version if version[:1].isdigit() else ""


def _autoconf(text: str, _: Files) -> Identity:
    match = _AC_INIT.search(text)
    if match is None:
        return Identity()
    return Identity(match[1].strip().strip('"'), _plain((match[2] or "").strip('"')))


def _package(found: dict[str, Any]) -> Identity:
    fields = [found.get(key) for key in ("name", "version", "description")]
    return Identity(*(value.strip() if isinstance(value, str) else "" for value in fields))


def _cargo(text: str, files: Files) -> Identity:
    found = toml(text)
    package = found.get("package")
    if not isinstance(package, dict):
        return Identity()
    workspace = found.get("workspace")
    shared = workspace.get("package") if isinstance(workspace, dict) else None
    return _package((shared if isinstance(shared, dict) else {}) | {
        key: value for key, value in package.items() if not isinstance(value, dict)
    })  # fmt: skip


def _npm(text: str, _: Files) -> Identity:
    return _package(json_object(text))


def _pyproject(text: str, _: Files) -> Identity:
    found = toml(text)
    project = found.get("project")
    tool = found.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    for table in (project, poetry):
        if isinstance(table, dict):
            return _package(table)
    return Identity()


def _setup(text: str, _: Files) -> Identity:
    fields: dict[str, str] = {}
    for match in _SETUP.finditer(text):
        fields.setdefault(match[1], match[2])
    return Identity(
        fields.get("name", ""), fields.get("version", ""), fields.get("description", "")
    )


def _setup_cfg(text: str, _: Files) -> Identity:
    fields = dict(re.findall(r"^(name|version|description)\s*=\s*(.+)$", text, re.MULTILINE))
    version = fields.get("version", "")
    return Identity(fields.get("name", ""), _plain(version), fields.get("description", ""))


def _pkg_info(text: str, _: Files) -> Identity:
    """Read what stands in a source distribution."""
    head = text.partition("\n\n")[0]
    fields = dict(re.findall(r"^(Name|Version|Summary): (.+)$", head, re.MULTILINE))
    return Identity(fields.get("Name", ""), fields.get("Version", ""), fields.get("Summary", ""))


def _go(text: str, _: Files) -> Identity:
    match = _MODULE.search(text)
    return Identity(re.sub(r"/v\d+$", "", match[1]).rpartition("/")[2] if match else "")


def _maven(text: str, _: Files) -> Identity:
    root = xml(text)
    if root is None:
        return Identity()
    version = root.findtext("version") or root.findtext("parent/version") or ""
    description = " ".join((root.findtext("description") or "").split())
    return Identity(root.findtext("artifactId") or "", version.strip(), description)


def _gradle(text: str, files: Files) -> Identity:
    name = _GRADLE_NAME.search(text)
    other = next((n for n in ("build.gradle", "build.gradle.kts") if n in files.sizes), None)
    version = _GRADLE_VERSION.search(files.text(other)) if other else None
    return Identity(name[1] if name else "", version[1] if version else "")


def _bazel(text: str, _: Files) -> Identity:
    match = _BAZEL.search(text)
    fields = dict(_FIELD.findall(match[1])) if match else {}
    return Identity(fields.get("name", ""), fields.get("version", ""))


_READERS: Final[dict[str, Callable[[str, Files], Identity]]] = {
    "CMakeLists.txt": _cmake,
    "meson.build": _meson,
    "configure.ac": _autoconf,
    "configure.in": _autoconf,
    "Cargo.toml": _cargo,
    "go.mod": _go,
    "pom.xml": _maven,
    "settings.gradle": _gradle,
    "settings.gradle.kts": _gradle,
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "setup.py": _setup,
    "PKG-INFO": _pkg_info,
    "package.json": _npm,
    "MODULE.bazel": _bazel,
}
_MANIFESTS: Final = {
    "cmake": ("CMakeLists.txt",), "meson": ("meson.build",),
    "autotools": ("configure.ac", "configure.in"), "cargo": ("Cargo.toml",), "go": ("go.mod",),
    "maven": ("pom.xml",), "gradle": ("settings.gradle", "settings.gradle.kts"),
    "python": ("pyproject.toml", "PKG-INFO", "setup.cfg", "setup.py"), "npm": ("package.json",),
    "yarn": ("package.json",), "pnpm": ("package.json",), "bazel": ("MODULE.bazel",),
}  # fmt: skip
