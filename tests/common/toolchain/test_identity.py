"""The toolchain id, and how long a capture is believed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cyxmake_common.cas.tree import InputTree
from cyxmake_common.digest import Digest
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_common.toolchain.identity import Toolchain, ToolchainStore
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.manifest import MANIFEST_PATH, ToolchainManifest
from cyxmake_common.toolchain.probe import CompilerProbe

GCC = shutil.which("gcc")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(GCC is None, reason="gcc is not installed"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder where gcc is captured already."""
    path = tmp_path_factory.mktemp("toolchains")
    assert isinstance(ToolchainStore(path).get(str(GCC)), Toolchain)
    return path


def loaded(folder: Path, compiler: str = str(GCC)) -> Toolchain:
    """Return a toolchain as a new process would get it."""
    toolchain = ToolchainStore(folder).get(compiler)
    assert isinstance(toolchain, Toolchain), toolchain
    return toolchain


def command(text: str) -> CompileCommand:
    """Return a command that must be accepted."""
    parsed = parse_compile(text.split())
    assert isinstance(parsed, CompileCommand)
    return parsed


def test_tree_holds_the_compiler(folder: Path) -> None:
    """The tree's entries are the captured files, with their digests, and the manifest."""
    toolchain = loaded(folder)
    blobs = toolchain.blobs()
    tree = InputTree.load(toolchain.id, lambda digest: toolchain.directories[digest])
    files = {file.path: file.digest for file in tree.files()}
    assert set(files.values()) <= set(blobs)
    for digest in files.values():
        source = blobs[digest]
        assert (
            Digest.of(source) if isinstance(source, bytes) else Digest.of_file(source)
        ) == digest
    manifest = ToolchainManifest.from_bytes(toolchain.directories[files[MANIFEST_PATH]])
    assert manifest.kind is toolchain.kind
    assert manifest.builtin_for(command("gcc -c a.c")) == toolchain.builtin_includes["c"]
    assert manifest.builtin_for(command("gcc -m32 -c a.c")) is None
    assert ToolchainManifest.from_bytes(manifest.to_bytes()) == manifest
    with pytest.raises(ValueError, match="manifest"):
        ToolchainManifest.from_bytes(b"[]")


def test_warm_load_is_the_same(folder: Path, tmp_path: Path) -> None:
    """What is read back equals what a fresh capture finds, for every name of the family."""
    fresh = ToolchainStore(tmp_path).get(str(GCC))
    assert isinstance(fresh, Toolchain)
    for name in fresh.names:
        again = loaded(folder, name)
        assert again == loaded(folder)
        assert again.id == fresh.id
    assert again.directories == fresh.directories
    assert again.files == fresh.files


def test_changed_file_is_noticed(tmp_path: Path) -> None:
    """A compiler whose files change is captured anew, and then has another id."""
    own = tmp_path / "tools/bin/gcc"
    own.parent.mkdir(parents=True)
    shutil.copy2(os.path.realpath(str(GCC)), own)
    # The driver looks for its programs beside itself: PREFIX/lib/gcc/TARGET/VERSION/cc1.
    inner = Path(CompilerProbe(str(GCC), os.environ).program("cc1") or "").parents[2]
    (tmp_path / "tools" / inner.parent.name).mkdir()
    (tmp_path / "tools" / inner.parent.name / inner.name).symlink_to(inner)
    store = tmp_path / "store"
    first = ToolchainStore(store).get(str(own))
    assert isinstance(first, Toolchain), first
    assert loaded(store, str(own)) == first
    data = own.read_bytes()
    own.write_bytes(data + b"\0")
    assert loaded(store, str(own)).id != first.id


def test_changed_variables_are_noticed(folder: Path) -> None:
    """Another PATH may mean another assembler: the capture is made again."""
    environ = {**os.environ, "PATH": os.environ["PATH"] + ":/nowhere"}
    files = set(folder.iterdir())
    assert isinstance(ToolchainStore(folder, environ).get(str(GCC)), Toolchain)
    assert set(folder.iterdir()) == files
    assert isinstance(ToolchainStore(folder).get(str(GCC)), Toolchain)


def test_damaged_record_is_a_miss(tmp_path: Path) -> None:
    """A record that cannot be read is captured again."""
    toolchain = loaded(tmp_path)
    for path in tmp_path.glob("*.toolchain"):
        path.write_bytes(b"\x81\xa6format\x01")
    assert loaded(tmp_path).id == toolchain.id
    for path in tmp_path.glob("*.toolchain"):
        path.write_bytes(b"garbage")
    assert loaded(tmp_path).id == toolchain.id


def test_unwritable_folder_is_no_error(tmp_path: Path) -> None:
    """Without a folder to write to, the answer is the same."""
    (tmp_path / "file").write_text("")
    assert isinstance(ToolchainStore(tmp_path / "file/below").get(str(GCC)), Toolchain)


def test_refusals_are_values(tmp_path: Path) -> None:
    """A compiler that cannot be captured is refused, each time with the same reason."""
    store = ToolchainStore(tmp_path)
    refusal = store.get(str(tmp_path / "gcc"))
    assert isinstance(refusal, LocalOnly)
    assert store.get(str(tmp_path / "gcc")) is refusal
    assert store.builtin_includes(str(tmp_path / "gcc"), command("gcc -c a.c"), "/") is refusal


def test_search_flags_are_asked_for(folder: Path) -> None:
    """Flags that change the search are put to the compiler itself, once."""
    store = ToolchainStore(folder)
    plain = store.builtin_includes(str(GCC), command("gcc -c a.c"), "/")
    assert isinstance(plain, tuple)
    bare = store.builtin_includes(str(GCC), command("gcc -nostdinc -c a.c"), "/")
    assert bare == ()
    assert store.builtin_includes(str(GCC), command("gcc -march=x86-64 -c a.c"), "/") == plain
    rooted = store.builtin_includes(str(GCC), command("gcc --sysroot=/nowhere -c a.c"), "/")
    assert isinstance(rooted, tuple)
    assert "/usr/include" not in rooted
    again = ToolchainStore(folder)
    assert again.builtin_includes(str(GCC), command("gcc -nostdinc -c a.c"), "/") == ()
    refusal = store.builtin_includes(str(GCC), command("gcc -mfrob -m16 -mabi=no -c a.c"), "/")
    assert isinstance(refusal, LocalOnly)
