"""Whether outputs hold the project's place: in plain sight, compressed, or not at all."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_worker.rooted_output import has_compressed_sections, mentions_root, names_root

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a compiler")


def compiled(directory: Path, *flags: str) -> Path:
    """Compile something small and return the object."""
    source, output = directory / "a.c", directory / "a.o"
    source.write_text("int f(int x) { return x + 1; }\n")
    subprocess.run(["gcc", *flags, "-c", str(source), "-o", str(output)], check=True, cwd=directory)
    return output


@needs_gcc
def test_plain_code_holds_no_place(tmp_path: Path) -> None:
    """Neither the root nor anything that could hide it."""
    output = compiled(tmp_path)
    assert not mentions_root(("gcc", "-c"), [output], str(tmp_path))
    assert not has_compressed_sections(output.read_bytes())


@needs_gcc
def test_debug_information_holds_the_place(tmp_path: Path) -> None:
    """Compressed, it counts as holding it."""
    assert mentions_root(("gcc",), [compiled(tmp_path, "-g")], str(tmp_path))
    packed = compiled(tmp_path, "-g", "-gz=zlib")
    assert str(tmp_path).encode() not in packed.read_bytes()
    assert mentions_root(("gcc",), [packed], str(tmp_path))
    mapped = compiled(
        tmp_path, "-g", f"-ffile-prefix-map={tmp_path}=/x", "-gno-record-gcc-switches"
    )
    assert not mentions_root(("gcc",), [mapped], str(tmp_path))


def test_intermediate_code_and_unknown_objects_count_as_holding_it(tmp_path: Path) -> None:
    """What cannot be searched is not believed to be clean."""
    plain = tmp_path / "a.txt"
    plain.write_bytes(b"nothing")
    assert mentions_root(("gcc", "-flto=auto"), [plain], "/p")
    assert not mentions_root(("gcc",), [plain], "/p")
    assert not mentions_root(("gcc",), [plain], ""), "no root, no place"
    for data in (b"\x7fELF\x02\x02" + bytes(100), b"\x7fELF\x02\x01", b"\x7fELF.zdebug_info"):
        assert has_compressed_sections(data)
    assert not has_compressed_sections(b"int f;")


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ('-DROOT="/p"', True),
        ("-Wp,-DROOT=/p", True),
        ("-frandom-seed=/p/a.o", True),
        ("-I/p/include", False),
        ("-ffile-prefix-map=/p=.", False),
        ("-DX=1", False),
    ],
)
def test_arguments_that_hand_the_root_to_the_code(option: str, names: bool) -> None:
    """A macro's text can be measured; the name of a folder is only searched."""
    command = parse_compile(["gcc", option, "-c", "/p/a.c", "-o", "/p/a.o"])
    assert isinstance(command, CompileCommand)
    assert names_root(command, "/p") == names
