"""Dependencies of C and C++ projects: CMake, Meson, autoconf, vcpkg, Conan, Bazel.

Knows texts only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from cyxmake_cli.analysis.cmake_text import cmake_commands, meson_calls
from cyxmake_cli.analysis.model import Dependency
from cyxmake_cli.systems.manifests import json_object

_NO_PACKAGES: Final = frozenset((
    "PkgConfig", "Git", "Doxygen", "Threads", "Sphinx", "Python", "Python3", "PythonInterp", "Perl",
    "LATEX", "Subversion", "PackageHandleStandardArgs", "Java", "JNI", "Backtrace",
))  # fmt: skip
"""What `find_package` finds that is a tool, or part of every system."""
_PKG: Final = re.compile(r"^([\w.+-]+?)\s*(?:([<>=]+)\s*([\w.]+))?$")
_PC_WORDS: Final = frozenset(
    ("REQUIRED", "QUIET", "IMPORTED_TARGET", "GLOBAL", "NO_CMAKE_PATH", "STATIC_TARGET")
)
_MESON_FUNCTIONS: Final = frozenset(("dependency", "find_library"))
_MESON_BUILT_IN: Final = frozenset(("threads", "dl", "m", "intl", "iconv", "rt", "pthread"))
_PKG_CHECK: Final = re.compile(
    r"PKG_CHECK_MODULES(?:_STATIC)?\(\s*\[?\w+\]?\s*,\s*\[?([^\],()]+)", re.DOTALL
)
_CHECK_LIB: Final = re.compile(
    r"AC_(?:CHECK_LIB|SEARCH_LIBS)\(\s*\[?([\w+.-]+)\]?\s*,\s*\[?([^\],)]+)"
)
_SYSTEM_LIBRARIES: Final = frozenset(
    ("m", "c", "dl", "rt", "pthread", "socket", "nsl", "resolv", "util", "network", "bsd")
)
_CONAN_REFERENCE: Final = re.compile(r"([\w.+-]+)/([\[\]\w.+<>=~^*, -]+?)(?:@[\w./-]*)?(?:#\w+)?$")
_CONAN_CALL: Final = re.compile(
    r"self\.(tool_requires|build_requires|test_requires|requires)\(\s*f?[\"']([^\"']+)"
)
_CONAN_FIELD: Final = re.compile(
    r"^\s+(requires|tool_requires|build_requires|test_requires)\s*=\s*([^\n]*(?:\n\s+[\"'][^\n]*)*)",
    re.MULTILINE,
)
_BAZEL_DEP: Final = re.compile(r"^bazel_dep\(([^)]*)\)", re.MULTILINE | re.DOTALL)


def line_at(text: str, position: int) -> int:
    """Return the number of the line that a position stands on."""
    return text.count("\n", 0, position) + 1


def cmake(path: str, text: str) -> Iterator[Dependency]:
    """Read `find_package`, `pkg_check_modules` and what is fetched."""
    if "/Find" in f"/{path}" and path.endswith(".cmake"):
        return  # it looks for something itself
    for command in cmake_commands(text):
        words = command.words
        if not words or "$" in words[0]:
            continue
        if command.name == "find_package" and words[0] not in _NO_PACKAGES:
            needed = "REQUIRED" in words
            version = words[1] if len(words) > 1 and words[1][:1].isdigit() else ""
            yield Dependency(
                words[0], "cmake", path, command.line, version, "run" if needed else "optional"
            )
        elif command.name in ("pkg_check_modules", "pkg_search_module"):
            kind = "run" if "REQUIRED" in words else "optional"
            for word in words[1:]:
                match = _PKG.match(word) if word not in _PC_WORDS else None
                if match and "$" not in word:
                    wanted = f"{match[2]}{match[3]}" if match[2] else ""
                    yield Dependency(match[1], "pkg-config", path, command.line, wanted, kind)
        elif command.name in ("fetchcontent_declare", "externalproject_add"):
            tag = words[words.index("GIT_TAG") + 1 :] if "GIT_TAG" in words else ()
            yield Dependency(
                words[0], "cmake-fetch", path, command.line, tag[0] if tag else "", "build"
            )


def meson(path: str, text: str) -> Iterator[Dependency]:
    """Read `dependency` and `find_library`."""
    for call in meson_calls(text, _MESON_FUNCTIONS):
        for name in call.words[:1]:
            if name and name not in _MESON_BUILT_IN:
                optional = call.named.get("required", "true") != "true"
                ecosystem = "pkg-config" if call.name == "dependency" else "library"
                yield Dependency(
                    name, ecosystem, path, call.line, call.named.get("version", ""),
                    "optional" if optional else "run",
                )  # fmt: skip


def autoconf(path: str, text: str) -> Iterator[Dependency]:
    """Read `PKG_CHECK_MODULES` and the checks for libraries."""
    text = re.sub(r"(?m)(^|[ \t])(dnl\b|#).*$", "", text)
    for match in _PKG_CHECK.finditer(text):
        words = re.sub(r"\s*([<>=]+)\s*", r"\1", match[1]).split()
        for word in words:
            if (found := _PKG.match(word)) and "$" not in word:
                wanted = f"{found[2]}{found[3]}" if found[2] else ""
                yield Dependency(found[1], "pkg-config", path, line_at(text, match.start()), wanted)
    for match in _CHECK_LIB.finditer(text):
        names = match[2].split() if "SEARCH" in match[0] else [match[1]]
        for name in names:
            if re.fullmatch(r"[\w+.-]+", name) and name not in _SYSTEM_LIBRARIES:
                yield Dependency(
                    name, "library", path, line_at(text, match.start()), "", "optional"
                )


def vcpkg(path: str, text: str) -> Iterator[Dependency]:
    """Read the dependencies of a vcpkg manifest."""
    found = json_object(text).get("dependencies")
    for one in found if isinstance(found, list) else ():
        name = one.get("name") if isinstance(one, dict) else one
        if isinstance(name, str):
            version = str(one.get("version>=", "")) if isinstance(one, dict) else ""
            host = isinstance(one, dict) and one.get("host") is True
            at = text.find(f'"{name}"', text.find('"dependencies"'))
            yield Dependency(
                name, "vcpkg", path, line_at(text, max(0, at)),
                f">={version}" if version else "", "build" if host else "run",
            )  # fmt: skip


def conan_text(path: str, text: str) -> Iterator[Dependency]:
    """Read the sections of a conanfile.txt."""
    kinds = {"requires": "run", "tool_requires": "build", "build_requires": "build",
             "test_requires": "dev"}  # fmt: skip
    kind = None
    for number, line in enumerate(text.splitlines(), 1):
        said = line.partition(" #")[0].strip()
        if said.startswith("["):
            kind = kinds.get(said.strip("[]"))
        elif kind and (match := _CONAN_REFERENCE.match(said)):
            yield Dependency(match[1], "conan", path, number, match[2], kind)


def conan_python(path: str, text: str) -> Iterator[Dependency]:
    """Read the requirements of a recipe as far as they are written out."""
    kinds = {"requires": "run", "test_requires": "dev"}
    found = [(m[1], m[2], m.start()) for m in _CONAN_CALL.finditer(text)]
    for match in _CONAN_FIELD.finditer(text):
        found += [
            (match[1], reference, match.start())
            for reference in re.findall(r"[\"']([^\"']+)[\"']", match[2])
        ]
    for field, reference, position in found:
        if named := _CONAN_REFERENCE.match(reference):
            yield Dependency(
                named[1], "conan", path, line_at(text, position), named[2],
                kinds.get(field, "build"),
            )  # fmt: skip


def bazel(path: str, text: str) -> Iterator[Dependency]:
    """Read the modules that a Bazel module depends on."""
    for match in _BAZEL_DEP.finditer(text):
        fields = dict(re.findall(r"(\w+)\s*=\s*\"([^\"]*)\"", match[1]))
        if name := fields.get("name"):
            dev = "dev_dependency" in match[1]
            yield Dependency(
                name, "bazel", path, line_at(text, match.start()), fields.get("version", ""),
                "dev" if dev else "run",
            )  # fmt: skip
