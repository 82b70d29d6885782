"""The memo of file digests: what it trusts, what it reads again, what it keeps."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest

from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.digest import Digest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file."""
    path = tmp_path / "a.h"
    path.write_bytes(b"one")
    return path


def _later(file: Path, seconds: float) -> Callable[[], float]:
    """Return a clock that stands some seconds after the file's last change."""
    status = file.stat()
    now = max(status.st_mtime, status.st_ctime) + seconds
    return lambda: now


def test_an_unchanged_file_is_read_once(file: Path) -> None:
    """A settled digest is believed while the file looks the same."""
    digests = FileDigests(clock=_later(file, 10))
    assert digests(str(file)) == digests.digest(str(file)) == Digest.of(b"one")
    assert digests.hashed == 1
    assert repr(digests) == "<FileDigests 1 known, 1 hashed>"


def test_a_changed_file_is_read_again(file: Path) -> None:
    """Size, time and inode each give a change away."""
    digests = FileDigests(clock=_later(file, 10))
    digests(str(file))
    file.write_bytes(b"three")
    assert digests(str(file)) == Digest.of(b"three")
    os.utime(file, ns=(0, 1))
    digests(str(file))
    other = file.with_name("other")
    other.write_bytes(b"THREE")
    os.utime(other, ns=(0, 1))
    other.replace(file)
    assert digests(str(file)) == Digest.of(b"THREE")
    assert digests.hashed == 4


def test_a_file_changed_just_now_is_not_trusted(file: Path) -> None:
    """A second write within one tick of the file system's clock would look the same."""
    digests = FileDigests(clock=_later(file, 1.9))
    status = file.stat()
    digests(str(file))
    with file.open("r+b") as same_inode:
        same_inode.write(b"two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digests(str(file)) == Digest.of(b"two")
    assert digests.hashed == 2


def test_forgetting(file: Path) -> None:
    """A forgotten file is read again, even if it looks the same."""
    digests = FileDigests(clock=_later(file, 10))
    digests(str(file))
    digests.forget(str(file))
    digests.forget(str(file))
    digests(str(file))
    assert digests.hashed == 2


def test_a_lost_file_is_an_error(file: Path) -> None:
    """What cannot be read raises OSError, also when it was known."""
    digests = FileDigests(clock=_later(file, 10))
    digests(str(file))
    file.unlink()
    with pytest.raises(FileNotFoundError):
        digests(str(file))


def test_settled_digests_outlive_the_run(file: Path, tmp_path: Path) -> None:
    """The next run reads nothing again but what changed or was fresh."""
    cache = tmp_path / "cache" / "digests"
    odd = tmp_path / os.fsdecode(b"\xff.h")
    odd.write_bytes(b"odd")
    later = _later(odd, 10)
    first = FileDigests(cache, later)
    first.load()
    first(str(file))
    first(str(odd))
    first.save()
    written = cache.stat()
    first.save()
    assert cache.stat() == written
    second = FileDigests(cache, later)
    second.load()
    assert second(str(file)) == Digest.of(b"one")
    assert second(str(odd)) == Digest.of(b"odd")
    assert second.hashed == 0
    assert [path.name for path in cache.parent.iterdir()] == ["digests"]


def test_fresh_digests_are_not_kept(file: Path, tmp_path: Path) -> None:
    """A digest that is not trusted in this run is not trusted in the next one."""
    first = FileDigests(tmp_path / "digests", _later(file, 1))
    first(str(file))
    first.save()
    second = FileDigests(tmp_path / "digests", _later(file, 10))
    second.load()
    second(str(file))
    assert second.hashed == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1 not msgpack",
        msgpack.packb((99, [])),
        msgpack.packb((1, [["path", [1, 2, 3], b"", 1]])),
        msgpack.packb((1, [["path", [1, 2, 3, 4], "text", 1]])),
        msgpack.packb((1, [["path", [1, 2, 3, 4], b"short", 1]])),
        msgpack.packb((1, 5)),
        msgpack.packb([1]),
        msgpack.packb((1, []))[:-1],
        msgpack.packb((1, [])) + b"x",
    ],
)
def test_an_unreadable_cache_counts_as_empty(file: Path, tmp_path: Path, data: bytes) -> None:
    """Damage costs reading the files again, nothing else."""
    cache = tmp_path / "digests"
    cache.write_bytes(data)
    digests = FileDigests(cache, _later(file, 10))
    digests.load()
    assert digests(str(file)) == Digest.of(b"one")
    assert digests.hashed == 1
    digests.save()
    again = FileDigests(cache, _later(file, 10))
    again.load()
    again(str(file))
    assert again.hashed == 0


def test_without_a_cache_file(file: Path) -> None:
    """Loading and saving do nothing."""
    digests = FileDigests()
    digests.load()
    before = sorted(file.parent.iterdir())
    digests(str(file))
    digests.save()
    assert digests.hashed == 1
    assert sorted(file.parent.iterdir()) == before
