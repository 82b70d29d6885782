"""Several commands in one sandbox: their order, what they see of the host, a tree of their own."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cyxmake_common.action import Command
from cyxmake_common.compound import Step, Wanted
from cyxmake_common.errors import SandboxError
from cyxmake_worker.host_tools import HostTools, find_host_tools
from cyxmake_worker.outputs import collect_wanted
from cyxmake_worker.sandbox.base import Arrangement, Limits, OwnTree, SandboxRun
from cyxmake_worker.sandbox.linux import Identity, NamespaceSandbox

HOME = "/home/dev/project"
RunSteps = Callable[..., Awaitable[SandboxRun]]


def sh(script: str, *after: int) -> Step:
    """Return a step that runs a shell script in the project."""
    return Step(("sh", "-c", script), HOME, {}, after)


@pytest.fixture
def run_steps(sandbox: NamespaceSandbox, programs: Path, sources: Path, tmp_path: Path) -> RunSteps:
    """Return a function that runs an arrangement over the project."""

    async def run(arrangement: Arrangement, *outputs: str) -> SandboxRun:
        scratch = tmp_path / "scratch"
        scratch.mkdir(mode=0o700)
        command = Command(("steps",), (("PATH", "/usr/bin:/bin"),), outputs, HOME[1:])
        layers = [sources] if arrangement.host is not None else [programs, sources]
        return await sandbox.run(layers, command, Limits(), scratch, arrangement)

    return run


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> HostTools:
    """Return what this machine shows."""
    return find_host_tools(tmp_path_factory.mktemp("host"), jobs=3)


async def test_steps_wait_for_each_other_and_see_each_others_files(run_steps: RunSteps) -> None:
    """A step begins when those it names have ended well; each output is kept for itself."""
    steps = (sh("echo one; echo 1 >a"), sh("echo two; echo 2 >b"), sh("cat a b >c; echo 3", 0, 1))
    run = await run_steps(Arrangement(steps, jobs=2, apart=True), "c")
    assert [(e.exit_code, e.output) for e in run.ended] == [(0, "one\n"), (0, "two\n"), (0, "3\n")]
    assert (run.upper / HOME[1:] / "c").read_bytes() == b"1\n2\n"
    assert run.process.exit_code == 0


@pytest.mark.parametrize("keep_going", [False, True])
async def test_what_depends_on_a_failed_step_never_begins(
    run_steps: RunSteps, keep_going: bool
) -> None:
    """The first failure decides; others run on only where that is wanted."""
    steps = (sh("exit 3"), sh("echo no", 0), sh("echo yes"), Step(("nothing-such",), HOME))
    run = await run_steps(Arrangement(steps, apart=True, keep_going=keep_going))
    assert [e.exit_code for e in run.ended] == ([3, -1, 0, 127] if keep_going else [3, -1, -1, -1])
    assert run.process.exit_code == 3


async def test_output_is_told_as_it_comes(run_steps: RunSteps) -> None:
    """Whoever listens hears of a step's output before the last step has ended."""
    heard: list[bytes] = []
    run = await run_steps(Arrangement((sh("echo a"), sh("echo b >&2", 0)), heard=heard.append))
    assert b"".join(heard) == b"a\nb\n"
    assert (run.process.stdout, run.process.stderr) == (b"a\n", b"b\n")


async def test_the_hosts_programs_can_be_seen_and_not_written(
    run_steps: RunSteps, host: HostTools
) -> None:
    """Its programs run, its files cannot be changed, and nothing else of it is there."""
    script = (
        "python3 -c 'print(6*7)'; echo $MAKEFLAGS $HOME; touch $HOME/a && echo home;"
        "touch /usr/x 2>/dev/null || echo sealed; touch /etc/passwd 2>/dev/null || echo sealed;"
        "ls /etc/shadow /root/.ssh /var/lib 2>/dev/null | wc -l"
    )
    run = await run_steps(Arrangement((sh(script),), host=host.view))
    assert run.process.exit_code == 0, run.process.stderr
    lines = run.process.stdout.decode().split("\n")
    assert lines == ["42", "-j3 /tmp/home", "home", "sealed", "sealed", "0", ""]
    assert {"sh", "python3"} <= set(host.tools)


async def test_nothing_can_be_built_below_what_is_shown(
    sandbox: NamespaceSandbox, sources: Path, tmp_path: Path, host: HostTools
) -> None:
    """A project that stands where the worker's own programs are is refused, not hidden."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = Command(("steps",), (), (), "usr/src/project")
    arrangement = Arrangement((sh("true"),), host=host.view)
    with pytest.raises(SandboxError, match="/usr"):
        await sandbox.run([sources], command, Limits(), scratch, arrangement)


_CONNECT = "import socket,sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2)"


@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("identity", Identity.candidates(), ids=repr)
async def test_the_network_is_there_only_when_asked_for(
    identity: Identity, wanted: bool, tmp_path: Path, sources: Path, host: HostTools
) -> None:
    """A server of this machine is reached by a command that asks, and by no other."""
    sandbox = NamespaceSandbox(tmp_path / "box", identity, network=True)
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o700)
    with socket.create_server(("127.0.0.1", 0)) as server:
        step = Step(("python3", "-c", _CONNECT, str(server.getsockname()[1])), HOME)
        arrangement = Arrangement((step,), host=host.view, network=wanted)
        try:
            await sandbox.start()
        except SandboxError as error:
            pytest.skip(str(error))
        try:
            command = Command(("steps",), (), (), HOME[1:])
            run = await sandbox.run([sources], command, Limits(), scratch, arrangement)
        finally:
            await sandbox.close()
    assert (run.process.exit_code == 0) is wanted, run.process.stderr


async def test_a_network_that_is_not_allowed_is_refused(
    run_steps: RunSteps, host: HostTools
) -> None:
    """A sandbox made without the network gives it to nobody."""
    with pytest.raises(SandboxError, match="network"):
        await run_steps(Arrangement((sh("true"),), host=host.view, network=True))


async def test_a_tree_of_its_own_is_writable_and_has_its_times(
    run_steps: RunSteps, sources: Path, host: HostTools
) -> None:
    """Sources keep times and modes, can be changed in place, and the layer stays as it was."""
    project = sources / HOME[1:]
    (project / "run").write_text("#!/bin/sh\necho ran\n")
    (project / "run").chmod(0o555)
    (project / "link").symlink_to("a.c")
    (project / "a.c").chmod(0o444)
    steps = (
        sh("stat -c %Y.%a a.c; stat -c %Y.%a run; ./run; readlink link; echo more >>a.c; umask"),
        sh(
            "mkdir out && cp a.c out/b.txt && ln -s b.txt out/c.txt && ln -s ../../../x out/d.txt",
            0,
        ),
    )
    own = OwnTree(HOME, {"a.c": 7_000_000_000, "run": 9_000_000_000})
    run = await run_steps(Arrangement(steps, host=host.view, own=own))
    assert run.process.stdout == b"7.644\n9.755\nran\na.c\n0022\n", run.process.stderr
    assert (project / "a.c").read_text() == "int a;\n"
    found = collect_wanted(run.upper, HOME, Wanted(("**",)), run.laid)
    assert [item.path for item in found.files] == ["a.c", "out/b.txt"]
    assert [link.path for link in found.links] == ["out/c.txt"]
    assert not found.refused


async def test_a_tree_of_its_own_cannot_lead_elsewhere(
    run_steps: RunSteps, sources: Path, host: HostTools
) -> None:
    """A path through a symbolic link of the input root would show files of the host."""
    (sources / "home/dev/away").symlink_to("/etc")
    with pytest.raises(SandboxError, match="plain directory"):
        own = OwnTree("/home/dev/away/ssl", {})
        await run_steps(Arrangement((sh("true"),), host=host.view, own=own))


def test_directories_that_the_owner_adds_are_shown(tmp_path: Path) -> None:
    """A tool elsewhere counts once its directory is shown; a link that hides nothing is kept."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cargo").write_text("#!/bin/sh\n")
    (tools / "cargo").chmod(0o755)
    environ = {"PATH": f"{tools}:/usr/bin", "HOME": str(tmp_path)}
    before = find_host_tools(tmp_path / "one", environ=environ)
    after = find_host_tools(tmp_path / "two", environ=environ, extra=[str(tools)])
    assert str(tools) not in before.view.shown
    assert "cargo" in after.tools
    assert after.view.environment["PATH"].split(":")[0] == str(tools)
