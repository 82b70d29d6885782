"""The data directory: its lock, its permissions, and the files that tell who serves."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from cyxmake_common.errors import ConfigError
from cyxmake_coordinator.data_dir import DataDir, write_private


def test_the_lock_is_exclusive_and_comes_back(tmp_path: Path) -> None:
    """A second holder is refused until the first lets go."""
    data = DataDir(tmp_path)
    first, second = data.lock(), data.lock()
    assert first.try_acquire()
    assert data.served()
    assert not second.try_acquire()
    first.release()
    assert not data.served()
    assert second.try_acquire()
    second.release()


def test_address_and_pid_mean_something_only_while_locked(tmp_path: Path) -> None:
    """Files left by a killed server are not believed."""
    data = DataDir(tmp_path)
    lock = data.lock()
    assert lock.try_acquire()
    with data.announce("wss://127.0.0.1:1"):
        assert data.read_address() == "wss://127.0.0.1:1"
        assert data.read_pid() == os.getpid()
        lock.release()
        assert (data.read_address(), data.read_pid()) == ("", 0)
    assert not (tmp_path / "address").exists()


def test_nobody_serves_where_nothing_is(tmp_path: Path) -> None:
    """Asking about a directory that does not exist creates nothing."""
    data = DataDir(tmp_path / "none")
    assert not data.served()
    assert not data.root.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX")
def test_private_means_private(tmp_path: Path) -> None:
    """The directory is 0700 even when it was not, and tokens are 0600 from their first byte."""
    data = DataDir(tmp_path / "d")
    data.root.mkdir(mode=0o755)
    data.prepare()
    assert stat.S_IMODE(data.root.stat().st_mode) == 0o700
    write_private(data.admin_token, "secret")
    assert stat.S_IMODE(data.admin_token.stat().st_mode) == 0o600


def test_a_file_in_the_way_is_a_config_error(tmp_path: Path) -> None:
    """What cannot be a directory is told with a next step."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--data-dir"):
        DataDir(tmp_path / "file" / "d").prepare()
