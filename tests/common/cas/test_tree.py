"""Input trees: REAPI's bytes, small changes, conflicts, hostile trees."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyxmake_common.action import Directory
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.cas.tree_walk import (
    TreeCrawl,
    TreeDirectory,
    TreeFile,
    TreeSymlink,
    walk_tree,
)
from cyxmake_common.cas.tree_wire import varint
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import DigestMismatch, ProtocolError

_A, _B = Digest.of(b"a"), Digest.of(b"b" * 300)


def test_the_empty_tree_is_the_empty_directory() -> None:
    """Its digest is that of no bytes, as in every REAPI implementation."""
    root, blobs = InputTree().build()
    assert root.hash == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert (root.size, blobs) == (0, {EMPTY: b""})


def test_a_small_tree_has_the_bytes_of_the_specification() -> None:
    """The encoding equals bytes written by hand from remote_execution.proto."""
    tree = InputTree()
    tree.add_file("/a/z.h", _A)
    tree.add_file("/a/tool", _B, executable=True)
    tree.add_symlink("/a/link", "z.h")
    tree.add_file("/a/empty", EMPTY)
    root, blobs = tree.build()
    # Field 1, length-delimited: tag 0x0a. Digest {1: hash (64 bytes), 2: size, left out when 0}.
    digest_a = b"\x0a\x40" + _A.hash.encode() + b"\x10\x01"
    digest_b = b"\x0a\x40" + _B.hash.encode() + b"\x10\xac\x02"  # 300 = 0xac 0x02
    digest_0 = b"\x0a\x40" + EMPTY.hash.encode()
    assert (len(digest_a), len(digest_b), len(digest_0)) == (68, 69, 66)
    # FileNode {1: name, 2: digest, 4: is_executable}; Directory {1: files, 3: symlinks}.
    empty = b"\x0a\x05empty" + b"\x12\x42" + digest_0
    tool = b"\x0a\x04tool" + b"\x12\x45" + digest_b + b"\x20\x01"
    zh = b"\x0a\x03z.h" + b"\x12\x44" + digest_a
    link = b"\x0a\x04link" + b"\x12\x03z.h"
    inner = b""
    for node in (empty, tool, zh):
        inner += b"\x0a" + bytes([len(node)]) + node
    inner += b"\x1a" + bytes([len(link)]) + link
    # Directory {2: directories}, DirectoryNode {1: name, 2: digest}; the size takes two bytes.
    size = len(inner)
    assert 128 <= size < 16384
    sub = b"\x0a\x40" + hashlib.sha256(inner).hexdigest().encode()
    sub += b"\x10" + bytes([size % 128 + 128, size // 128])
    node = b"\x0a\x01a" + b"\x12" + bytes([len(sub)]) + sub
    outer = b"\x12" + bytes([len(node)]) + node
    assert blobs == {Digest.of(inner): inner, Digest.of(outer): outer}
    assert root == Digest.of(outer)


@pytest.mark.parametrize(
    ("value", "wire"),
    [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**40, "808080808020")],
)
def test_varint(value: int, wire: str) -> None:
    """Numbers are in groups of seven bits, the least significant first."""
    assert varint(value).hex() == wire


_names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6
).filter(lambda name: name not in (".", ".."))
_short = st.sampled_from(["a", "b", "c", "é", "\U0001f600", "\uffff", "Z", "a.h", "include"])
_paths = st.lists(_short | _names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
_contents = st.sampled_from([_A, _B, EMPTY, Digest("f" * 64, 2**35)])
_changes = st.lists(
    st.one_of(
        st.tuples(st.just("file"), _paths, _contents, st.booleans()),
        st.tuples(st.just("symlink"), _paths, st.sampled_from(["../x", "/abs", "é"])),
        st.tuples(st.just("directory"), _paths),
        st.tuples(st.just("remove"), _paths),
        st.tuples(st.just("build")),
    ),
    max_size=25,
)


def _encode_slowly(entries: list[object]) -> tuple[Digest, dict[Digest, bytes]]:
    """Encode a list of entries through action.Directory, from scratch."""
    blobs: dict[Digest, bytes] = {}

    def encode(path: str) -> Digest:
        inside = [e for e in entries if e.path != "/" and e.path.rpartition("/")[0] == path]  # type: ignore[attr-defined]
        data = Directory(
            files=tuple(
                (e.path.rpartition("/")[2], e.digest, e.executable)
                for e in inside
                if isinstance(e, TreeFile)
            ),
            directories=tuple(
                (e.path.rpartition("/")[2], encode(e.path))
                for e in inside
                if isinstance(e, TreeDirectory)
            ),
            symlinks=tuple(
                (e.path.rpartition("/")[2], e.target) for e in inside if isinstance(e, TreeSymlink)
            ),
        ).to_bytes()
        blobs[Digest.of(data)] = data
        return Digest.of(data)

    return encode(""), blobs


def _apply(tree: InputTree, changes: list[tuple[object, ...]]) -> None:
    for change in changes:
        try:
            match change:
                case ("file", str(path), Digest() as digest, bool(executable)):
                    tree.add_file(path, digest, executable)
                case ("symlink", str(path), str(target)):
                    tree.add_symlink(path, target)
                case ("directory", str(path)):
                    tree.add_directory(path)
                case ("remove", str(path)):
                    tree.remove(path)
                case _:
                    tree.build()
        except ValueError:
            continue


@given(_changes)
@settings(max_examples=150, deadline=None)
def test_any_history_encodes_as_from_scratch(changes: list[tuple[object, ...]]) -> None:
    """Kept encodings never go stale, and equal those of action.Directory byte for byte."""
    tree = InputTree()
    _apply(tree, changes)
    root, blobs = tree.build()
    assert (root, blobs) == _encode_slowly(list(tree.entries()))
    loaded = InputTree.load(root, blobs.__getitem__)
    assert loaded.build() == (root, blobs)
    key = str
    assert sorted(walk_tree(root, blobs.__getitem__), key=key) == sorted(tree.entries(), key=key)


@given(_changes, _changes)
@settings(max_examples=100, deadline=None)
def test_a_merge_equals_adding_everything(
    ours: list[tuple[object, ...]], theirs: list[tuple[object, ...]]
) -> None:
    """Merging is adding each entry of the other tree; a conflict changes nothing."""
    tree, other, expected = InputTree(), InputTree(), InputTree()
    _apply(tree, ours)
    _apply(expected, ours)
    _apply(other, theirs)
    before, theirs_before = tree.build(), other.build()
    try:
        tree.merge(other)
    except ValueError:
        assert tree.build() == before
        return
    for entry in other.entries():
        match entry:
            case TreeDirectory(path):
                expected.add_directory(path)
            case TreeFile(path, digest, executable):
                expected.add_file(path, digest, executable)
            case TreeSymlink(path, target):
                expected.add_symlink(path, target)
    assert tree.build() == expected.build()
    tree.add_file("/only-in-ours", _A)
    for directory in [e.path for e in tree.entries() if isinstance(e, TreeDirectory)]:
        tree.add_file(directory.rstrip("/") + "/new-here", _B)
    assert other.build() == theirs_before


def test_a_change_leaves_other_directories_alone() -> None:
    """One new file makes as many new blobs as its path has directories; the others are shared."""
    tree = InputTree()
    for n in range(2000):
        tree.add_file(f"/src/dir{n // 40}/sub{n % 7}/file{n}.h", _A)
    _, before = tree.build()
    tree.add_file("/src/dir3/sub1/new.h", _B)
    _, after = tree.build()
    assert len(after.keys() - before.keys()) == 4
    shared = after.keys() & before.keys()
    assert all(after[digest] is before[digest] for digest in shared)
    tree.remove("/src/dir3/sub1/new.h")
    assert tree.build()[1] == before


def test_adding_what_is_there_changes_nothing() -> None:
    """The same file again does not even mark its directory."""
    tree = InputTree()
    tree.add_file("/a/f", _A)
    tree.add_symlink("/a/l", "f")
    tree.build()
    settled = repr(tree)
    tree.add_file("/a/f", _A)
    tree.add_symlink("/a/l", "f")
    tree.add_directory("/a")
    assert repr(tree) == settled
    tree.add_file("/a/f", _A, executable=True)
    assert "changed" in repr(tree)


def test_the_last_word_stands() -> None:
    """A file and a symlink replace each other."""
    tree = InputTree()
    tree.add_symlink("/a", "b")
    tree.add_file("/a", _A)
    assert list(tree.files()) == [TreeFile("/a", _A, False)]
    tree.add_symlink("/a", "b")
    assert list(tree.entries()) == [TreeDirectory("/"), TreeSymlink("/a", "b")]


def test_conflicts_are_refused() -> None:
    """Nothing but a directory has entries, and a directory is not overwritten by anything else."""
    tree = InputTree()
    tree.add_file("/dir/file", _A)
    tree.add_symlink("/link", "dir")
    before = tree.build()
    for path in ("/dir/file/x", "/link/x"):
        with pytest.raises(ValueError, match="no directory"):
            tree.add_file(path, _A)
        with pytest.raises(ValueError, match="no directory"):
            tree.add_directory(path)
    with pytest.raises(ValueError, match="a directory at"):
        tree.add_file("/dir", _A)
    with pytest.raises(ValueError, match="a directory at"):
        tree.add_symlink("/dir", "x")
    assert tree.build() == before


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "a",
        "a/b",
        "/a/",
        "//a",
        "/a//b",
        "/./a",
        "/a/.",
        "/a/../b",
        "/..",
        "/a\0b",
        "/a/\udc80",
    ],
)
def test_paths_must_be_resolved(path: str) -> None:
    """Whoever builds the tree resolves paths; the tree takes no second spelling of one."""
    tree = InputTree()
    with pytest.raises(ValueError, match=r"path|Unicode"):
        tree.add_file(path, _A)
    assert not tree.remove(path)
    assert tree.build()[0] == EMPTY


def test_too_deep_paths_are_refused() -> None:
    """No tree is deeper than what a reader of trees accepts."""
    tree = InputTree()
    tree.add_file("/d" * 199 + "/f", _A)
    with pytest.raises(ValueError, match="deeper"):
        tree.add_file("/d" * 200 + "/f", _A)
    root, blobs = tree.build()
    assert InputTree.load(root, blobs.__getitem__).build()[0] == root


def test_removing() -> None:
    """A directory goes with everything in it; what is not there is no error."""
    tree = InputTree()
    tree.add_file("/a/b/c", _A)
    tree.add_file("/a/d", _A)
    assert tree.remove("/a/b")
    assert not tree.remove("/a/b/c")
    assert not tree.remove("/a/x/y")
    assert [file.path for file in tree.files()] == ["/a/d"]
    tree.add_file("/a/b/e", _A)
    assert sorted(file.path for file in tree.files()) == ["/a/b/e", "/a/d"]


def _bomb(levels: int) -> tuple[Digest, dict[Digest, bytes]]:
    """Return a tree whose every directory holds the next one twice."""
    blobs = {EMPTY: b""}
    digest = EMPTY
    for _ in range(levels):
        data = Directory(directories=(("a", digest), ("b", digest))).to_bytes()
        digest = Digest.of(data)
        blobs[digest] = data
    return digest, blobs


def test_a_tree_that_explodes_is_refused() -> None:
    """40 small blobs that stand for 2**40 directories end at the limit of entries."""
    root, blobs = _bomb(40)
    seen = 0
    with pytest.raises(ProtocolError, match="too large"):
        for _ in walk_tree(root, blobs.__getitem__, max_entries=5000):
            seen += 1
    assert seen <= 5000


def test_a_tree_that_is_too_deep_is_refused() -> None:
    """Depth is limited for walking and for crawling."""
    blobs, digest = {EMPTY: b""}, EMPTY
    for _ in range(300):
        data = Directory(directories=(("d", digest),)).to_bytes()
        digest = Digest.of(data)
        blobs[digest] = data
    with pytest.raises(ProtocolError, match="deeper"):
        list(walk_tree(digest, blobs.__getitem__))
    crawl = TreeCrawl(digest)
    with pytest.raises(ProtocolError, match="deeper"):
        while crawl.wanted:
            for wanted in crawl.wanted:
                crawl.receive(wanted, blobs[wanted])


def test_hostile_names_are_refused() -> None:
    """A name that leaves its directory never gets out of a decoded tree."""
    for name in ("..", "a/b", "", "."):
        data = Directory(files=((name, _A, False),)).to_bytes()
        with pytest.raises(ProtocolError):
            list(walk_tree(Digest.of(data), {Digest.of(data): data}.__getitem__))


def test_a_crawl_finds_every_directory_once() -> None:
    """Level by level, each blob is wanted once, in spite of a tree that explodes when walked."""
    root, blobs = _bomb(40)
    crawl = TreeCrawl(root)
    received = 0
    while crawl.wanted:
        for digest in crawl.wanted:
            crawl.receive(digest, blobs[digest])
            received += 1
    assert (crawl.blobs, received) == (blobs, 41)
    assert "41 here, 0 wanted" in repr(crawl)


def test_a_crawl_collects_files_and_checks_bytes() -> None:
    """It says which file blobs are needed, and takes no other bytes for a directory."""
    tree = InputTree()
    tree.add_file("/a/f", _A)
    tree.add_file("/g", _B)
    root, blobs = tree.build()
    crawl = TreeCrawl(root)
    with pytest.raises(DigestMismatch):
        crawl.receive(root, b"other")
    while crawl.wanted:
        for digest in crawl.wanted:
            crawl.receive(digest, blobs[digest])
    assert crawl.files == {_A, _B}


def test_a_crawl_is_limited() -> None:
    """Entries and the size of a directory's blob have limits."""
    tree = InputTree()
    for n in range(50):
        tree.add_file(f"/f{n}", _A)
    root, blobs = tree.build()
    with pytest.raises(ProtocolError, match="too large"):
        TreeCrawl(root, max_entries=40).receive(root, blobs[root])
    data = Directory(directories=(("huge", Digest("0" * 64, 1 << 40)),)).to_bytes()
    with pytest.raises(ProtocolError, match="bytes"):
        TreeCrawl(Digest.of(data)).receive(Digest.of(data), data)
