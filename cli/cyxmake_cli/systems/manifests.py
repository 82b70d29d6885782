"""Questions about the text of manifests that decide which steps a build system is given.

Knows nothing of files; a text that cannot be read answers no.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from typing import Any, Final

_MAIN: Final = re.compile(r"^package main\b", re.MULTILINE)
_IGNORED: Final = re.compile(r"^//(?:go:build|\s*\+build)\s+ignore\b", re.MULTILINE)
_FOREIGN_BACKENDS: Final = (
    "maturin", "mesonpy", "scikit_build_core", "skbuild", "setuptools_rust", "py_build_cmake",
    "cmeel", "cffi_modules",
)  # fmt: skip


def toml(text: str) -> dict[str, Any]:
    """Return a TOML document, empty where it is none."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def json_object(text: str) -> dict[str, Any]:
    """Return a JSON object, empty where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def holds(pattern: str) -> Callable[[str], bool]:
    """Return the question whether a line matches a pattern."""
    compiled = re.compile(pattern, re.MULTILINE | re.IGNORECASE)
    return lambda text: compiled.search(text) is not None


def has_script(name: str) -> Callable[[str], bool]:
    """Return the question whether a package.json has a script."""

    def ask(text: str) -> bool:
        scripts = json_object(text).get("scripts")
        return isinstance(scripts, dict) and isinstance(scripts.get(name), str)

    return ask


def has_real_test(text: str) -> bool:
    """Tell whether a package.json has tests, and not the line that `npm init` writes."""
    scripts = json_object(text).get("scripts")
    found = scripts.get("test") if isinstance(scripts, dict) else None
    return isinstance(found, str) and "no test specified" not in found


def is_python_package(text: str) -> bool:
    """Tell whether a pyproject.toml describes a package, rather than tools' settings only."""
    found = toml(text)
    poetry = isinstance(found.get("tool"), dict) and "poetry" in found["tool"]
    return "build-system" in found or "project" in found or poetry


def builds_with_other_tool(text: str) -> bool:
    """Tell whether a pyproject.toml's backend drives the other build system that stands beside."""
    section = toml(text).get("build-system")
    backend = section.get("build-backend") if isinstance(section, dict) else None
    return isinstance(backend, str) and backend.partition(".")[0] in _FOREIGN_BACKENDS


def uses_pytest(text: str) -> bool:
    """Tell whether a pyproject.toml, setup.cfg or tox.ini names pytest."""
    return "pytest" in text


def is_go_program(text: str) -> bool:
    """Tell whether a Go file is part of a program that a plain build makes."""
    return _MAIN.search(text) is not None and _IGNORED.search(text) is None
