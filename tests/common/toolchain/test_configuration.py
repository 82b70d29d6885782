"""Specs, configuration files and programs that appear, change or go: each makes another toolchain.

Everything is done to copies of real compilers, and what they then compile is held against what the
captured tree compiles in a root that holds nothing else.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cyxmake_common.toolchain.identity import Toolchain, ToolchainStore
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.probe import CompilerProbe
from support.empty_root import EmptyRootCompiler, available

GCC = shutil.which("gcc")
CLANG = shutil.which("clang")
needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is not installed")
needs_clang = pytest.mark.skipif(CLANG is None, reason="clang is not installed")
needs_root = pytest.mark.skipif(not available(), reason="bubblewrap can't make a root here")
pytestmark = pytest.mark.e2e


class Copy:
    """A copied compiler and the store that captures it; every look is that of a new process."""

    def __init__(self, driver: Path, folder: Path) -> None:
        self.driver = driver
        self.folder = folder

    def look(self, **variables: str) -> Toolchain | LocalOnly:
        """Return the toolchain as it is now."""
        return ToolchainStore(self.folder / "store", {**os.environ, **variables}).get(
            str(self.driver)
        )

    def id(self, **variables: str) -> str:
        """Return the id of a toolchain that can be captured."""
        toolchain = self.look(**variables)
        assert isinstance(toolchain, Toolchain), toolchain
        return toolchain.id.hash

    def compile(self) -> bytes:
        """Compile a source that shows a macro, here and in an empty root; return the object."""
        (self.folder / "a.c").write_text(
            "#ifdef CONFIGURED\nint configured;\n#else\nint plain;\n#endif\n"
        )
        store = ToolchainStore(self.folder / "store")
        both = EmptyRootCompiler(store, self.folder, self.folder / "blobs").compile_both(
            [str(self.driver), "-c", "a.c", "-o", "a.o"], self.folder
        )
        assert both[0] == both[1]
        assert both[0].exit_code == 0, both[0].stderr
        return both[0].outputs["a.o"]


@pytest.fixture
def gcc(tmp_path: Path) -> Copy:
    """Return a gcc that finds its programs beside itself, in folders that can be written."""
    driver = tmp_path / "tools/bin/gcc"
    driver.parent.mkdir(parents=True)
    shutil.copy2(os.path.realpath(str(GCC)), driver)
    inner = Path(CompilerProbe(str(GCC), os.environ).program("cc1") or "").parent
    own = tmp_path / "tools" / inner.relative_to(inner.parents[3])
    own.mkdir(parents=True)
    for entry in inner.iterdir():
        (own / entry.name).symlink_to(entry)
    return Copy(driver, tmp_path)


def specs(defined: str) -> str:
    """Return specs with which a macro is defined in every compile."""
    return f"*cc1:\n+ -D{defined}\n\n"


@needs_gcc
@needs_root
def test_specs_beside_libgcc(gcc: Copy) -> None:
    """They come, change and go; while they are there they are shipped, and they take effect."""
    own = Path(CompilerProbe(str(gcc.driver), os.environ).program("cc1") or "").parent
    assert own.is_relative_to(gcc.folder)
    plain = gcc.id()
    assert b"plain" in gcc.compile()
    place = own / "specs"
    place.write_text(specs("CONFIGURED"))
    configured = gcc.id()
    assert configured != plain
    assert b"configured" in gcc.compile()
    place.write_text(specs("ANOTHER"))
    assert gcc.id() not in (plain, configured)
    place.unlink()
    assert gcc.id() == plain


@needs_gcc
def test_a_program_that_is_found_earlier(gcc: Copy) -> None:
    """An assembler in the compiler's own folder goes before the one in PATH."""
    own = Path(CompilerProbe(str(gcc.driver), os.environ).program("cc1") or "").parent
    plain = gcc.id()
    shutil.copy2(os.path.realpath(str(shutil.which("as"))), own / "as")
    with (own / "as").open("ab") as file:
        file.write(b"\0")
    assert gcc.id() != plain
    (own / "as").unlink()
    assert gcc.id() == plain


@needs_gcc
def test_variables_that_lead_to_other_programs(gcc: Copy, tmp_path: Path) -> None:
    """GCC_EXEC_PREFIX and COMPILER_PATH name folders; what is in them is part of the toolchain."""
    inner = Path(CompilerProbe(str(GCC), os.environ).program("cc1") or "").parent
    other = tmp_path / "other" / inner.relative_to(inner.parents[2])
    other.mkdir(parents=True)
    for entry in inner.iterdir():
        (other / entry.name).symlink_to(entry)
    variables = {"GCC_EXEC_PREFIX": f"{tmp_path}/other/gcc/"}
    plain, moved = gcc.id(), gcc.id(**variables)
    (other / "specs").write_text(specs("CONFIGURED"))
    assert gcc.id(**variables) not in (plain, moved)
    assert gcc.id() == plain

    found = tmp_path / "found"
    found.mkdir()
    shutil.copy2(os.path.realpath(str(shutil.which("as"))), found / "as")
    with (found / "as").open("ab") as file:
        file.write(b"\0")
    taken = gcc.look(COMPILER_PATH=str(found))
    assert isinstance(taken, Toolchain)
    assert str(found / "as") in taken.files.values()
    assert taken.id.hash != plain


@needs_gcc
def test_specs_that_only_a_variable_leads_to(gcc: Copy, tmp_path: Path) -> None:
    """No worker has LIBRARY_PATH: such a compiler compiles here."""
    (tmp_path / "libraries").mkdir()
    assert isinstance(gcc.look(LIBRARY_PATH=f"{tmp_path}/libraries"), Toolchain)
    (tmp_path / "libraries/specs").write_text(specs("CONFIGURED"))
    refused = gcc.look(LIBRARY_PATH=f"{tmp_path}/libraries")
    assert isinstance(refused, LocalOnly)
    assert "found through LIBRARY_PATH" in refused.reason


@pytest.fixture
def clang(tmp_path: Path) -> Copy:
    """Return a clang that looks for a gcc beside itself, and is called by its target's name."""
    target = CompilerProbe(str(CLANG), os.environ).ask("-dumpmachine")
    driver = tmp_path / f"tools/bin/{target}-clang"
    driver.parent.mkdir(parents=True)
    shutil.copy2(os.path.realpath(str(CLANG)), driver)
    resources = Path(CompilerProbe(str(CLANG), os.environ).ask("-print-resource-dir"))
    own = Path(CompilerProbe(str(driver), os.environ).ask("-print-resource-dir"))
    own.parent.mkdir(parents=True, exist_ok=True)
    own.symlink_to(resources)
    report = CompilerProbe(str(CLANG), os.environ).search("c")
    inner = Path(os.path.realpath(report.installations[-1]))
    (tmp_path / "tools/lib/gcc" / inner.parent.name).mkdir(parents=True)
    (tmp_path / "tools/lib/gcc" / inner.parent.name / inner.name).symlink_to(inner)
    return Copy(driver, tmp_path)


@needs_clang
@needs_root
def test_clangs_configuration_file(clang: Copy) -> None:
    """A file named as the driver comes, is shipped, takes effect, changes and goes."""
    plain = clang.id()
    assert b"plain" in clang.compile()
    config = clang.driver.with_name(clang.driver.name + ".cfg")
    config.write_text("-DCONFIGURED\n")
    configured = clang.id()
    assert configured != plain
    assert b"configured" in clang.compile()
    config.write_text("-DANOTHER\n")
    assert clang.id() not in (plain, configured)
    config.unlink()
    assert clang.id() == plain


@needs_clang
def test_another_gcc_beside_clang(clang: Copy) -> None:
    """clang takes the headers of the newest gcc: one that is installed makes it another clang."""
    (folder,) = (clang.folder / "tools/lib/gcc").iterdir()
    (version,) = folder.iterdir()
    plain = clang.id()
    newer = folder / str(int(version.name.partition(".")[0]) + 1)
    newer.mkdir()
    for name in ("crtbegin.o", "crtend.o"):
        (newer / name).symlink_to(version / name)
    assert clang.id() != plain
    shutil.rmtree(newer)
    assert clang.id() == plain


@needs_clang
def test_clangs_own_headers(clang: Copy) -> None:
    """A header of the resource directory changes: the toolchain does, too."""
    own = Path(CompilerProbe(str(clang.driver), os.environ).ask("-print-resource-dir"))
    resources = own.resolve()
    own.unlink()
    for name in ("include", "share"):
        if (resources / name).is_dir():
            shutil.copytree(resources / name, own / name, symlinks=True)
    plain = clang.id()
    (own / "include/stddef.h").write_text((own / "include/stddef.h").read_text() + "\n")
    changed = clang.id()
    assert changed != plain
    (own / "include/added.h").write_text("")
    assert clang.id() not in (plain, changed)
