"""Files inside of other roots: links lead inside, and nothing outside is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_common.includes.rooted import RootedFileSystem


@pytest.fixture
def roots(tmp_path: Path) -> RootedFileSystem:
    """Return two roots over each other, with links of every kind between them."""
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for path, text in {
        upper / "p/a.h": "upper a",
        lower / "p/a.h": "lower a",
        lower / "p/b.h": "lower b",
        lower / "usr/lib/x.h": "x",
        tmp_path / "secret.h": "secret",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (lower / "lib").symlink_to("usr/lib")
    (upper / "p/abs").symlink_to("/lib")
    (upper / "p/out").symlink_to("../../../../../secret.h")
    (upper / "p/host").symlink_to(tmp_path / "secret.h")
    (upper / "p/loop").symlink_to("loop")
    (upper / "p/link.h").symlink_to("b.h")
    return RootedFileSystem([str(upper), str(lower)])


def test_first_root_counts(roots: RootedFileSystem) -> None:
    """A name in several roots is that of the first."""
    assert roots.read("/p/a.h")[0] == b"upper a"
    assert roots.read("/p/b.h")[0] == b"lower b"


def test_links_lead_inside(roots: RootedFileSystem) -> None:
    """Absolute links begin at the roots; a link in one root may lead to a file in the other."""
    assert roots.read("/p/abs/x.h")[0] == b"x"
    assert roots.read("/lib/../lib/x.h")[0] == b"x"
    assert roots.read("/p/link.h")[0] == b"lower b"
    assert roots.is_file("/p/abs/../lib/./x.h")
    assert roots.is_directory("/p/abs")
    assert roots.is_directory("/")
    assert roots.read_link("/p/abs") == "/lib"
    assert roots.read_link("/p/a.h") is None
    assert roots.read_link("/nowhere/x") is None
    assert roots.identity("/p/abs/x.h") == roots.identity("/usr/lib/x.h")


@pytest.mark.parametrize("path", ["/p/out", "/p/host", "/p/loop", "/../secret.h", "/p/none/a.h"])
def test_nothing_outside_is_seen(roots: RootedFileSystem, path: str) -> None:
    """Links that would lead out, or nowhere, lead nowhere."""
    assert not roots.is_file(path)
    assert roots.identity(path) is None
    with pytest.raises(OSError, match="No such file"):
        roots.read(path)
