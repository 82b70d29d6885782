"""Local compilers: found once, told by content, used to fill the store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.store import read_all
from cyxmake_common.digest import Digest
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_worker.toolchains import LocalToolchains, find_toolchains


def made_up(files: dict[Digest, str], directory: bytes = b"directory") -> Toolchain:
    """Return a toolchain of some files and one directory blob."""
    return Toolchain(
        id=Digest.of(directory),
        kind=CompilerKind.GCC,
        version="1.0",
        target="x86_64-linux-gnu",
        names=("/usr/bin/gcc",),
        directories={Digest.of(directory): directory},
        files=files,
        builtin_includes={},
    )


async def test_a_local_toolchain_is_put_into_the_store(tmp_path: Path) -> None:
    """Directories and files, large ones in pieces."""
    large = bytes(range(256)) * 4096
    (tmp_path / "cc1").write_bytes(large)
    toolchain = made_up({Digest.of(large): str(tmp_path / "cc1")})
    store = MemoryStore()
    local = LocalToolchains([toolchain])
    await local.seed(Digest.of(b"another tree"), store)
    assert await store.find_missing([toolchain.id]) == {toolchain.id}
    await local.seed(toolchain.id, store)
    assert await read_all(store, toolchain.id) == b"directory"
    assert await read_all(store, Digest.of(large)) == large
    (fact,) = local.facts()
    assert (fact.id, fact.kind, fact.version) == (toolchain.id, "gcc", "1.0")


async def test_a_file_that_changed_is_left_to_the_network(tmp_path: Path) -> None:
    """What is on disk now is not what the id names; no wrong byte gets in, the rest does."""
    (tmp_path / "as").write_bytes(b"new")
    (tmp_path / "cc1").write_bytes(b"cc1")
    old, gone, good = Digest.of(b"old"), Digest.of(b"gone"), Digest.of(b"cc1")
    files = {old: str(tmp_path / "as"), gone: str(tmp_path / "x"), good: str(tmp_path / "cc1")}
    toolchain = made_up(files)
    store = MemoryStore()
    await LocalToolchains([toolchain]).seed(toolchain.id, store)
    assert await store.find_missing([old, gone, good]) == {old, gone}


async def test_an_empty_path_has_no_compilers(tmp_path: Path) -> None:
    """Such a worker uses what is sent."""
    assert (await find_toolchains(tmp_path, {"PATH": ""})).facts() == ()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a compiler")
async def test_all_names_of_a_compiler_are_one_toolchain(tmp_path: Path) -> None:
    """gcc, g++ and cc are one tree; the second look is from memory and finds the same."""
    environ = {"PATH": "/usr/bin:/bin"}
    names = ("gcc", "g++", "cc")
    first = await find_toolchains(tmp_path, environ, names)
    again = await find_toolchains(tmp_path, environ, names)
    assert again.facts() == first.facts()
    assert len({fact.id for fact in first.facts()}) == len(first.facts())
    assert any(fact.kind == "gcc" for fact in first.facts())
