"""What a repository can be told to make or run, read from its build files.

Knows texts only; what a build file computes is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from cyxmake_cli.analysis.cmake_text import cmake_commands, meson_calls
from cyxmake_cli.analysis.dependencies_native import line_at
from cyxmake_cli.analysis.dependencies_packages import xml
from cyxmake_cli.analysis.files import Files
from cyxmake_cli.analysis.model import Target
from cyxmake_cli.systems.manifests import is_go_program, json_object, toml

_CMAKE: Final = {
    "add_executable": "executable", "add_library": "library", "add_custom_target": "custom",
}  # fmt: skip
_MESON: Final = {
    "executable": "executable", "library": "library", "shared_library": "library",
    "static_library": "library", "both_libraries": "library", "shared_module": "library",
    "custom_target": "custom", "run_target": "custom",
}  # fmt: skip
_MAKE_RULE: Final = re.compile(r"^([A-Za-z][\w.-]*)\s*:(?![=:])", re.MULTILINE)
_BAZEL_RULE: Final = re.compile(r"^(\w+_(?:binary|library|test))\(\s*name\s*=\s*\"([^\"]+)\"", re.M)
_AUTOMAKE: Final = re.compile(
    r"^(?:bin|sbin|noinst|check|lib|libexec|pkglib)_(PROGRAMS|LIBRARIES|LTLIBRARIES)[ \t]*\+?="
    r"[ \t]*((?:[^\n\\]|\\\n)*)",
    re.MULTILINE,
)
_SCONS: Final = re.compile(
    r"\b(Program|Library|SharedLibrary|StaticLibrary)\(\s*(?:target\s*=\s*)?[\"']([^\"']+)"
)
_NOT_MAKE: Final = frozenset(("if", "else", "endif", "ifeq", "include"))


def targets(files: Files) -> tuple[Target, ...]:
    """Return the targets of the project's own build files, in the order of files and lines."""
    found: dict[tuple[str, str, str], Target] = {}
    for path in files.sizes:
        if files.own(path):
            for one in _of(files, path):
                found.setdefault((one.name, one.kind, one.file.rpartition("/")[0]), one)
    return tuple(found.values())


def _of(files: Files, path: str) -> Iterator[Target]:
    name = path.rpartition("/")[2]
    match name:
        case "CMakeLists.txt":
            yield from _cmake(path, files.text(path))
        case "meson.build":
            for call in meson_calls(files.text(path), frozenset(_MESON)):
                if call.words:
                    yield Target(call.words[0], _MESON[call.name], path, call.line)
        case "Cargo.toml":
            yield from _cargo(files, path)
        case "package.json":
            scripts = json_object(files.text(path)).get("scripts")
            for script in scripts if isinstance(scripts, dict) else ():
                yield Target(str(script), "script", path, _line(files.text(path), f'"{script}"'))
        case "pyproject.toml":
            yield from _python(path, files.text(path))
        case "go.mod":
            yield from _go(files, path)
        case "pom.xml":
            yield from _maven(path, files.text(path))
        case "Makefile" | "GNUmakefile" | "makefile":
            for rule in _MAKE_RULE.finditer(files.text(path)):
                if rule[1] not in _NOT_MAKE:
                    yield Target(rule[1], "rule", path, line_at(files.text(path), rule.start()))
        case "Makefile.am":
            for group in _AUTOMAKE.finditer(files.text(path)):
                kind = "executable" if group[1] == "PROGRAMS" else "library"
                for word in group[2].replace("\\\n", " ").split():
                    if re.fullmatch(r"[\w.+/-]+", word) and word not in _NOT_MAKE:
                        yield Target(word, kind, path, line_at(files.text(path), group.start()))
        case "BUILD" | "BUILD.bazel":
            folder = path.rpartition("/")[0]
            for rule in _BAZEL_RULE.finditer(files.text(path)):
                kind = rule[1].rpartition("_")[2].replace("binary", "executable")
                line = line_at(files.text(path), rule.start())
                yield Target(f"//{folder}:{rule[2]}", kind, path, line)
        case "SConstruct" | "SConscript":
            for program in _SCONS.finditer(files.text(path)):
                kind = "executable" if program[1] == "Program" else "library"
                yield Target(program[2], kind, path, line_at(files.text(path), program.start()))
        case _:
            return


def _cmake(path: str, text: str) -> Iterator[Target]:
    for command in cmake_commands(text):
        kind = _CMAKE.get(command.name)
        if kind is None or not command.words or "$" in command.words[0]:
            continue
        if {"ALIAS", "IMPORTED"} & set(command.words[1:3]):
            continue
        yield Target(command.words[0], kind, path, command.line)


def _cargo(files: Files, path: str) -> Iterator[Target]:
    text = files.text(path)
    found: dict[str, Any] = toml(text)
    package = found.get("package")
    if not isinstance(package, dict) or not isinstance(package.get("name"), str):
        return
    name, folder = package["name"], path.removesuffix("Cargo.toml")
    line = _line(text, "[package]")
    if f"{folder}src/lib.rs" in files.sizes or "lib" in found:
        yield Target(name, "library", path, line)
    bins = found.get("bin")
    named = [b["name"] for b in bins if isinstance(b, dict) and isinstance(b.get("name"), str)] \
        if isinstance(bins, list) else []  # fmt: skip
    if f"{folder}src/main.rs" in files.sizes and not named:
        named = [name]
    prefix = f"{folder}src/bin/"
    for file in files.sizes:
        if file.startswith(prefix) and file.endswith(".rs"):
            rest = file.removeprefix(prefix)
            if "/" not in rest or rest.endswith("/main.rs"):
                named.append(rest.partition("/")[0].removesuffix(".rs"))
    for one in dict.fromkeys(named):
        yield Target(one, "executable", path, _line(text, f'"{one}"') or line)


def _python(path: str, text: str) -> Iterator[Target]:
    project = toml(text).get("project")
    if not isinstance(project, dict):
        return
    if isinstance(project.get("name"), str):
        yield Target(project["name"], "package", path, _line(text, "[project]"))
    scripts = project.get("scripts")
    for script in scripts if isinstance(scripts, dict) else ():
        yield Target(str(script), "script", path, _line(text, f"{script} ="))


def _go(files: Files, path: str) -> Iterator[Target]:
    prefix = path.removesuffix("go.mod")
    text = files.text(path)
    match = re.search(r"^module\s+(\S+)", text, re.MULTILINE)
    module = match[1] if match else prefix.rstrip("/")
    seen: set[str] = set()
    for file in files.sizes:
        if not file.startswith(prefix) or not file.endswith(".go") or file.endswith("_test.go"):
            continue
        folder = file.rpartition("/")[0]
        if folder in seen or not files.own(file) or not is_go_program(files.head(file)):
            continue
        seen.add(folder)
        below = folder.removeprefix(prefix.rstrip("/")).strip("/")
        name = (below or re.sub(r"/v\d+$", "", module)).rpartition("/")[2]
        yield Target(name, "executable", file, 0)
    if not seen:
        yield Target(module, "library", path, 1)


def _maven(path: str, text: str) -> Iterator[Target]:
    root = xml(text)
    name = root.findtext("artifactId") if root is not None else None
    if root is not None and name:
        kind = root.findtext("packaging") or "jar"
        yield Target(name, kind, path, _line(text, f"<artifactId>{name}<"))


def _line(text: str, word: str) -> int:
    at = text.find(word)
    return line_at(text, at) if at >= 0 else 0
