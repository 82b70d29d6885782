"""Real files, links and directories of a temporary directory, mirrored in a tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cyxmake_common.cas.tree import InputTree
from cyxmake_common.cas.tree_scan import TreeScanner
from cyxmake_common.cas.tree_walk import TreeDirectory, TreeFile, TreeSymlink
from cyxmake_common.digest import Digest


class _Scan:
    """A scanner over a directory, and what it put in the tree, by path below that directory."""

    def __init__(self, root: Path) -> None:
        self.root = str(root.resolve())
        self.hashed: list[str] = []
        self.tree = InputTree()
        self.scanner = TreeScanner(self.tree, self._digest)

    def _digest(self, path: str) -> Digest:
        self.hashed.append(path.removeprefix(self.root))
        return Digest.of_file(path)

    def add(self, path: str) -> bool:
        return self.scanner.add_path(self.root + path)

    def add_directory(self, path: str) -> bool:
        return self.scanner.add_directory(self.root + path)

    def found(self) -> dict[str, str]:
        """Return what is below the root: `file`, `tool`, `dir`, or a symlink's target."""
        found = {}
        for entry in self.tree.entries():
            path = entry.path.removeprefix(self.root)
            if path == entry.path or not path:
                continue
            match entry:
                case TreeFile():
                    found[path] = "tool" if entry.executable else "file"
                case TreeDirectory():
                    found[path] = "dir"
                case TreeSymlink():
                    found[path] = "-> " + entry.target.replace(self.root, "ROOT")
        return found


@pytest.fixture
def scan(tmp_path: Path) -> _Scan:
    """Return a scanner over a directory with a few files."""
    (tmp_path / "inc" / "sub").mkdir(parents=True)
    (tmp_path / "inc" / "a.h").write_text("a")
    (tmp_path / "inc" / "sub" / "b.h").write_text("b")
    (tmp_path / "tool").write_text("#!")
    (tmp_path / "tool").chmod(0o755)
    return _Scan(tmp_path)


def test_files_stand_at_their_paths(scan: _Scan) -> None:
    """Digest and executable bit are those of the file."""
    assert scan.add("/inc/a.h")
    assert scan.add("/tool")
    assert scan.found() == {"/inc": "dir", "/inc/a.h": "file", "/tool": "tool"}
    digests = {file.path.removeprefix(scan.root): file.digest for file in scan.tree.files()}
    assert digests["/inc/a.h"] == Digest.of(b"a")


def test_a_link_to_a_file_comes_with_the_file(scan: _Scan) -> None:
    """Relative and absolute targets, through chains; each link once."""
    root = Path(scan.root)
    (root / "rel.h").symlink_to("inc/a.h")
    (root / "abs.h").symlink_to(root / "rel.h")
    assert scan.add("/abs.h")
    assert scan.found() == {
        "/abs.h": "-> ROOT/rel.h",
        "/rel.h": "-> inc/a.h",
        "/inc": "dir",
        "/inc/a.h": "file",
    }
    assert scan.hashed == ["/inc/a.h"]


def test_a_link_to_a_directory_on_the_way(scan: _Scan) -> None:
    """The file stands where it is; the path given reaches it through the link."""
    root = Path(scan.root)
    (root / "current").symlink_to("inc/sub")
    assert scan.add("/current/b.h")
    assert scan.found() == {
        "/current": "-> inc/sub",
        "/inc": "dir",
        "/inc/sub": "dir",
        "/inc/sub/b.h": "file",
    }


def test_dots_after_a_link_start_where_it_leads(scan: _Scan) -> None:
    """`link/../a.h` is next to the link's target, as the kernel has it, not next to the link."""
    root = Path(scan.root)
    (root / "link").symlink_to("inc/sub")
    (root / "a.h").write_text("the wrong one")
    assert scan.add("/link/../a.h")
    assert scan.found() == {
        "/link": "-> inc/sub",
        "/inc": "dir",
        "/inc/sub": "dir",
        "/inc/a.h": "file",
    }


def test_a_directory_that_is_only_passed_through_is_there(scan: _Scan) -> None:
    """`inc/sub/../a.h` cannot be opened in the copy unless `inc/sub` exists."""
    assert scan.add("/inc/sub/.././/a.h")
    assert scan.found() == {"/inc": "dir", "/inc/sub": "dir", "/inc/a.h": "file"}


def test_the_root_has_no_parent(scan: _Scan) -> None:
    """`/..` is `/`."""
    assert scan.scanner.add_path("/../.." + scan.root + "/inc/a.h")
    assert "/inc/a.h" in scan.found()
    assert scan.scanner.add_directory("/")
    assert scan.scanner.add_path("/")


def test_what_is_missing(scan: _Scan) -> None:
    """Missing files, files used as directories, dangling links and loops: False, links mirrored."""
    root = Path(scan.root)
    (root / "dangling").symlink_to("nowhere/x")
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    for path in ("/none", "/none/x", "/inc/a.h/x", "/inc/a.h/", "/inc/a.h/..", "/dangling", "/one"):
        assert not scan.add(path), path
    for path in ("/none", "/inc/a.h", "/one/x", "/dangling"):
        assert not scan.add_directory(path), path
    assert scan.found() == {"/dangling": "-> nowhere/x", "/one": "-> two", "/two": "-> one"}
    assert scan.hashed == []


def test_missing_is_not_remembered(scan: _Scan) -> None:
    """A header, and the directory that it is in, may be generated later in the build."""
    root = Path(scan.root)
    assert not scan.add("/gen/new.h")
    assert not scan.add_directory("/gen")
    (root / "gen").mkdir()
    (root / "gen" / "new.h").write_text("1")
    assert scan.add("/gen/new.h")
    (root / "gen" / "new.h").write_text("22")
    assert scan.add("/gen/new.h")
    assert [file.digest.size for file in scan.tree.files()] == [2]


def test_directories(scan: _Scan) -> None:
    """A directory is mirrored without what is in it, also through a link or with a slash."""
    root = Path(scan.root)
    (root / "to").symlink_to("inc")
    assert scan.add_directory("/to/sub/")
    assert scan.add("/inc/")
    assert scan.found() == {"/to": "-> inc", "/inc": "dir", "/inc/sub": "dir"}


def test_devices_and_pipes_count_as_nothing(scan: _Scan) -> None:
    """What is neither file nor directory cannot be sent, and is not opened."""
    assert not scan.scanner.add_path("/dev/null")
    os.mkfifo(scan.root + "/pipe")
    assert not scan.add("/pipe")


def test_paths_are_absolute(scan: _Scan) -> None:
    """A relative path is a mistake of the caller."""
    with pytest.raises(ValueError, match="absolute"):
        scan.scanner.add_path("inc/a.h")
    with pytest.raises(ValueError, match="absolute"):
        scan.scanner.add_directory("inc")


@pytest.mark.parametrize(
    "path",
    ["/x/y/../z/b.h", "/x/up/inc/a.h", "/x/l2/../../inc/sub/b.h", "/x/y/../../x/z/../sub/./b.h"],
)
def test_the_copy_resolves_like_the_original(scan: _Scan, tmp_path: Path, path: str) -> None:
    """Written out elsewhere, the tree gives the same file for the same odd path."""
    root = Path(scan.root)
    (root / "x" / "y").mkdir(parents=True)
    (root / "x" / "z").symlink_to("../inc/sub")
    (root / "x" / "up").symlink_to("..")
    (root / "x" / "l2").symlink_to("up/inc/sub")
    assert scan.add(path)
    copy = tmp_path / "copy"
    for place, kind in sorted(scan.found().items()):
        target = copy / place[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        if kind == "dir":
            target.mkdir(exist_ok=True)
        elif kind.startswith("-> "):
            target.symlink_to(kind[3:])
        else:
            target.write_bytes((root / place[1:]).read_bytes())
    expected = Path(scan.root + path).read_bytes()
    assert Path(f"{copy}{path}").read_bytes() == expected


def test_a_tree_is_current_until_something_in_it_changes(scan: _Scan) -> None:
    """A file or a link that is gone or another ends it; a new one does not."""
    root = Path(scan.root)
    (root / "link").symlink_to("inc")
    assert scan.add("/link/a.h") and scan.add("/inc/sub/b.h")
    (root / "inc/new.h").write_text("new")
    assert scan.scanner.is_current()
    (root / "inc/sub/b.h").write_text("other")
    assert not scan.scanner.is_current()
    (root / "inc/sub/b.h").unlink()
    assert not scan.scanner.is_current()
    (root / "inc/sub/b.h").write_text("b")
    assert scan.scanner.is_current()
    (root / "link").unlink()
    (root / "link").symlink_to("inc/../inc")
    assert not scan.scanner.is_current()
