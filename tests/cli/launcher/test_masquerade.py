"""Folders of stand-ins: made, refreshed, removed; and nothing else touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cyxmake_cli.launcher.home import MARKER
from cyxmake_cli.launcher.masquerade import compiler_names, install, installed, remove
from cyxmake_common.errors import UsageError


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """Some program."""
    program = tmp_path / "stub"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def names(folder: Path) -> set[str]:
    """Return what is in a folder."""
    return {path.name for path in folder.iterdir()}


def test_names_are_those_of_compilers_in_path(tmp_path: Path, stub: Path) -> None:
    """Versions and prefixes included; no tools of compilers, no stand-ins, only programs."""
    tools = tmp_path / "tools"
    tools.mkdir()
    wanted = {"cc", "g++-12", "clang", "x86_64-linux-gnu-gcc-12", "clang++-14"}
    for name in (*wanted, "gcc-ar", "clang-format", "gcov", "ccache", "gccgo"):
        (tools / name).touch(mode=0o755)
    (tools / "gcc").touch(mode=0o644)
    install(tmp_path / "folder", stub, ("c++",))
    path = os.pathsep.join([str(tmp_path / "folder"), str(tools), str(tmp_path / "missing"), ""])
    assert set(compiler_names(path)) == wanted


def test_install_again_keeps_step_with_path(tmp_path: Path, stub: Path) -> None:
    """New names appear, gone ones disappear, links lead to the new stub."""
    folder = tmp_path / "deep" / "folder"
    install(folder, stub, ("gcc", "clang"))
    other = stub.with_name("other")
    stub.rename(other)
    install(folder, other, ("gcc", "g++"))
    assert installed(folder) == ["g++", "gcc"]
    assert names(folder) == {"gcc", "g++", MARKER}
    assert (folder / "gcc").resolve() == other


def test_remove_leaves_what_others_put_there(tmp_path: Path, stub: Path) -> None:
    """Only what the marker lists goes; an empty folder goes too."""
    folder = tmp_path / "folder"
    install(folder, stub, ("gcc",))
    (folder / "mine").touch()
    assert remove(folder) == ["gcc"]
    assert names(folder) == {"mine"}
    (folder / "mine").unlink()
    folder.rmdir()
    install(folder, stub, ("gcc",))
    remove(folder)
    assert not folder.exists()


def test_a_folder_with_other_things_is_refused(tmp_path: Path, stub: Path) -> None:
    """Neither filled nor emptied; a marker that names paths removes nothing outside."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "gcc").write_text("precious")
    with pytest.raises(UsageError, match="not empty"):
        install(folder, stub, ("gcc",))
    with pytest.raises(UsageError, match="no stand-ins"):
        remove(folder)
    (folder / MARKER).write_text("../stub\n..\n.\n")
    remove(folder)
    assert stub.exists()
    assert (folder / "gcc").read_text() == "precious"
