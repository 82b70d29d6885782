"""The agent as a process: one at a time, ends when told, speaks to nobody else."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cyxmake_cli.launcher import builds, protocol
from cyxmake_cli.launcher.channel import connect
from cyxmake_cli.launcher.home import Home
from cyxmake_cli.launcher.protocol import CompileRequest
from cyxmake_cli.launcher.starting import ensure_agent
from support.processes import environment

pytestmark = pytest.mark.e2e


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with an agent in it, whose clusters are all out of reach."""
    made = Home(tmp_path / "cache" / "launcher")
    made.make()
    return made


def env_of(home: Home, **more: str) -> dict[str, str]:
    """Return an environment whose agent belongs to a scratch home."""
    return environment(CYXMAKE_CACHE_DIR=str(home.path.parent), **more)


def ask(home: Home, data: bytes) -> bytes:
    """Say something to the agent; return everything that it says."""
    with connect(home, 20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
        return answer


def test_one_agent_of_many_starters(home: Home) -> None:
    """However many start it at the same moment; it is gone when it was stopped."""
    code = (
        "import os; from pathlib import Path\n"
        "from cyxmake_cli.launcher.home import Home\n"
        "from cyxmake_cli.launcher.starting import ensure_agent\n"
        f"ensure_agent(Home(Path({str(home.path)!r})), os.environ, 60)\n"
    )
    starters = [subprocess.Popen([sys.executable, "-c", code], env=env_of(home)) for _ in range(6)]
    assert [starter.wait(90) for starter in starters] == [0] * 6
    status = builds.status(home)
    assert status is not None
    assert home.log.read_text().count("ready") == 1
    assert home.socket.stat().st_mode & 0o777 == 0o600
    assert home.path.stat().st_mode & 0o777 == 0o700
    assert builds.end_agent(home)
    assert builds.status(home) is None
    assert not builds.end_agent(home)


def test_nonsense_does_not_hurt_it(home: Home) -> None:
    """Other protocols, cut-off requests, unknown questions: the connection ends, nothing else."""
    ensure_agent(home, env_of(home))
    try:
        for data in (
            b"",
            b"GET / HTTP/1.1\r\n\r\n" * 10,
            protocol.HEADER.pack(protocol.MAGIC, 100, 0, 1, 0, 0, 0) + b"short",
            protocol.HEADER.pack(protocol.MAGIC, 4, 0, 9, 9, 0, 0) + b"abc\0",
            protocol.control_request(b"{}"),
            protocol.control_request(b"[" * 100_000),
            protocol.control_request(b'{"ask": "unknown"}'),
            protocol.control_request(b'{"ask": "begin", "build": 1, "environ": 5}'),
        ):
            assert ask(home, data) == b""
        assert builds.status(home) is not None
    finally:
        builds.end_agent(home)


def test_a_compile_that_is_not_its_affair_goes_back(home: Home, tmp_path: Path) -> None:
    """Unknown programs, an unreadable token, no cluster yet: run it yourself, at once."""
    ensure_agent(home, env_of(home))
    try:
        for argv, environ in (
            (("moc", "-c", "a.c"), {}),
            (("gcc", "-c", "a.c"), {"CYXMAKE_TOKEN": "cyx1.nonsense"}),
        ):
            request = CompileRequest(str(tmp_path), "/usr/bin/gcc", argv, environ)
            with connect(home, 20) as connection:
                connection.sendall(request.to_bytes())
                assert connection.recv(1) == protocol.LOCAL
        status = builds.status(home)
        assert status is not None
        assert status["served"]["local"] == 2
        assert "nonsense" not in home.log.read_text()
    finally:
        builds.end_agent(home)


def test_sigterm_ends_it_in_order(home: Home) -> None:
    """The socket goes with it."""
    ensure_agent(home, env_of(home))
    status = builds.status(home)
    assert status is not None
    process = os.pidfd_open(status["pid"])
    signal.pidfd_send_signal(process, signal.SIGTERM)
    assert select.select([process], [], [], 20)[0]
    os.close(process)
    assert not home.socket.exists()
    assert "ended" in home.log.read_text()


def test_it_leaves_its_starter_alone(home: Home) -> None:
    """It holds none of the starter's pipes open: `make | tee` ends when make does."""
    code = (
        "import os; from pathlib import Path\n"
        "from cyxmake_cli.launcher.home import Home\n"
        "from cyxmake_cli.launcher.starting import ensure_agent\n"
        f"ensure_agent(Home(Path({str(home.path)!r})), os.environ, 60)\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], env=env_of(home), capture_output=True, timeout=90,
            check=True,
        )  # fmt: skip
        assert done.stdout == b""
        status = builds.status(home)
        assert status is not None
        links = Path(f"/proc/{status['pid']}/fd").iterdir()
        targets = {str(link.readlink()) for link in links if int(link.name) < 3}
        assert targets == {"/dev/null"}
        assert Path(f"/proc/{status['pid']}/cwd").readlink() == home.path
    finally:
        builds.end_agent(home)
