"""The table of tools that builds use: programs, how each tells its version, what it can.

Knows only words; nothing is looked for or run here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class ToolKind(StrEnum):
    """What a tool is for."""

    COMPILER = "compiler"
    LINKER = "linker"
    BINARY = "binary tool"
    BUILD = "build system"
    PACKAGES = "package manager"
    LANGUAGE = "language"
    CACHE = "cache"
    VERSION_CONTROL = "version control"
    CODE = "generator"
    CHECK = "checker"
    DEBUG = "debugger"
    CONTAINER = "container"
    DOCUMENT = "documentation"


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: `programs` are its names, best first; `ask` makes it tell its version.

    `can` are capabilities of every version, `since` those that came with one. `packages` names the
    package by package manager where it is not called as the tool is.
    """

    name: str
    kind: ToolKind
    programs: tuple[str, ...]
    ask: tuple[str, ...] = ("--version",)
    can: tuple[str, ...] = ()
    since: tuple[tuple[str, str], ...] = ()
    packages: dict[str, str] = field(default_factory=dict)


def _tool(
    kind: ToolKind,
    programs: str,
    can: str = "",
    since: str = "",
    ask: str = "--version",
    packages: str = "",
) -> Tool:
    """Return a row: words apart by spaces, `what>=version` in `since`, `manager=name`."""
    names = tuple(programs.split())
    pairs = (word.partition(">=") for word in since.split())
    named = (word.partition("=") for word in packages.split())
    return Tool(
        names[0], kind, names, tuple(ask.split()), tuple(can.split()),
        tuple((what, version) for what, _, version in pairs),
        {manager: name for manager, _, name in named},
    )  # fmt: skip


_K = ToolKind
_LLVM: Final = "apt=llvm dnf=llvm brew=llvm pacman=llvm"

TOOLS: Final[dict[str, Tool]] = {
    tool.name: tool
    for tool in (
        _tool(_K.COMPILER, "gcc cc", "c", "c11>=4.9 c17>=8 c23>=14"),
        _tool(_K.COMPILER, "g++ c++", "c++", "c++17>=7 c++20>=10 c++20-modules>=14",
              packages="dnf=gcc-c++ zypper=gcc-c++ pacman=gcc brew=gcc"),
        _tool(_K.COMPILER, "clang", "c", "c11>=3.6 c17>=6 c23>=18"),
        _tool(_K.COMPILER, "clang++", "c++", "c++17>=5 c++20>=10 c++20-modules>=16",
              packages="apt=clang dnf=clang brew=llvm pacman=clang"),
        _tool(_K.COMPILER, "cl", "c c++", ask=""),
        _tool(_K.COMPILER, "icx", "c c++"),
        _tool(_K.COMPILER, "tcc", "c", ask="-v"),
        _tool(_K.COMPILER, "zig", "c c++ zig cross", ask="version"),
        _tool(_K.COMPILER, "gfortran flang", "fortran",
              packages="dnf=gcc-gfortran pacman=gcc-fortran brew=gcc"),
        _tool(_K.COMPILER, "nvcc", "cuda", packages="apt=nvidia-cuda-toolkit"),
        _tool(_K.COMPILER, "nasm", "assembly", ask="-v"),
        _tool(_K.COMPILER, "yasm", "assembly"),
        _tool(_K.COMPILER, "rustc", "rust", "rust-2021>=1.56 rust-2024>=1.85", packages="apt=rustc "
              "dnf=rust pacman=rust brew=rust"),
        _tool(_K.COMPILER, "javac", "java", packages="apt=default-jdk-headless brew=openjdk "
              "dnf=java-latest-openjdk-devel pacman=jdk-openjdk", ask="-version"),
        _tool(_K.COMPILER, "kotlinc", "kotlin", ask="-version", packages="brew=kotlin"),
        _tool(_K.COMPILER, "scalac", "scala", ask="-version", packages="apt=scala brew=scala"),
        _tool(_K.COMPILER, "ghc", "haskell"),
        _tool(_K.COMPILER, "ocamlopt", "ocaml", ask="-version", packages="apt=ocaml-nox dnf=ocaml"),
        _tool(_K.COMPILER, "swiftc", "swift"),
        _tool(_K.COMPILER, "tsc", "typescript", packages="npm=typescript"),
        _tool(_K.COMPILER, "dotnet", "c# f#"),
        _tool(_K.COMPILER, "valac", "vala"),
        _tool(_K.LINKER, "ld ld.bfd", packages="apt=binutils dnf=binutils brew=binutils"),
        _tool(_K.LINKER, "lld ld.lld", packages="apt=lld", ask="--version"),
        _tool(_K.LINKER, "mold"),
        _tool(_K.LINKER, "gold ld.gold", packages="apt=binutils"),
        _tool(_K.BINARY, "ar", packages="apt=binutils dnf=binutils"),
        _tool(_K.BINARY, "strip", packages="apt=binutils dnf=binutils"),
        _tool(_K.BINARY, "objdump", packages="apt=binutils dnf=binutils"),
        _tool(_K.BINARY, "llvm-ar", packages=_LLVM),
        _tool(_K.BINARY, "llvm-profdata", "profiles", packages=_LLVM, ask="--version"),
        _tool(_K.BINARY, "patchelf"),
        _tool(_K.BUILD, "cmake", "", "file-api>=3.14 presets>=3.19 c++20-modules>=3.28"),
        _tool(_K.BUILD, "ninja ninja-build", "", "dyndep>=1.10 dupbuild-err>=1.12",
              packages="apt=ninja-build dnf=ninja-build zypper=ninja"),
        _tool(_K.BUILD, "make gmake", "", "jobserver-fifo>=4.4"),
        _tool(_K.BUILD, "meson", "", "compile>=0.54 clean>=0.54"),
        _tool(_K.BUILD, "autoconf"),
        _tool(_K.BUILD, "automake"),
        _tool(_K.BUILD, "libtool libtoolize glibtoolize", packages="apt=libtool"),
        _tool(_K.BUILD, "scons"),
        _tool(_K.BUILD, "bazel bazelisk", "", "modules>=6", packages="brew=bazelisk "
              "npm=@bazel/bazelisk apt=bazel-bootstrap"),
        _tool(_K.BUILD, "buck2", ask="--version"),
        _tool(_K.BUILD, "gradle"),
        _tool(_K.BUILD, "mvn", packages="apt=maven dnf=maven brew=maven pacman=maven"),
        _tool(_K.BUILD, "ant", ask="-version"),
        _tool(_K.BUILD, "sbt", ask="--script-version"),
        _tool(_K.BUILD, "xmake"),
        _tool(_K.BUILD, "just"),
        _tool(_K.BUILD, "msbuild", ask="-version -nologo"),
        _tool(_K.BUILD, "xcodebuild", ask="-version"),
        _tool(_K.PACKAGES, "pkg-config pkgconf", packages="brew=pkgconf dnf=pkgconf"),
        _tool(_K.PACKAGES, "cargo", "", "info>=1.82", packages="apt=cargo brew=rust dnf=cargo"),
        _tool(_K.PACKAGES, "npm", packages="brew=node"),
        _tool(_K.PACKAGES, "yarn", packages="apt=yarnpkg npm=yarn"),
        _tool(_K.PACKAGES, "pnpm", packages="npm=pnpm"),
        _tool(_K.PACKAGES, "pip pip3", packages="apt=python3-pip dnf=python3-pip brew=python"),
        _tool(_K.PACKAGES, "uv", packages="pip=uv"),
        _tool(_K.PACKAGES, "poetry", packages="pip=poetry"),
        _tool(_K.PACKAGES, "conan", packages="pip=conan"),
        _tool(_K.PACKAGES, "vcpkg", ask="version"),
        _tool(_K.LANGUAGE, "go", "go", "workspaces>=1.18 toolchains>=1.21", ask="version",
              packages="apt=golang-go dnf=golang"),
        _tool(_K.LANGUAGE, "python3 python", "python", packages="brew=python pacman=python"),
        _tool(_K.LANGUAGE, "node nodejs", "javascript", "fetch>=18", packages="apt=nodejs"),
        _tool(_K.LANGUAGE, "java", "java", ask="-version", packages="apt=default-jre-headless "
              "brew=openjdk pacman=jre-openjdk"),
        _tool(_K.LANGUAGE, "ruby", "ruby"),
        _tool(_K.LANGUAGE, "perl", "perl"),
        _tool(_K.LANGUAGE, "tclsh", "tcl", ask="", packages="apt=tcl brew=tcl-tk"),
        _tool(_K.CACHE, "ccache", "c c++"),
        _tool(_K.CACHE, "sccache", "c c++ rust"),
        _tool(_K.CACHE, "distcc", "c c++"),
        _tool(_K.VERSION_CONTROL, "git", "", "partial-clone>=2.25"),
        _tool(_K.VERSION_CONTROL, "hg", packages="apt=mercurial brew=mercurial"),
        _tool(_K.VERSION_CONTROL, "svn", packages="apt=subversion brew=subversion"),
        _tool(_K.CODE, "flex lex"),
        _tool(_K.CODE, "bison yacc"),
        _tool(_K.CODE, "protoc", packages="apt=protobuf-compiler brew=protobuf"),
        _tool(_K.CODE, "swig", ask="-version"),
        _tool(_K.CODE, "gperf"),
        _tool(_K.CODE, "m4"),
        _tool(_K.CODE, "gettext msgfmt", packages="apt=gettext"),
        _tool(_K.CHECK, "clang-format"),
        _tool(_K.CHECK, "clang-tidy"),
        _tool(_K.CHECK, "cppcheck"),
        _tool(_K.CHECK, "valgrind"),
        _tool(_K.CHECK, "gcov", packages="apt=gcc"),
        _tool(_K.DEBUG, "gdb"),
        _tool(_K.DEBUG, "lldb"),
        _tool(_K.DEBUG, "strace", ask="-V"),
        _tool(_K.CONTAINER, "docker", packages="apt=docker.io"),
        _tool(_K.CONTAINER, "podman"),
        _tool(_K.DOCUMENT, "doxygen"),
        _tool(_K.DOCUMENT, "sphinx-build", packages="pip=sphinx apt=python3-sphinx"),
    )
}  # fmt: skip
"""Every tool that is known, by its name."""
