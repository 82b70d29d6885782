"""What a capture collects, and which compilers it refuses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cyxmake_common.toolchain.capture import CapturedToolchain, capture, family, unsuitable
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.libraries import is_elf, libraries_of, read_program
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.probe import ProbeFailed, parse_search, which

GCC = shutil.which("gcc")
CLANG = shutil.which("clang")
needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is not installed")
needs_clang = pytest.mark.skipif(CLANG is None, reason="clang is not installed")

CLANG_TEXT = """Debian clang version 14.0.6
Found candidate GCC installation: /usr/bin/../lib/gcc/x86_64-linux-gnu/12
Selected GCC installation: /usr/bin/../lib/gcc/x86_64-linux-gnu/12
Configuration file: /etc/clang/x.cfg
ignoring nonexistent directory "/include"
#include "..." search starts here:
#include <...> search starts here:
 /usr/lib/clang/14/include
 /usr/local/include dir
 /usr/include
End of search list.
# 1 "/dev/null"
"""


def test_search_text() -> None:
    """The compiler's own words give the directories, and what it looked at to find them."""
    report = parse_search(CLANG_TEXT)
    assert report.includes == (
        "/usr/lib/clang/14/include",
        "/usr/local/include dir",
        "/usr/include",
    )
    assert report.missing == ("/include",)
    assert report.installations == ("/usr/bin/../lib/gcc/x86_64-linux-gnu/12",)
    assert report.read == ("/etc/clang/x.cfg",)
    with pytest.raises(ProbeFailed, match="include directories"):
        parse_search("something else")


@needs_gcc
@pytest.mark.e2e
def test_gcc() -> None:
    """Driver with every link, inner compilers, assembler, loader, libraries, own headers."""
    captured = capture(str(GCC))
    assert isinstance(captured, CapturedToolchain), captured
    names = {Path(path).name for path in captured.files}
    assert {"gcc", "cc1", "as", "stddef.h", "libc.so.6"} <= names
    assert captured.kind is CompilerKind.GCC
    assert captured.version[0].isdigit()
    assert captured.target.count("-") >= 2
    assert all(os.path.lexists(path) for path in captured.files)
    assert captured.builtin_includes["c"][-1] == "/usr/include"
    assert captured.builtin_includes["assembler-with-cpp"] == captured.builtin_includes["c"]
    interpreter = read_program(str(GCC)).interpreter
    assert interpreter in captured.files


@needs_clang
@pytest.mark.e2e
def test_clang() -> None:
    """clang needs the files by which it knows a gcc installation."""
    captured = capture(str(CLANG))
    assert isinstance(captured, CapturedToolchain), captured
    assert captured.kind is CompilerKind.CLANG
    assert any(path.endswith("/crtbegin.o") for path in captured.files)
    assert any(path.endswith("/include/stddef.h") for path in captured.files)


@needs_gcc
def test_family_is_one_toolchain() -> None:
    """The C and the C++ driver and all their names belong together."""
    names = family(str(GCC))
    assert GCC in names
    if (Path(str(GCC)).parent / "g++").exists():
        assert any(name.endswith("g++") for name in names)
        assert family(next(name for name in names if name.endswith("g++"))) == names
    assert not any(name.endswith(("gcc-ar", "gcov")) for name in names)


@needs_gcc
@needs_clang
def test_two_compilers_in_one_folder_are_no_family(tmp_path: Path) -> None:
    """Where `cc` is clang and `c++` is gcc's, neither brings the other along."""
    (tmp_path / "cc").symlink_to(str(CLANG))
    (tmp_path / "c++").symlink_to(str(GCC).removesuffix("gcc") + "g++")
    for name in ("cc", "c++"):
        assert family(str(tmp_path / name)) == (str(tmp_path / name),)


def test_wrappers_are_refused(tmp_path: Path) -> None:
    """Scripts and shims run another compiler than the one that would be captured (trap 27)."""
    script = tmp_path / "gcc"
    script.write_text('#!/bin/sh\nexec /usr/bin/gcc -O2 "$@"\n')
    script.chmod(0o755)
    shim = tmp_path / "bin/gcc"
    shim.parent.mkdir()
    (tmp_path / "ccache").write_bytes(b"\x7fELF")
    shim.symlink_to("../ccache")
    for path, reason in (
        (script, "script"),
        (shim, "another compiler"),
        (tmp_path / "missing", "exist"),
    ):
        refusal = unsuitable(str(path))
        assert isinstance(refusal, LocalOnly)
        assert reason in refusal.reason
        assert capture(str(path)) == refusal


def test_program_that_is_no_compiler() -> None:
    """A program that does not answer as a compiler is refused, not captured."""
    refusal = capture("/bin/true")
    assert isinstance(refusal, LocalOnly)
    assert "can't be captured" in refusal.reason


@needs_gcc
def test_libraries_without_running() -> None:
    """Libraries are found transitively from ELF headers."""
    libraries, missing = libraries_of([str(GCC)])
    assert not missing
    assert any("libc.so" in path or "ld-musl" in path for path in libraries)
    assert all(is_elf(path) for path in libraries if path != "/etc/ld.so.cache")


@needs_gcc
def test_library_path_of_the_caller(tmp_path: Path) -> None:
    """A library that is only found through LD_LIBRARY_PATH would be another one on a worker."""
    libc = next(name for name in read_program(str(GCC)).needed if "libc." in name)
    (tmp_path / libc).write_bytes(b"\x7fELF")
    assert libraries_of([str(GCC)], [str(tmp_path)])[1] == [libc]
    environ = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path / "empty")}
    assert isinstance(capture(str(GCC), environ=environ), CapturedToolchain)


def test_damaged_program(tmp_path: Path) -> None:
    """A file that only begins like a program is a ValueError, not a crash."""
    (tmp_path / "x").write_bytes(b"\x7fELF" + b"\0" * 8)
    with pytest.raises(ValueError, match="no ELF file"):
        read_program(str(tmp_path / "x"))
    assert not is_elf(str(tmp_path / "missing"))


def test_which_follows_the_given_path(tmp_path: Path) -> None:
    """Programs are looked up in the PATH that is passed, in its order."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").write_text("")
        (tmp_path / name / "tool").chmod(0o755)
    assert which("tool", f"relative:{tmp_path}/a:{tmp_path}/b") == f"{tmp_path}/a/tool"
    assert which("none", str(tmp_path)) is None


@needs_gcc
def test_a_driver_under_another_languages_name(tmp_path: Path) -> None:
    """g++ called cc compiles C as C++: nobody could tell from its name."""
    gxx = shutil.which("g++")
    if gxx is None:
        pytest.skip("no g++ here")
    (tmp_path / "cc").symlink_to(gxx)
    (tmp_path / "c++").symlink_to(str(GCC))
    for name in ("cc", "c++"):
        refused = capture(str(tmp_path / name))
        assert isinstance(refused, LocalOnly)
        assert "another language than its name says" in refused.reason
