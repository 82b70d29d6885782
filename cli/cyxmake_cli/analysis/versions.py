"""Which versions of tools and languages a repository asks for: lock files, tool files, manifests.

Knows texts only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from cyxmake_cli.analysis.dependencies_native import line_at
from cyxmake_cli.analysis.files import Files
from cyxmake_cli.analysis.model import Version
from cyxmake_cli.systems.manifests import json_object, toml

_WHOLE: Final = {
    ".nvmrc": "node", ".node-version": "node", ".python-version": "python", ".ruby-version": "ruby",
    ".java-version": "java", ".bazelversion": "bazel", ".go-version": "go",
    "rust-toolchain": "rust", ".terraform-version": "terraform",
}  # fmt: skip
"""Files that hold nothing but a version."""
_PATTERNS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "CMakeLists.txt": (
        ("cmake", r"(?im)^\s*cmake_minimum_required\s*\(\s*VERSION\s+([\d.]+)"),
        ("c++", r"(?m)^\s*set\s*\(\s*CMAKE_CXX_STANDARD\s+(\d+)"),
        ("c", r"(?m)^\s*set\s*\(\s*CMAKE_C_STANDARD\s+(\d+)"),
    ),
    "meson.build": (
        ("meson", r"meson_version\s*:\s*'([^']+)'"),
        ("c++", r"\bcpp_std=(?:gnu|c)\+\+(\w+)"),
        ("c", r"'c_std=(?:gnu|c)(\w+)"),
    ),
    "configure.ac": (("autoconf", r"(?m)^\s*AC_PREREQ\(\s*\[?([\d.]+)"),),
    "go.mod": (
        ("go", r"(?m)^go\s+(\S+)"),
        ("go-toolchain", r"(?m)^toolchain\s+go(\S+)"),
    ),
    "gradle/wrapper/gradle-wrapper.properties": (
        ("gradle", r"(?m)^distributionUrl=.*gradle-([\d.]+[\w.-]*?)-(?:bin|all)\.zip"),
    ),
    ".mvn/wrapper/maven-wrapper.properties": (
        ("maven", r"(?m)^distributionUrl=.*apache-maven-([\d.]+[\w.-]*?)-bin\.zip"),
    ),
    "pom.xml": (
        ("java", r"<(?:maven\.compiler\.(?:release|source)|java\.version)>([\d.]+)<"),
        ("maven", r"(?s)<requireMavenVersion>\s*<version>([^<]+)<"),
    ),
    "conanfile.py": (("conan", r"(?m)^\s*required_conan_version\s*=\s*[\"']([^\"']+)"),),
}
_TOOL_VERSIONS: Final = re.compile(r"^\s*([\w-]+)\s+(\S+)", re.MULTILINE)
_VERSION: Final = re.compile(r"^\s*(?!#)v?(\S+)", re.MULTILINE)


def versions(files: Files) -> tuple[Version, ...]:
    """Return what the root of a repository asks for."""
    found = [one for path in files.sizes if "/" not in path or path in _PATTERNS
             for one in _of(files, path)]  # fmt: skip
    return tuple(dict.fromkeys(found))


def _of(files: Files, path: str) -> Iterator[Version]:
    if path in _WHOLE:
        text = files.text(path)
        if text.lstrip().startswith("[toolchain]"):
            yield from _rust(path, text)
        elif match := _VERSION.search(text):
            yield Version(_WHOLE[path], match[1], path, line_at(text, match.start(1)))
    for tool, pattern in _PATTERNS.get(path, ()):
        if match := re.search(pattern, files.text(path)):
            yield Version(tool, match[1], path, line_at(files.text(path), match.start(1)))
    match path:
        case ".tool-versions":
            for found in _TOOL_VERSIONS.finditer(files.text(path)):
                line = line_at(files.text(path), found.start(1))
                yield Version(found[1], found[2], path, line)
        case "rust-toolchain.toml":
            yield from _rust(path, files.text(path))
        case "package.json":
            yield from _node(path, files.text(path))
        case "pyproject.toml":
            project = _table(toml(files.text(path)).get("project"))
            yield from _one("python", project.get("requires-python"), path, files.text(path))
        case "Cargo.toml":
            package = _table(toml(files.text(path)).get("package"))
            yield from _one("rust", package.get("rust-version"), path, files.text(path))
            yield from _one("rust-edition", package.get("edition"), path, files.text(path))


def _rust(path: str, text: str) -> Iterator[Version]:
    channel = _table(toml(text).get("toolchain")).get("channel")
    yield from _one("rust", channel, path, text)


def _node(path: str, text: str) -> Iterator[Version]:
    found = json_object(text)
    for tool, version in _table(found.get("engines")).items():
        yield from _one(str(tool), version, path, text)
    manager = found.get("packageManager")
    if isinstance(manager, str) and "@" in manager:
        name, _, version = manager.partition("@")
        yield from _one(name, version.partition("+")[0], path, text)


def _one(tool: str, version: object, path: str, text: str) -> Iterator[Version]:
    if isinstance(version, str) and version:
        at = text.find(version)
        yield Version(tool, version, path, line_at(text, at) if at >= 0 else 0)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
