"""Processes: exit codes, capture, limits, and kills that reach every descendant."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from cyxmake_common.execution.process import ProcessRequest, ProcessResult, run_process
from cyxmake_common.execution.windows import run_with_threads

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses a POSIX shell")

Run = Callable[[ProcessRequest], Awaitable[ProcessResult]]
PYTHON = sys.executable


@pytest.fixture(params=["native", "threads"])
def run(request: pytest.FixtureRequest) -> Run:
    """Return each implementation: the system's own, and the one made for Windows."""
    return run_process if request.param == "native" else run_with_threads


async def _pid_in(fifo: Path) -> int:
    """Return the number that a child writes into a FIFO; waits until it does."""
    return int(await asyncio.to_thread(fifo.read_text))


async def _gone(pid: int) -> bool:
    """Tell whether a process ends (or is a zombie) within a second."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_command_string_runs_in_the_shell(run: Run, tmp_path: Path) -> None:
    """A string sees its directory and exactly the environment it was given."""
    result = await run(
        ProcessRequest("echo $X; pwd; echo no >&2; exit 3", cwd=tmp_path, environment={"X": "y z"})
    )
    assert result.exit_code == 3
    assert result.signal == 0
    assert result.stdout == f"y z\n{tmp_path}\n".encode()
    assert result.stderr == b"no\n"
    assert not result.succeeded


async def test_an_argument_vector_is_not_interpreted(run: Run) -> None:
    """Arguments reach the program byte for byte."""
    result = await run(ProcessRequest(("printf", "%s|", "a b", "$HOME", "*")))
    assert result.stdout == b"a b|$HOME|*|"
    assert result.succeeded


async def test_merged_output_keeps_the_order_of_writing(run: Run) -> None:
    """Both streams arrive in stdout in the order in which they were written."""
    result = await run(ProcessRequest("echo 1; echo 2 >&2; echo 3; echo 4 >&2", merge=True))
    assert result.stdout == b"1\n2\n3\n4\n"
    assert result.stderr == b""


async def test_a_signal_is_not_mistaken_for_an_exit_code(run: Run) -> None:
    """Dying of SIGKILL and exiting with 137 are different results."""
    killed = await run(ProcessRequest("kill -KILL $$"))
    assert (killed.exit_code, killed.signal) == (-9, 9)
    exited = await run(ProcessRequest("exit 137"))
    assert (exited.exit_code, exited.signal) == (137, 0)


async def test_output_beyond_the_limit_is_dropped_not_fatal(run: Run) -> None:
    """The head is kept, the process goes on to its end, the result says truncated."""
    code = "import sys; sys.stdout.write('x'*300000); sys.stderr.write('e'); sys.exit(4)"
    result = await run(ProcessRequest((PYTHON, "-S", "-c", code), output_limit=1000))
    assert result.exit_code == 4
    assert result.stdout == b"x" * 1000
    assert result.stderr == b"e"
    assert result.truncated


async def test_exactly_the_limit_is_not_truncated(run: Run) -> None:
    """Output as long as the limit is complete."""
    result = await run(ProcessRequest("printf 12345", output_limit=5))
    assert result.stdout == b"12345"
    assert not result.truncated


async def test_the_time_limit_kills_grandchildren(run: Run, tmp_path: Path) -> None:
    """After the limit nothing of the tree runs, and the output so far is returned."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = f"echo begun; sh -c 'echo $$ >{fifo}; exec sleep 60' & wait"
    task = asyncio.ensure_future(run(ProcessRequest(script, timeout=0.4, grace=0.2)))
    pid = await _pid_in(fifo)
    result = await task
    assert result.timed_out
    assert result.stdout == b"begun\n"
    assert result.seconds < 5
    assert await _gone(pid)


async def test_a_process_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    """SIGTERM first, SIGKILL after the grace."""
    script = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done"
    result = await run_process(ProcessRequest(script, timeout=0.3, grace=0.3))
    assert result.timed_out
    assert result.signal == signal.SIGKILL
    assert b"asked" in result.stdout


async def test_a_process_may_clean_up_after_sigterm() -> None:
    """A handler that ends within the grace runs to its end."""
    script = "trap 'echo bye; exit 5' TERM; while :; do sleep 0.05; done"
    result = await run_process(ProcessRequest(script, timeout=0.3, grace=5))
    assert (result.timed_out, result.exit_code, result.stdout) == (True, 5, b"bye\n")


async def test_cancelling_kills_the_tree(run: Run, tmp_path: Path) -> None:
    """A cancelled run leaves no process, even one that made a session of its own."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = f"import os,time; os.setsid(); open({str(fifo)!r},'w').write(str(os.getpid())); "
    code += "time.sleep(60)"
    script = f'{PYTHON} -S -c "{code}" & wait'
    task = asyncio.ensure_future(run(ProcessRequest(script, grace=0.1)))
    pid = await _pid_in(fifo)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _gone(pid)


async def test_a_second_cancellation_kills_at_once(tmp_path: Path) -> None:
    """Cancelling twice does not wait for the grace."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = f"trap '' TERM; echo $$ >{fifo}; while :; do sleep 0.05; done"
    task = asyncio.ensure_future(run_process(ProcessRequest(script, grace=60)))
    pid = await _pid_in(fifo)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert await _gone(pid)


async def test_output_of_a_background_child_belongs_to_the_run(run: Run) -> None:
    """As with ninja, the run lasts until nobody holds the pipe."""
    result = await run(ProcessRequest("(sleep 0.2; echo late) & echo early"))
    assert result.stdout == b"early\nlate\n"


async def test_a_missing_program_is_an_os_error(run: Run, tmp_path: Path) -> None:
    """Nothing was started, so there is no result."""
    with pytest.raises(FileNotFoundError):
        await run(ProcessRequest((str(tmp_path / "nothing"),)))
    with pytest.raises(FileNotFoundError):
        await run(ProcessRequest(("true",), cwd=tmp_path / "nowhere"))


async def test_no_descriptors_leak(run: Run) -> None:
    """Children inherit only the three streams, and we keep none after the run."""
    await run(ProcessRequest(("true",)))
    before = psutil.Process().num_fds()
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        results = await asyncio.gather(*(run(ProcessRequest("ls /proc/self/fd")) for _ in range(8)))
    finally:
        os.close(reader)
        os.close(writer)
    assert psutil.Process().num_fds() == before
    # The fourth is the directory that ls itself has open.
    assert all(result.stdout.split() == [b"0", b"1", b"2", b"3"] for result in results)


async def test_peak_memory_is_reported() -> None:
    """The peak of the largest process of the tree is known."""
    code = "x = bytearray(200 << 20)"
    result = await run_process(ProcessRequest(f'{PYTHON} -S -c "{code}"'))
    assert result.max_rss > 200 << 20


async def test_standard_input_is_empty(run: Run) -> None:
    """A tool that asks gets end of file, it never waits for the terminal."""
    result = await run(ProcessRequest("cat; echo end"))
    assert result.stdout == b"end\n"


async def test_console_mode_hands_over_our_streams() -> None:
    """A console process writes to our own stdout; nothing is captured."""
    code = (
        "import asyncio\n"
        "from cyxmake_common.execution.process import ProcessRequest, run_process\n"
        "r = asyncio.run(run_process(ProcessRequest('cat; exit 6', console=True)))\n"
        "print(r.exit_code, r.stdout)"
    )
    outer = await asyncio.create_subprocess_exec(
        PYTHON,
        "-c",
        code,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    stdout, _ = await outer.communicate(b"typed\n")
    assert stdout == b"typed\n6 b''\n"
