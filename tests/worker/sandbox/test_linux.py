"""The namespace sandbox: what a command can do, and everything it cannot."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from cyxmake_common.action import Command
from cyxmake_common.errors import SandboxError
from cyxmake_worker.sandbox.base import Limits, ProgramNotStarted, SandboxRun
from cyxmake_worker.sandbox.linux import NamespaceSandbox

RunScript = Callable[..., Awaitable[SandboxRun]]


def _descendants(sandbox: NamespaceSandbox) -> int:
    """Return how many processes the spawner has below its own two."""
    return len(psutil.Process(sandbox.spawner_pid).children(recursive=True)) - 1


async def _family(pid: int, count: int) -> list[psutil.Process]:
    """Wait until a process has so many descendants, and return them."""
    async with asyncio.timeout(20):
        while len(found := psutil.Process(pid).children(recursive=True)) < count:
            await asyncio.sleep(0.01)
    return found


async def _appears(path: Path) -> None:
    """Wait until a command has made a file: an overlay passes no event on to the host."""
    while not path.exists():
        await asyncio.sleep(0.01)


async def test_a_command_runs_at_the_clients_paths(run_script: RunScript) -> None:
    """It sees its sources and programs where the client has them, and writes beside them."""
    run = await run_script("pwd; cat a.c; echo made >out/x.o; echo no >&2; exit 3", ("out/x.o",))
    assert run.process.exit_code == 3
    assert run.process.stdout == b"/home/dev/project\nint a;\n"
    assert run.process.stderr == b"no\n"
    assert run.places == {"out/x.o": "/home/dev/project/out/x.o"}
    assert (run.upper / "home/dev/project/out/x.o").read_bytes() == b"made\n"


async def test_exit_codes_and_signals_are_exact(run_script: RunScript) -> None:
    """A command's own 137 and a death by SIGKILL stay apart; so do all others."""
    for code in (0, 1, 126, 127, 137, 255):
        process = (await run_script(f"exit {code}")).process
        assert (process.exit_code, process.signal) == (code, 0)
    for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGPIPE):
        process = (await run_script(f"kill -{number.value} $$")).process
        assert (process.exit_code, process.signal) == (-number, number)


async def test_the_environment_is_exactly_the_commands(run_script: RunScript) -> None:
    """Nothing of the worker's environment gets in."""
    run = await run_script("exec env")
    assert set(run.process.stdout.splitlines()) == {b"PATH=/usr/bin:/bin", b"PWD=/home/dev/project"}


async def test_the_host_cannot_be_seen(run_script: RunScript) -> None:
    """The root holds the layers and what every system has, nothing of the host."""
    run = await run_script("ls /; ls /home; ls /dev; cat /etc/passwd; cat /proc/mounts")
    lines = run.process.stdout.decode().split()
    assert {"bin", "dev", "home", "proc", "tmp"} <= set(lines)
    assert not {"root", "var", "work", "boot", "sys", "etc"} & set(lines)
    assert b"/etc/passwd" in run.process.stderr
    assert b"ext4" not in run.process.stdout


async def test_no_process_of_the_host_can_be_seen_or_signalled(run_script: RunScript) -> None:
    """A command is process 2 of its own world and has no other to talk to."""
    run = await run_script(f"echo $$; ls /proc; kill -9 {os.getpid()} && echo hit; exit 0")
    assert run.process.stdout.startswith(b"2\n")
    assert str(os.getpid()).encode() not in run.process.stdout.split()
    assert b"hit" not in run.process.stdout


async def test_process_1_cannot_be_looked_into(run_script: RunScript) -> None:
    """The init of a sandbox gives nothing away and does not die of what its child does."""
    run = await run_script(
        "cat /proc/1/environ; ls /proc/1/root/; kill -9 1; echo alive; "
        "for file in /proc/1/fd/*; do (: >$file) 2>/dev/null && echo opened $file; done"
    )
    assert run.process.stdout == b"alive\n"
    assert run.process.stderr.count(b"Permission denied") == 2


async def test_the_layers_cannot_be_written(run_script: RunScript, sources: Path) -> None:
    """Changes of inputs stay in the action's own upper layer."""
    source = sources / "home/dev/project/a.c"
    run = await run_script("rm a.c; echo other >a.c; rm -r /bin/ls; touch new; ls /bin/ls; cat a.c")
    assert run.process.stdout == b"other\n"
    assert source.read_text() == "int a;\n"
    assert sorted(path.name for path in source.parent.iterdir()) == ["a.c"]


async def test_there_is_no_network(run_script: RunScript, programs: Path) -> None:
    """A command finds no interface that is up, and no listening socket of the host."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0cyxmake-test-" + str(os.getpid()))
        run = await run_script("cat /proc/net/dev /proc/net/unix /proc/net/route")
    text = run.process.stdout.decode()
    assert "eth0" not in text
    assert "cyxmake-test" not in text


async def test_there_are_no_rights_to_gain(run_script: RunScript) -> None:
    """No capability, none to be had, no set-user-id, no devices, no kernel settings."""
    run = await run_script(
        "while read key value; do case $key in Cap*|NoNewPrivs:) echo $value;; esac; done "
        "</proc/self/status; id -u; mknod d c 1 3; "
        "for file in kernel/core_pattern vm/drop_caches; "
        "do [ -w /proc/sys/$file ] && echo $file; done"
    )
    *rights, uid = run.process.stdout.split()
    assert rights == [*[b"0" * 16] * 5, b"1"]
    assert int(uid) != 0
    assert b"mknod" in run.process.stderr


async def test_no_descriptor_of_ours_reaches_the_command(run_script: RunScript) -> None:
    """The three streams are all that is open (and the directory that ls reads)."""
    run = await run_script("exec ls /proc/self/fd")
    assert run.process.stdout.split() == [b"0", b"1", b"2", b"3"]


async def test_the_time_limit_kills_grandchildren(
    run_script: RunScript, sandbox: NamespaceSandbox
) -> None:
    """After the limit nothing of the action runs; the output so far is there."""
    script = "echo begun; setsid sleep 60 & sleep 61"
    run = await run_script(script, limits=Limits(timeout=0.3))
    assert run.process.timed_out
    assert run.process.stdout == b"begun\n"
    assert run.process.seconds < 2
    assert _descendants(sandbox) == 0


async def test_cancelling_kills_within_a_second(
    run_script: RunScript, sandbox: NamespaceSandbox, tmp_path: Path
) -> None:
    """A cancelled run leaves no process, and the sandbox goes on to serve others."""
    task = asyncio.ensure_future(run_script("trap '' TERM; touch up; sleep 60"))
    await _appears(tmp_path / "scratch0/upper/home/dev/project/up")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)
    assert _descendants(sandbox) == 0
    assert (await run_script("exit 4")).process.exit_code == 4


async def test_what_a_command_leaves_running_ends_with_it(
    run_script: RunScript, sandbox: NamespaceSandbox
) -> None:
    """A background process cannot write outputs after the verdict."""
    run = await run_script("(sleep 60; echo late >late) >/dev/null 2>&1 & echo done")
    assert run.process.stdout == b"done\n"
    assert run.process.seconds < 5
    assert not (run.upper / "home/dev/project/late").exists()


async def test_eight_at_once_do_not_meet(run_script: RunScript) -> None:
    """Concurrent actions write the same paths and see only their own."""
    runs = await asyncio.gather(
        *(run_script(f"echo {n} >x; sleep 0.05; cat x; ls /tmp /dev/shm", ("x",)) for n in range(8))
    )
    for number, run in enumerate(runs):
        assert run.process.stdout.splitlines()[0] == str(number).encode()
        assert (run.upper / "home/dev/project/x").read_text() == f"{number}\n"


async def test_a_crash_of_the_spawner_is_no_verdict_and_is_recovered(
    run_script: RunScript, sandbox: NamespaceSandbox, tmp_path: Path
) -> None:
    """The running action is reported as ours to blame; the next one finds a new spawner."""
    task = asyncio.ensure_future(run_script("touch up; sleep 60"))
    await _appears(tmp_path / "scratch0/upper/home/dev/project/up")
    pid = sandbox.spawner_pid
    processes = psutil.Process(pid).children(recursive=True)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(SandboxError, match="vanished"):
        await asyncio.wait_for(task, 5)
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, 5)
    assert alive == []
    assert (await run_script("exit 4")).process.exit_code == 4
    assert sandbox.spawner_pid != pid


async def test_a_missing_program_is_not_an_exit_code(
    sandbox: NamespaceSandbox, programs: Path, tmp_path: Path
) -> None:
    """Neither the program nor its loader being absent looks like the tool's verdict."""
    for name, argv in enumerate((("cc",), ("/usr/bin/cc",), ("./a.c",))):
        scratch = tmp_path / f"missing{name}"
        scratch.mkdir()
        with pytest.raises(ProgramNotStarted, match="exec"):
            await sandbox.run([programs], Command(argv), Limits(), scratch)


async def test_a_layer_that_is_not_there_is_a_sandbox_error(
    sandbox: NamespaceSandbox, tmp_path: Path
) -> None:
    """A failed mount is told apart from a missing program."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(SandboxError, match="overlay"):
        await sandbox.run([tmp_path / "nothing"], Command(("sh",)), Limits(), scratch)


async def test_symbolic_links_on_the_way_to_outputs_are_followed_inside(
    run_script: RunScript, sources: Path, tmp_path: Path
) -> None:
    """A linked build directory works as at the client; a link to the host's /etc stays inside."""
    project = sources / "home/dev/project"
    (project / "linked").symlink_to("/elsewhere/build")
    (project / "evil").symlink_to("/etc")
    run = await run_script("echo x >linked/d/x; echo y >evil/cyxmake-y", ("linked/d/x", "evil/y"))
    assert run.process.exit_code == 0
    assert run.places["linked/d/x"] == "/elsewhere/build/d/x"
    assert run.places["evil/y"] == "/etc/y"
    assert (run.upper / "elsewhere/build/d/x").read_text() == "x\n"
    assert (run.upper / "etc/cyxmake-y").exists()
    assert not Path("/etc/cyxmake-y").exists()


async def test_links_in_place_of_system_directories_do_not_reach_the_host(
    run_script: RunScript, sources: Path
) -> None:
    """A tree whose /dev, /proc and /tmp are links gets real ones."""
    for name in ("dev", "proc", "tmp"):
        (sources / name).symlink_to("/home")
    run = await run_script("echo x >/dev/null; echo y >/tmp/y; cat /proc/self/comm")
    assert run.process.stdout == b"cat\n"
    assert (run.upper / "tmp/y").exists()


async def test_odd_names_reach_the_mount(
    sandbox: NamespaceSandbox, programs: Path, tmp_path: Path
) -> None:
    """Colons, commas, blanks and backslashes in the worker's paths are only characters."""
    odd = tmp_path / "a:b,c=d \\e"
    layer, scratch = odd / "layer", odd / "scratch"
    for path in (layer, scratch):
        path.mkdir(parents=True)
    (layer / "file").write_text("here")
    command = Command(("cat", "/file"), (("PATH", "/bin"),))
    run = await sandbox.run([layer, programs], command, Limits(), scratch)
    assert run.process.stdout == b"here"


async def test_very_long_command_lines_work(run_script: RunScript) -> None:
    """A request is as large as the system's own limit for one argument allows."""
    run = await run_script(f": {'x' * 120_000}; echo ok")
    assert run.process.stdout == b"ok\n"


async def test_output_beyond_the_limit_is_dropped(run_script: RunScript) -> None:
    """A flood of output neither fills memory nor blocks the command."""
    script = "i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; exit 5"
    run = await run_script(script, limits=Limits(output_bytes=1000))
    assert run.process.exit_code == 5
    assert len(run.process.stdout) == 1000
    assert run.process.truncated


async def test_files_beyond_the_limit_are_refused(run_script: RunScript) -> None:
    """A file that grows too large ends the command by SIGXFSZ."""
    run = await run_script("cat /dev/zero >big", limits=Limits(file_bytes=1 << 16))
    assert (run.upper / "home/dev/project/big").stat().st_size == 1 << 16
    assert run.process.exit_code == 128 + signal.SIGXFSZ  # the shell's way to say so


async def test_ends_with_the_worker(sandbox: NamespaceSandbox, run_script: RunScript) -> None:
    """Closing the sandbox kills what runs and leaves no process of ours."""
    await run_script("exit 0")
    processes = psutil.Process(sandbox.spawner_pid).children(recursive=True)
    await sandbox.close()
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, 5)
    assert alive == []


async def test_a_killed_worker_takes_its_actions_along(
    programs: Path, sources: Path, tmp_path: Path
) -> None:
    """SIGKILL of the worker ends spawner, init and command, without anybody's help."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    code = f"""
import asyncio
from pathlib import Path
from cyxmake_common.action import Command
from cyxmake_worker.sandbox.base import Limits
from cyxmake_worker.sandbox.linux import Identity, NamespaceSandbox

async def main():
    sandbox = NamespaceSandbox(Path({str(tmp_path / "box")!r}), Identity.candidates()[0])
    command = Command(("sh", "-c", "touch up; sleep 60"), (("PATH", "/usr/bin:/bin"),), (), "home")
    layers = [Path({str(programs)!r}), Path({str(sources)!r})]
    await sandbox.run(layers, command, Limits(), Path({str(scratch)!r}))

asyncio.run(main())
"""
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=environment)
    await _appears(scratch / "upper/home/up")
    processes = await _family(worker.pid, 5)  # two of the spawner, init, shell, sleep
    worker.kill()
    await worker.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, 5)
    assert alive == []
