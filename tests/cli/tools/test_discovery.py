"""Finding tools: what is remembered, and when it is forgotten."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cyxmake_cli.tools.discovery import Discovery, at_least, version_in
from cyxmake_cli.tools.table import TOOLS


def _tool(folder: Path, name: str, says: str) -> Path:
    """Write a program that tells its version, and notes that it was asked."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho x >> {folder}/asked-{name}\necho '{says}'\n")
    path.chmod(0o755)
    return path


def _asked(folder: Path, name: str) -> int:
    file = folder / f"asked-{name}"
    return len(file.read_text().split()) if file.exists() else 0


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("cmake version 3.25.1\n\nCMake suite", "3.25.1"),
        ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0", "12.2.0-14"),
        ("go version go1.26.8 linux/amd64", "1.26.8"),
        ("This is perl 5, version 36, subversion 0 (v5.36.0)", "5.36.0"),
        ('openjdk version "17.0.15" 2025-04-15', "17.0.15"),
        ("LLVM (http://llvm.org/):\n  LLVM version 14.0.6", "14.0.6"),
        ("nothing", ""),
        ("1.0.1", "1.0.1"),
        ("bison 38", "38"),
    ],
)
def test_versions_are_read_from_what_tools_say(text: str, version: str) -> None:
    """The number with dots is the version, wherever it stands."""
    assert version_in(text).startswith(version.partition("-")[0])
    assert bool(version_in(text)) == bool(version)


def test_versions_compare_by_numbers() -> None:
    """1.10 is newer than 1.9, and 3.19 no older than 3.19."""
    assert at_least("1.10.2", "1.9")
    assert at_least("3.19", "3.19")
    assert not at_least("3.9.6", "3.19")


def test_what_is_here_is_asked_once_until_it_changes(tmp_path: Path) -> None:
    """A second look asks nothing; another file, another PATH or a removal is seen."""
    folder, file = tmp_path / "bin", tmp_path / "tools.json"
    path = _tool(folder, "cmake", "cmake version 3.18.4")
    environ = {"PATH": f"{folder}:/bin:/usr/bin"}

    def look() -> list[tuple[str, str, tuple[str, ...]]]:
        found = Discovery(environ, file).find(("cmake", "scons"))
        return [(tool.path, tool.version, tool.can) for tool in found if tool.path == str(path)]

    assert look() == [(str(path), "3.18.4", ("file-api",))]
    assert look() == [(str(path), "3.18.4", ("file-api",))]
    assert _asked(folder, "cmake") == 1
    _tool(folder, "cmake", "cmake version 3.28.0 (new)")
    assert look() == [(str(path), "3.28.0", ("file-api", "presets", "c++20-modules"))]
    path.unlink()
    assert look() == []
    environ["PATH"] = "/nowhere"
    assert Discovery(environ, file).find(("cmake",)) == ()
    file.write_text("{damaged")
    assert Discovery(environ, file).path("cmake") is None


def test_a_tool_that_hangs_or_fails_has_no_version(tmp_path: Path) -> None:
    """Whatever a program does when it is asked, it is only without a version."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("ninja", "#!/nowhere\n"), ("meson", "#!/bin/sh\nexit 3\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    found = Discovery({"PATH": str(folder)}, tmp_path / "t.json").find(("ninja", "meson"))
    assert [(tool.name, tool.version) for tool in found] == [("ninja", ""), ("meson", "")]


def test_the_table_is_long_and_a_warm_look_is_quick(tmp_path: Path) -> None:
    """More than 60 tools; all of them in less than 0.1 s when they were seen before."""
    assert len(TOOLS) > 60
    environ = {"PATH": os.environ["PATH"]}
    file = tmp_path / "tools.json"
    wanted = ("gcc", "cmake", "ninja", "git")
    first = Discovery(environ, file).find(wanted)
    for name in TOOLS:
        Discovery(environ, file).path(name)
    start = time.process_time()
    assert Discovery(environ, file).find(wanted) == first
    assert time.process_time() - start < 0.1
