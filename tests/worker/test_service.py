"""The worker as a process, with a real coordinator: joins, compiles, drains, survives, gives up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cyxmake_common.action import ISA, OS_FAMILY, ActionResult
from cyxmake_common.cache.key import KeyInputs, tokenise, unpack_paths
from cyxmake_common.clock import monotonic
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ExitStatus
from cyxmake_common.includes.depfile_layout import ROOT_MARK
from cyxmake_common.net.token import JoinToken
from cyxmake_common.outcome import OutcomeKind
from cyxmake_common.platform import isa, os_family
from cyxmake_common.protocol.messages import JobComplete, JobFailed
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.normalise import normalise
from support.host_programs import with_libraries
from support.processes import Cluster, Program, cluster, environment, python, start
from support.worker_client import Project, WorkerClient, client, completed, local_toolchain

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="needs the namespace sandbox"),
]

SOURCE = b'#include "a.h"\nint f(void) { return A; }\n'
COMPILE = ("gcc", "-c", "a.c", "-o", "a.o")
FAST = {"CYXMAKE_WORKER_PROBE_TOOLCHAINS": "false"}
"""For workers whose local compilers do not matter."""


@pytest.fixture(scope="module")
def gcc(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    """Capture this machine's gcc once."""
    return local_toolchain(tmp_path_factory.mktemp("toolchain"))


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a coordinator for all tests that leave it alive: it has the toolchain after the first."""
    with cluster(tmp_path_factory.mktemp("cluster"), workers=0) as running:
        yield running
    _close(running.coordinator)


@pytest.fixture
def made(coordinator: Cluster) -> Iterator[Cluster]:
    """Have that coordinator to oneself; workers that a test adds end with it."""
    yield coordinator
    _end_workers(coordinator)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """Run a coordinator that the test may end."""
    with cluster(tmp_path, workers=0) as running:
        yield running
    _end_workers(running)
    _close(running.coordinator)


@pytest.fixture
async def caller(made: Cluster) -> AsyncIterator[WorkerClient]:
    """Connect a client."""
    async with client(made.token("client")) as connected:
        yield connected


def _end_workers(made: Cluster) -> None:
    for program in made.workers.values():
        program.stop()
        _close(program)
    made.workers.clear()


def _close(program: Program) -> None:
    if program.process.stdout is not None:
        program.process.stdout.close()


def compile_project(toolchain: Toolchain) -> Project:
    """Return a project of one source and one header."""
    files = {"/project/a.c": SOURCE, "/project/a.h": b"#define A 1\n"}
    return Project(files=files, toolchain=toolchain)


def shell_project() -> Project:
    """Return a project whose commands are shell scripts."""
    found = with_libraries(("/bin/sh", "/bin/sleep"))
    return Project(programs={path: Path(os.path.realpath(path)) for path in found})


def script(text: str, *outputs: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return arguments and outputs of a shell script."""
    return ("/bin/sh", "-c", text), outputs


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Look again and again until something is so; returns how long that took."""
    started = monotonic()
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
    return monotonic() - started


def sleepers(mark: str) -> list[int]:
    """Return the processes whose command line holds a mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if mark in process.cmdline():
                found.append(process.pid)
    return found


async def test_a_compile_goes_from_offer_to_result(
    made: Cluster, caller: WorkerClient, gcc: Toolchain
) -> None:
    """The object comes back through the coordinator's store, named with the worker."""
    worker = made.add_worker("first", 2)
    assert worker.ready == f"cyxmake-worker first joined wss://127.0.0.1:{made.port} (2 slots)"
    answer = await caller.run(compile_project(gcc).job(COMPILE, ("a.o",)))
    result = completed(answer)
    assert result.exit_code == 0
    assert (await caller.output(answer, "a.o")).startswith(b"\x7fELF")
    assert result.worker == "first"
    (known,) = (await caller.status()).workers
    assert gcc.id in {toolchain.id for toolchain in known.toolchains}


async def test_a_worker_without_any_compiler_uses_the_shipped_one(
    made: Cluster, caller: WorkerClient, gcc: Toolchain
) -> None:
    """With an empty PATH nothing local helps: compiler and files come from the store."""
    made.add_worker("bare", 1, PATH="")
    (known,) = (await caller.status()).workers
    assert known.toolchains == ()
    answer = await caller.run(compile_project(gcc).job(COMPILE, ("a.o",)))
    assert completed(answer).exit_code == 0
    assert (await caller.output(answer, "a.o")).startswith(b"\x7fELF")


async def test_what_the_action_cache_keeps_fits_the_entry(
    made: Cluster, caller: WorkerClient, gcc: Toolchain
) -> None:
    """Under the client's own key; a depfile is a template exactly when the entry says so."""
    made.add_worker("keeper", 1)
    project = compile_project(gcc)
    argv = ("gcc", "-MD", "-MF", "a.d", "-c", "/project/a.c", "-o", "a.o")
    job = project.job(argv, ("a.o", "a.d"))
    answer = await caller.run(job)
    command = parse_compile(argv)
    assert not isinstance(command, LocalOnly)
    key = KeyInputs(
        toolchain=gcc.id,
        arguments=normalise(command, project.root),
        environment=(("PATH", gcc.path),),
        directory=tokenise(project.root, project.root),
        source=Digest.of(SOURCE),
        platform=((ISA, isa()), (OS_FAMILY, os_family())),
    ).key()
    (entry,) = await caller.entries(key)
    assert set(unpack_paths(entry.paths)) >= {"{root}/a.c", "{root}/a.h"}
    kept = {o.path: o.digest for o in ActionResult.from_bytes(entry.result).outputs}
    depfile = await caller.blobs.get_bytes(kept["a.d"])
    assert (ROOT_MARK in depfile) is bool(entry.depfile)
    assert entry.root == ("" if entry.depfile else "/project")
    plain = await caller.output(answer, "a.d")
    assert b"/project/a.h" in plain
    assert ROOT_MARK not in plain


async def test_an_error_of_the_tool_is_a_verdict(
    made: Cluster, caller: WorkerClient, gcc: Toolchain
) -> None:
    """A compile error comes back with its diagnostics, and fails nothing of ours."""
    made.add_worker("verdict", 1)
    project = compile_project(gcc)
    project.files["/project/a.h"] = b"#error broken\n"
    result = completed(await caller.run(project.job(COMPILE, ("a.o",))))
    assert result.exit_code == 1
    assert result.stderr is not None
    assert b"#error broken" in await caller.blobs.get_bytes(result.stderr)


async def test_a_cancelled_command_dies_within_a_second(
    made: Cluster, caller: WorkerClient
) -> None:
    """The revoke reaches the command; the slot is free for the next one."""
    made.add_worker("cancel", 1, **FAST)
    project = shell_project()
    name = await caller.submit(project.job(*script("exec sleep 98.765")))
    await caller.executing(name)
    await until(lambda: bool(sleepers("98.765")))
    await caller.cancel(name)
    assert await until(lambda: not sleepers("98.765")) < 1.0
    assert completed(await caller.run(project.job(*script("exit 3")))).exit_code == 3


async def test_an_action_has_its_own_time_limit(made: Cluster, caller: WorkerClient) -> None:
    """Time that runs out is a resource, not a verdict."""
    made.add_worker("limit", 1, **FAST)
    job = shell_project().job(*script("echo begun; exec sleep 97.531"), timeout=0.3)
    answer = await caller.run(job)
    assert isinstance(answer, JobFailed)
    assert answer.kind is OutcomeKind.RESOURCE


async def test_a_killed_worker_leaves_no_process_behind(
    made: Cluster, caller: WorkerClient
) -> None:
    """SIGKILL of the worker ends its commands, and its successor cleans up after it."""
    worker = made.add_worker("killed", 1, **FAST)
    name = await caller.submit(shell_project().job(*script("sleep 96.420; echo never")))
    await caller.executing(name)
    await until(lambda: bool(sleepers("96.420")))
    children = psutil.Process(worker.pid).children(recursive=True)
    assert children
    worker.kill()
    _close(worker)
    assert await until(lambda: not any(_lives(child) for child in children)) < 2.0
    assert not sleepers("96.420")
    await caller.cancel(name)
    made.add_worker("killed", 1, **FAST)
    assert list((made.home / "worker-killed" / "run" / "scratch").iterdir()) == []


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


async def test_a_drained_worker_finishes_what_it_runs(made: Cluster, caller: WorkerClient) -> None:
    """SIGTERM: the running command's result still arrives; nothing new is taken."""
    worker = made.add_worker("drained", 2, **FAST)
    project = shell_project()
    name = await caller.submit(project.job(*script("sleep 1; echo done")))
    await caller.executing(name)
    worker.process.send_signal(signal.SIGTERM)
    answer = await caller.answer(name)
    result = completed(answer)
    assert result.stdout is not None
    assert await caller.blobs.get_bytes(result.stdout) == b"done\n"
    assert await asyncio.to_thread(worker.process.wait, 10) == ExitStatus.OK
    refused = await caller.run(project.job(*script("echo more")))
    assert not isinstance(refused, JobComplete)


async def test_the_second_signal_ends_the_worker_at_once(
    made: Cluster, caller: WorkerClient
) -> None:
    """Whoever insists is obeyed: the command is killed."""
    worker = made.add_worker("twice", 1, **FAST)
    name = await caller.submit(shell_project().job(*script("exec sleep 95.111")))
    await caller.executing(name)
    await until(lambda: bool(sleepers("95.111")))
    worker.process.send_signal(signal.SIGTERM)
    worker.process.send_signal(signal.SIGINT)
    assert await until(lambda: worker.process.poll() is not None) < 3.0
    assert worker.process.returncode == ExitStatus.OK
    assert not sleepers("95.111")


async def test_a_drained_worker_that_comes_back_works_again(
    made: Cluster, caller: WorkerClient
) -> None:
    """What it announced when it left does not outlive it."""
    made.add_worker("back", 1, **FAST).stop()
    _close(made.workers["back"])
    made.add_worker("back", 1, **FAST)
    answer = await caller.run(shell_project().job(*script("exit 0")))
    assert completed(answer).exit_code == 0


async def test_workers_come_back_after_a_coordinators_restart(own: Cluster) -> None:
    """The same worker process serves the next coordinator on the same port."""
    worker = own.add_worker("w", 1, **FAST)
    token = own.token("client")
    own.coordinator.stop()
    _close(own.coordinator)
    argv = python(
        "cyxmake_coordinator.main", "serve", "--port", str(own.port),
        "--data-dir", str(own.home / "coordinator"),
    )  # fmt: skip
    own.coordinator = start(argv, own.home / "coordinator2.log", environment())
    async with client(token) as caller:

        async def joined() -> None:
            while not (await caller.status()).workers:
                await asyncio.sleep(0.05)

        await asyncio.wait_for(joined(), 10)
        answer = await caller.run(shell_project().job(*script("exit 0")))
        assert completed(answer).exit_code == 0
    assert worker.process.poll() is None


async def test_a_running_command_survives_the_loss_of_the_coordinator(own: Cluster) -> None:
    """A coordinator that is killed and comes back hears of the lease; the worker lives on."""
    worker = own.add_worker("w", 1, **FAST)
    token = own.token("client")
    async with client(token) as caller:
        name = await caller.submit(shell_project().job(*script("exec sleep 1.234")))
        await caller.executing(name)
        own.coordinator.kill()
        _close(own.coordinator)
    argv = python(
        "cyxmake_coordinator.main", "serve", "--port", str(own.port),
        "--data-dir", str(own.home / "coordinator"),
    )  # fmt: skip
    own.coordinator = start(argv, own.home / "coordinator2.log", environment())
    async with client(token) as caller:
        answer = await caller.run(shell_project().job(*script("exit 4")))
        while not isinstance(answer, JobComplete):  # refused until the worker has joined
            await asyncio.sleep(0.1)
            answer = await caller.run(shell_project().job(*script("exit 4")))
        assert completed(answer).exit_code == 4
    assert worker.process.poll() is None


def _run_worker(home: Path, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = python("cyxmake_worker.main", "--data-dir", str(home), *arguments)
    env = environment(CYXMAKE_WORKER_TOKEN=token, **FAST)
    return subprocess.run(
        argv, env=env, capture_output=True, text=True, check=False, timeout=30, input=""
    )


def test_a_revoked_token_ends_the_worker_with_one_clear_line(made: Cluster, tmp_path: Path) -> None:
    """Exit status 5, no endless retry, and no secret in the output."""
    token = made.token("worker")
    revoked = made.coordinate("token", "revoke", JoinToken.parse(token).token_id)
    assert revoked.returncode == 0, revoked.stderr
    done = _run_worker(tmp_path / "denied", token)
    assert done.returncode == ExitStatus.DENIED
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert token not in done.stdout + done.stderr


async def test_revoking_its_token_ends_a_running_worker(made: Cluster) -> None:
    """Who runs the coordinator decides; the worker does not knock for ever."""
    token = made.token("worker")
    argv = python("cyxmake_worker.main", "--name", "cut", "--data-dir", str(made.home / "cut"))
    env = environment(CYXMAKE_WORKER_TOKEN=token, **FAST)
    made.workers["cut"] = worker = start(argv, made.home / "cut.log", env)
    made.coordinate("token", "revoke", JoinToken.parse(token).token_id)
    await until(lambda: worker.process.poll() is not None)
    assert worker.process.returncode == ExitStatus.DENIED


@pytest.mark.parametrize(
    ("token", "says"), [("", "no join token"), ("nonsense", "join token starts with")]
)
def test_a_token_that_is_none_is_refused_before_anything_is_done(
    tmp_path: Path, token: str, says: str
) -> None:
    """A configuration error says what to do next."""
    done = _run_worker(tmp_path / "none", token)
    assert done.returncode == ExitStatus.CONFIG
    assert says in done.stderr
    assert "next:" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_clients_token_does_not_make_a_worker(made: Cluster, tmp_path: Path) -> None:
    """The role is part of the token, so this is known without asking anybody."""
    done = _run_worker(tmp_path / "client", made.token("client"))
    assert done.returncode == ExitStatus.CONFIG
    assert "role client" in done.stderr


def test_two_workers_do_not_share_a_data_directory(made: Cluster) -> None:
    """The second one says who is in the way and how to avoid it."""
    made.add_worker("owner", 1, **FAST)
    done = _run_worker(made.home / "worker-owner", made.token("worker"), "--name", "other")
    assert done.returncode == ExitStatus.CONFIG
    assert "another worker uses the data directory" in done.stderr
    assert "--data-dir" in done.stderr


def test_the_token_may_come_by_standard_input(own: Cluster, tmp_path: Path) -> None:
    """As an embedded cluster hands it over; with --once the worker ends with its coordinator."""
    argv = python("cyxmake_worker.main", "--token-file", "-", "--once", "--name", "piped",
                  "--data-dir", str(tmp_path / "piped"))  # fmt: skip
    with subprocess.Popen(
        argv, env=environment(**FAST), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(own.token("worker") + "\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith("cyxmake-worker piped joined wss://")
        own.coordinator.stop()
        assert process.wait(10) == ExitStatus.OK
