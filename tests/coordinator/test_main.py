"""The command line, as people and other programs use it: real processes, signals, exit codes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cyxmake_common.errors import Denied, ExitStatus
from cyxmake_common.net.token import JoinToken
from cyxmake_common.net.wss import Introduction, connect
from cyxmake_common.protocol.messages import JobComplete
from cyxmake_coordinator.data_dir import DataDir
from support.peers import FakeClient, FakeWorker, compile_action, hang
from support.processes import Program, environment, python, start

PROGRAM = "cyxmake_coordinator.main"


@dataclass
class Desk:
    """A data directory and the command line on it."""

    home: Path
    servers: list[Program] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """Return the data directory."""
        return self.home / "data"

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        argv = [*python(PROGRAM, *arguments), "--data-dir", str(self.data)]
        return subprocess.run(
            argv, env=environment(), capture_output=True, text=True, check=False, timeout=60
        )

    def text(self, *arguments: str) -> str:
        """Run one command that must succeed and return what it printed."""
        done = self.call(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def serve(self, *arguments: str) -> Program:
        """Start a server and wait until it is ready."""
        argv = python(PROGRAM, "serve", "--port", "0", "--data-dir", str(self.data), *arguments)
        server = start(argv, self.home / "log", environment())
        self.servers.append(server)
        return server

    def token(self, role: str, *arguments: str) -> JoinToken:
        """Make a token."""
        return JoinToken.parse(self.text("token", "create", "--role", role, *arguments))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An empty data directory; servers are stopped at the end."""
    made = Desk(tmp_path)
    yield made
    for server in made.servers:
        server.kill()
        assert server.process.stdout is not None
        server.process.stdout.close()


def test_help_and_version_are_quick_and_complete(desk: Desk) -> None:
    """Every command is in the help, and each has its own."""
    argv = python(PROGRAM, "--help")
    begun = time.perf_counter()
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - begun
    for command in ("serve", "start", "stop", "status", "token", "workers", "drain", "fsck"):
        assert f"\n  {command} " in done.stdout
        assert "--data-dir" in desk_help(command)
    assert seconds < 2.0  # 0.07 s on an idle machine; this one may be busy
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", PROGRAM, "--help"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    for heavy in ("asyncio", "pydantic", "websockets", "structlog", "cryptography", "aiosqlite"):
        assert f" {heavy}\n" not in imported


def desk_help(command: str) -> str:
    """Return the help of a command, or of all commands of a group."""
    names = [["token", name] for name in ("create", "list", "revoke")]
    texts = []
    for argv in names if command == "token" else [[command]]:
        done = subprocess.run(
            python(PROGRAM, *argv, "--help"),
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        texts.append(done.stdout)
    return "\n".join(texts)


def test_tokens_before_the_first_serve(desk: Desk) -> None:
    """`token create` makes what it needs, prints the token alone, and the server keeps the keys."""
    before = desk.token("client", "--address", "wss://build.example:9876", "--expires", "never")
    assert before.address == "wss://build.example:9876"
    assert desk.token("worker").address == "wss://127.0.0.1:9876"
    server = desk.serve()
    after = desk.token("client")
    assert after.address == server.ready.rpartition(" ")[2]
    assert after.ca_fingerprint == before.ca_fingerprint
    listed = json.loads(desk.text("token", "list", "--json"))
    assert [(t["role"], t["state"]) for t in listed] == [
        ("client", "active"),
        ("worker", "active"),
        ("admin", "active"),
        ("client", "active"),
    ]
    table = desk.text("token", "list")
    assert before.token_id in table
    assert before.secret not in table


def test_the_ready_line_is_all_there_is_on_standard_output(desk: Desk) -> None:
    """Logs go to standard error; the end is quick and clean, and leaves no address behind."""
    server = desk.serve("--log-json", "--log-level", "debug")
    assert server.ready.startswith("cyxmake-coordinator ready at wss://127.0.0.1:")
    assert server.process.stdout is not None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.stdout.read() == b""
    assert server.process.wait(5) == 0
    events = [json.loads(line)["event"] for line in server.text().splitlines()]
    assert events[0] == "serving"
    assert events[-1] == "stopping"
    assert not (desk.data / "address").exists()
    assert not (desk.data / "pid").exists()


def test_a_second_server_is_refused(desk: Desk) -> None:
    """One data directory has one server; the second names it and ends with the config status."""
    desk.serve()
    done = desk.call("serve", "--port", "0")
    assert done.returncode == ExitStatus.CONFIG
    assert done.stdout == ""
    assert "another coordinator runs" in done.stderr
    assert "Traceback" not in done.stderr
    assert desk.call("fsck").returncode == ExitStatus.CONFIG


def test_a_taken_port_is_told(desk: Desk, tmp_path: Path) -> None:
    """The error names the address and what to do."""
    port = desk.serve().ready.rpartition(":")[2]
    other = Desk(tmp_path / "other")
    done = other.call("serve", "--port", port)
    assert done.returncode == ExitStatus.CONFIG
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "next: " in done.stderr


def test_mistakes_have_their_exit_codes(desk: Desk) -> None:
    """Usage, configuration and an absent server are told apart, each in one line."""
    for status, arguments in (
        (ExitStatus.USAGE, ("token", "create", "--role", "worker", "--expires", "soon")),
        (ExitStatus.USAGE, ("token", "create", "--role", "boss")),
        (ExitStatus.USAGE, ("token", "revoke", "nobody")),
        (ExitStatus.CONFIG, ("serve", "--config", "none.toml")),
        (ExitStatus.CONFIG, ("token", "create", "--role", "worker", "--address", "build")),
        (ExitStatus.CLUSTER_UNREACHABLE, ("status",)),
        (ExitStatus.CLUSTER_UNREACHABLE, ("drain", "w1")),
    ):
        done = desk.call(*arguments)
        assert done.returncode == status, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
        assert "rror: " in done.stderr


async def test_revocation_and_expiry_cut_off_live_sessions(desk: Desk) -> None:
    """Another process revokes a token; within two seconds its session has been told and closed."""
    await asyncio.to_thread(desk.serve)
    token = await asyncio.to_thread(desk.token, "client")
    short = await asyncio.to_thread(desk.token, "client", "--expires", "3s")
    stays = await FakeClient.join(await asyncio.to_thread(desk.token, "client"))
    client, brief = await FakeClient.join(token), await FakeClient.join(short)
    bulk = await client.bulk()
    answer = await asyncio.to_thread(desk.text, "token", "revoke", token.token_id)
    revoked = time.monotonic()
    assert answer == f"token {token.token_id} (client) is revoked\n"
    await client.closed()
    await asyncio.wait_for(bulk.closed.wait(), 2)
    assert time.monotonic() - revoked < 2.0
    for refused in (client.control, bulk):
        assert isinstance(refused.failure, Denied)
    await brief.closed()
    assert isinstance(brief.control.failure, Denied)
    assert not stays.control.closed.is_set()
    with pytest.raises(Denied, match="not accepted"):
        await connect(token, Introduction())
    for peer in (client, brief, stays):
        await peer.leave()


async def test_sigterm_says_goodbye_and_ends(desk: Desk) -> None:
    """Worker and client are told, even while an action runs; the program ends with status 0."""
    server = await asyncio.to_thread(desk.serve)
    worker = await FakeWorker.join(await asyncio.to_thread(desk.token, "worker"), hang)
    client = await FakeClient.join(await asyncio.to_thread(desk.token, "client"))
    action, blobs = compile_action()
    await client.upload(*blobs)
    client.request(action)
    await asyncio.wait_for(worker.offered.wait(), 5)
    begun = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    for peer in (worker, client):
        goodbye = await asyncio.wait_for(peer.goodbye, 5)
        assert goodbye.retry
    assert time.monotonic() - begun < 1.0
    await asyncio.to_thread(server.process.wait, 5)
    # The end takes 0.1 s on an idle machine; this one may be busy with other tests.
    assert time.monotonic() - begun < 2.0, server.text()
    assert server.process.returncode == 0
    assert "Traceback" not in server.text()
    await worker.leave()
    await client.leave()


async def test_a_peer_that_does_not_read_does_not_hold_up_the_end(desk: Desk) -> None:
    """A stopped process at the other end must not delay us; here: a peer that never closes."""
    server = await asyncio.to_thread(desk.serve)
    token = await asyncio.to_thread(desk.token, "client")
    code = (
        "import asyncio, sys, time\n"
        "from cyxmake_common.net.token import JoinToken\n"
        "from cyxmake_common.net.wss import Introduction, connect\n"
        "async def main():\n"
        "    await connect(JoinToken.parse(sys.stdin.readline()), Introduction())\n"
        "    print('connected', flush=True)\n"
        "    time.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    deaf = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert deaf.stdin is not None
        assert deaf.stdout is not None
        deaf.stdin.write(token.text().encode() + b"\n")
        deaf.stdin.close()
        assert await asyncio.to_thread(deaf.stdout.readline) == b"connected\n"
        assert await asyncio.to_thread(server.stop) < 1.5
        deaf.stdout.close()
    finally:
        deaf.kill()
        deaf.wait(10)


async def test_kill_and_restart_keep_tokens_keys_and_results(desk: Desk) -> None:
    """After kill -9 the same token works and a finished action is answered from the cache."""
    server = await asyncio.to_thread(desk.serve)
    worker = await FakeWorker.join(await asyncio.to_thread(desk.token, "worker"))
    token = await asyncio.to_thread(desk.token, "client")
    client = await FakeClient.join(token)
    action, blobs = compile_action()
    await client.upload(*blobs)
    first = await client.build(action)
    assert isinstance(first, JobComplete)
    server.kill()
    await client.closed()
    for peer in (worker, client):
        await peer.leave()
    assert (await asyncio.to_thread(desk.call, "status")).returncode != 0
    again = await asyncio.to_thread(desk.serve)
    moved = JoinToken(
        again.ready.rpartition(" ")[2],
        token.ca_fingerprint,
        token.token_id,
        token.secret,
        token.role,
    )
    client = await FakeClient.join(moved)
    second = await client.build(action)
    assert isinstance(second, JobComplete)
    assert (second.cached, second.result) == (True, first.result)
    await client.leave()


async def test_status_workers_and_drain(desk: Desk) -> None:
    """An administrator sees the worker and drains it; the wish outlives the worker's session."""
    await asyncio.to_thread(desk.serve)
    token = await asyncio.to_thread(desk.token, "worker")
    worker = await FakeWorker.join(token)
    status = await asyncio.to_thread(desk.text, "status")
    assert "1 workers with 2 slots, 0 clients" in status
    assert "w1" in status
    shown = json.loads(await asyncio.to_thread(desk.text, "status", "--json"))
    assert shown["workers"][0]["name"] == "w1"
    assert await asyncio.to_thread(desk.text, "drain", "w1") == "w1 takes no new work\n"
    await worker.leave()
    worker = await FakeWorker.join(token)
    shown = json.loads(await asyncio.to_thread(desk.text, "workers", "--json"))
    assert shown[0]["draining"] is True
    await asyncio.to_thread(desk.text, "drain", "w1", "--off")
    assert "ready" in await asyncio.to_thread(desk.text, "workers")
    assert (await asyncio.to_thread(desk.call, "drain", "w2")).returncode == ExitStatus.USAGE
    await worker.leave()


def test_start_and_stop_in_the_background(desk: Desk) -> None:
    """`start` returns when the server is ready; twice is refused; `stop` waits for the end."""
    started = desk.text("start", "--port", "0")
    try:
        pid = DataDir(desk.data).read_pid()
        address = DataDir(desk.data).read_address()
        assert started == f"coordinator {pid} ready at {address}\n"
        assert "up " in desk.text("status")
        again = desk.call("start", "--port", "0")
        assert again.returncode == ExitStatus.CONFIG
        assert f"already, as process {pid}" in again.stderr
    finally:
        assert "has stopped" in desk.text("stop")
    assert "no coordinator runs" in desk.text("stop")
    assert desk.text("fsck").endswith("all are sound\n")


def test_start_tells_why_it_failed(desk: Desk) -> None:
    """The reason of a server that ended is in the message, not only in the log."""
    port = desk.serve().ready.rpartition(":")[2]
    other = Desk(desk.home / "other")
    done = other.call("start", "--port", port)
    assert done.returncode == ExitStatus.CONFIG
    assert "cannot listen" in done.stderr


def test_fsck_removes_what_is_damaged(desk: Desk) -> None:
    """A blob with a flipped byte is found and removed."""
    desk.serve().stop()
    place = desk.data / "cas" / "blobs" / "aa"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{'aa' * 32}-3").write_bytes(b"\x00abc")
    assert "1 damaged ones removed" in desk.text("fsck")
    assert desk.text("fsck").endswith("all are sound\n")


async def test_embedded_lives_as_long_as_its_parent_or_a_client(desk: Desk) -> None:
    """The line has working tokens; after the end of input a client keeps it up, then it goes."""
    argv = python(PROGRAM, "serve", "--embedded", "--port", "0", "--data-dir", str(desk.data))
    process = subprocess.Popen(
        argv,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        ready = json.loads(await asyncio.to_thread(process.stdout.readline))
        kept = desk.data / "embedded.json"
        assert json.loads(kept.read_text()) == ready
        assert ready["pid"] == process.pid
        worker = await FakeWorker.join(JoinToken.parse(ready["worker_token"]))
        client = await FakeClient.join(JoinToken.parse(ready["client_token"]))
        process.stdin.close()
        action, blobs = compile_action()
        await client.upload(*blobs)
        assert isinstance(await client.build(action), JobComplete)
        assert process.poll() is None
        await client.leave()
        goodbye = await asyncio.wait_for(worker.goodbye, 5)
        assert not goodbye.retry
        assert await asyncio.to_thread(process.wait, 5) == 0
        assert not kept.exists()
        await worker.leave()
        log = process.stderr.read().decode()
        assert "Traceback" not in log
        process.stdout.close()
        process.stderr.close()
    finally:
        process.kill()
        process.wait(10)


def test_a_second_sigterm_ends_at_once(desk: Desk) -> None:
    """Whoever insists is not kept waiting."""
    server = desk.serve()
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(5) in (0, 1)
