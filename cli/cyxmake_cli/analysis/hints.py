"""Commands that a repository shows people and machines: in its README, and in what CI runs.

Knows texts only, and runs none of them: they are hints for a person, and for whoever repairs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from cyxmake_cli.analysis.files import Files
from cyxmake_cli.analysis.model import Hint

_README: Final = re.compile(
    r"^(?:docs?/)?(?:README|INSTALL|BUILD|BUILDING|HACKING|CONTRIBUTING|COMPILING)"
    r"(?:[-.]\w+)*(?:\.(?:md|rst|txt|adoc))?$",
    re.IGNORECASE,
)
_CI: Final = re.compile(
    r"^(?:\.github/workflows/[^/]+\.ya?ml|\.gitlab-ci\.yml|\.travis\.yml|\.cirrus\.yml"
    r"|azure-pipelines\.yml|\.circleci/config\.yml|appveyor\.yml|\.appveyor\.yml"
    r"|\.woodpecker(?:\.yml|/[^/]+\.yml)|bitbucket-pipelines\.yml)$"
)
_TOOLS: Final = (
    "apt", "apt-get", "autoconf", "autoreconf", "bazel", "bazelisk", "brew", "bundle", "cargo",
    "cmake", "conan", "configure", "ctest", "dnf", "dotnet", "go", "gradle", "gradlew", "just",
    "make", "meson", "mvn", "mvnw", "ninja", "npm", "npx", "pacman", "pip", "pip3", "pnpm",
    "poetry",
    "pytest", "python", "python3", "rustup", "scons", "sudo", "tox", "uv", "vcpkg", "xmake", "yarn",
    "yum", "zig", "zypper", "autogen.sh", "bootstrap", "bootstrap.sh", "build.sh", "ninja-build",
)  # fmt: skip
_COMMAND: Final = re.compile(
    r"^(?:[$%>#]\s+)?((?:\w+=\S*\s+)*(?:\.{0,2}/)?(?:[\w.-]+/)*(?:"
    + "|".join(re.escape(tool) for tool in _TOOLS)
    + r")(?:\s+[^\s].*)?)$"
)
_FENCE: Final = re.compile(r"^\s*(```|~~~|----)")
_RUN_KEYS: Final = ("run", "script", "before_script", "install", "before_install", "build_script",
                    "test_script", "commands", "command")  # fmt: skip
_MOST: Final = 60
_MOST_NODES: Final = 20_000


def hints(files: Files) -> tuple[Hint, ...]:
    """Return the commands, each once a file, in the order of files and lines."""
    found: list[Hint] = []
    for path in files.sizes:
        if _README.match(path):
            found += list(_unique(_readme(path, files.text(path))))[:_MOST]
        elif _CI.match(path):
            found += list(_unique(_ci(path, files.text(path))))[:_MOST]
    return tuple(found)


def _unique(found: Iterator[Hint]) -> Iterator[Hint]:
    seen = set()
    for hint in found:
        if hint.command not in seen:
            seen.add(hint.command)
            yield hint


def _readme(path: str, text: str) -> Iterator[Hint]:
    fenced, start, joined = False, 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if _FENCE.match(line):
            fenced, joined = not fenced, ""
            continue
        if not (fenced or line.startswith(("    ", "\t")) or joined):
            continue
        start = start if joined else number
        joined += line.strip().removesuffix("\\").rstrip() + " "
        if line.rstrip().endswith("\\"):
            continue
        if match := _COMMAND.match(joined.strip()):
            yield Hint(match[1], "readme", path, start)
        joined = ""


def _ci(path: str, text: str) -> Iterator[Hint]:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(text, Loader=loader)
    except (yaml.YAMLError, RecursionError):
        return
    # Each node once: aliases make a small text into a tree without end.
    seen: set[tuple[int, str]] = set()
    waiting: list[tuple[str, Any]] = [("", root)]
    found: list[Hint] = []
    while waiting and len(seen) < _MOST_NODES:
        key, node = waiting.pop()
        if node is None or (id(node), key) in seen:
            continue
        seen.add((id(node), key))
        if isinstance(node, yaml.MappingNode):
            waiting += [(str(name.value), value) for name, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(key, value) for value in node.value]
        elif key in _RUN_KEYS:
            found += _script(path, node)
    yield from sorted(found, key=lambda hint: hint.line)


def _script(path: str, node: Any) -> list[Hint]:
    block = node.style in ("|", ">")
    first = node.start_mark.line + (2 if block else 1)
    found, joined, start = [], "", first
    for number, line in enumerate(str(node.value).splitlines(), first):
        start = start if joined else number
        joined += line.strip().removesuffix("\\").rstrip() + " "
        if line.rstrip().endswith("\\"):
            continue
        if match := _COMMAND.match(joined.strip()):
            found.append(Hint(match[1], "ci", path, start))
        joined = ""
    return found
