"""The sandboxed executor: real compilers, real failures, hostile commands, nothing left over."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from cyxmake_common.action import TOOLCHAIN, Action, Command
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.store import read_all, write_all
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.execution.executor import Execution, ExecutionRequest
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_worker.executors.sandboxed import ExecutorSettings, SandboxedExecutor
from cyxmake_worker.inputs import InputRoots
from cyxmake_worker.sandbox.base import Limits, SandboxKind
from cyxmake_worker.sandbox.none import NoSandbox
from cyxmake_worker.sandbox.probe import choose_sandbox
from support.host_programs import SHELL, compiler_files, with_libraries

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs namespaces")

SOURCE = b"""#include "a.h"
static int twice(int x) { return ADD(x, x); }
int main(int argc, char **argv) { (void)argv; return twice(argc) + sizeof(__FILE__); }
"""
HEADER = b"#define ADD(a, b) ((a) + (b))\n"
CXX = b"""#include "a.h"
#include <vector>
struct S { std::vector<int> v; int sum() { int s = 0; for (int x : v) s = ADD(s, x); return s; } };
int sum(S &s) { return s.sum(); }
"""
PATH = (("PATH", "/usr/bin:/bin"),)


async def _never(digests: Collection[Digest]) -> None:
    """Bring nothing: tests put all blobs into the store."""


@dataclass
class Bench:
    """One executor, its store, and short ways to ask it things."""

    executor: SandboxedExecutor
    store: DiskStore
    scratch: Path
    tools: Digest

    async def tree(self, files: dict[str, bytes]) -> Digest:
        """Store a tree of small files."""
        tree = InputTree()
        for path, data in files.items():
            tree.add_file(path, await write_all(self.store, data))
        return await self.keep(tree)

    async def keep(self, tree: InputTree) -> Digest:
        """Store the directories of a tree."""
        root, blobs = tree.build()
        for digest, data in blobs.items():
            await write_all(self.store, data, digest)
        return root

    async def run(
        self, command: Command, root: Digest, *, seconds: float = 0.0, tools: Digest | None = None
    ) -> Execution:
        """Execute a command over the tools."""
        action = Action(
            Digest.of(command.to_bytes()),
            root,
            seconds,
            platform=((TOOLCHAIN, str(tools or self.tools)),),
        )
        return await self.executor.execute(ExecutionRequest.of(action, command))

    async def script(self, script: str, *outputs: str, seconds: float = 0.0) -> Execution:
        """Execute a shell script in /w."""
        command = Command(("sh", "-c", script), PATH, outputs, "w")
        return await self.run(command, await self.tree({"/w/in": b"in\n"}), seconds=seconds)

    async def output(self, execution: Execution, path: str) -> bytes:
        """Return the bytes of one output."""
        assert execution.outcome.result is not None
        found = {output.path: output.digest for output in execution.outcome.result.outputs}
        return await read_all(self.store, found[path])

    async def text(self, digest: Digest | None) -> bytes:
        """Return a captured stream."""
        return b"" if digest is None else await read_all(self.store, digest)


async def _add_files(store: DiskStore, tree: InputTree, files: Collection[str]) -> None:
    for file in files:
        data = Path(file).read_bytes()
        tree.add_file(file, await write_all(store, data), os.access(file, os.X_OK))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Return an executor with shell tools, in the best sandbox of this machine."""
    chosen = await choose_sandbox(tmp_path / "sandbox")
    if chosen.kind is not SandboxKind.NAMESPACE:
        pytest.skip("; ".join(chosen.tried))
    async with DiskStore(tmp_path / "cas", 1 << 30) as store:
        inputs = InputRoots(store, tmp_path / "roots", _never)
        await inputs.open()
        executor = SandboxedExecutor(
            inputs,
            chosen.sandbox,
            store,
            tmp_path / "scratch",
            ExecutorSettings(
                "w1", timeout=30, limits=Limits(file_bytes=64 << 20, memory_bytes=512 << 20)
            ),
        )
        await executor.open()
        bench = Bench(executor, store, tmp_path / "scratch", EMPTY)
        tree = InputTree()
        await _add_files(store, tree, with_libraries(SHELL))
        bench.tools = await bench.keep(tree)
        yield bench
        await executor.close()
        await inputs.close()


def _compile_natively(project: Path, argv: tuple[str, ...]) -> None:
    subprocess.run(argv, cwd=project, env=dict(PATH), check=True)


async def _compile_remotely(
    bench: Bench, project: Path, argv: tuple[str, ...], inputs: Collection[str]
) -> Execution:
    sources, tools = InputTree(), InputTree()
    await _add_files(bench.store, sources, inputs)
    await _add_files(bench.store, tools, compiler_files(argv[0]))
    command = Command(argv, PATH, ("out/a.o", "out/a.d"), str(project).lstrip("/"))
    return await bench.run(command, await bench.keep(sources), tools=await bench.keep(tools))


@pytest.mark.e2e
@pytest.mark.parametrize(("compiler", "name"), [("/usr/bin/gcc", "a.c"), ("/usr/bin/g++", "a.cc")])
async def test_objects_and_depfiles_equal_a_local_compile(
    bench: Bench, tmp_path: Path, compiler: str, name: str
) -> None:
    """With -g -O2 every byte of object and depfile is that of the same compile run natively."""
    if not Path(compiler).exists():
        pytest.skip(f"no {compiler}")
    project = tmp_path / "project"
    (project / "out").mkdir(parents=True)
    (project / name).write_bytes(SOURCE if name == "a.c" else CXX)
    (project / "a.h").write_bytes(HEADER)
    argv = (compiler, "-g", "-O2", "-Wall", "-MD", "-MF", "out/a.d", "-c", name, "-o", "out/a.o")
    _compile_natively(project, argv)
    object_file, depfile = ((project / f"out/a.{kind}").read_bytes() for kind in "od")
    inputs = {
        os.path.normpath(project / word)
        for word in depfile.decode().replace("\\\n", " ").split()[1:]
    }
    execution = await _compile_remotely(bench, project, argv, inputs)
    assert execution.outcome.succeeded, execution
    assert await bench.output(execution, "out/a.o") == object_file
    assert await bench.output(execution, "out/a.d") == depfile


async def test_a_failing_tool_is_a_tool_verdict(bench: Bench) -> None:
    """Exit code, both streams and what was written are all there."""
    execution = await bench.script("echo part >o; echo out; echo err >&2; exit 7", "o", "p")
    result = execution.outcome.result
    assert execution.outcome.kind is OutcomeKind.TOOL
    assert result is not None
    assert (result.exit_code, result.worker) == (7, "w1")
    assert await bench.text(result.stdout) == b"out\n"
    assert await bench.text(result.stderr) == b"err\n"
    assert await bench.output(execution, "o") == b"part\n"


async def test_success_without_outputs_is_ambiguous(bench: Bench) -> None:
    """A tool that says yes and delivers nothing is run again elsewhere."""
    outcome = (await bench.script("exit 0", "o")).outcome
    assert (outcome.kind, outcome.cause) == (OutcomeKind.AMBIGUOUS, Cause.MISSING_OUTPUT)
    assert outcome.detail == "not there: o"


async def test_an_action_that_takes_too_long_is_ended(bench: Bench) -> None:
    """The output so far comes with the verdict."""
    outcome = (await bench.script("echo begun; sleep 60", seconds=0.3)).outcome
    assert (outcome.kind, outcome.cause) == (OutcomeKind.RESOURCE, Cause.TIME)
    assert outcome.result is not None
    assert outcome.result.exit_code < 0
    assert await bench.text(outcome.result.stdout) == b"begun\n"


async def test_memory_beyond_the_limit_is_a_resource_verdict(bench: Bench) -> None:
    """A tool that says that memory ran out is not at fault, nor is the source."""
    command = Command(("sh", "-c", "ulimit -d; echo 'cc1: out of memory allocating 9 bytes' >&2; "
                       "exit 1"), PATH, (), "w")  # fmt: skip
    outcome = (await bench.run(command, await bench.tree({"/w/in": b""}))).outcome
    assert (outcome.kind, outcome.cause) == (OutcomeKind.RESOURCE, Cause.MEMORY)
    assert outcome.result is not None
    assert await bench.text(outcome.result.stdout) == b"524288\n"


async def test_a_signal_is_ambiguous(bench: Bench) -> None:
    """A crash says nothing about the source."""
    outcome = (await bench.script("kill -SEGV $$")).outcome
    assert (outcome.kind, outcome.cause) == (OutcomeKind.AMBIGUOUS, Cause.SIGNAL)
    assert outcome.result is not None
    assert outcome.result.exit_code == -11


async def test_a_missing_program_or_blob_is_no_tool_verdict(bench: Bench) -> None:
    """What the client forgot to send is named as such."""
    root = await bench.tree({"/w/in": b""})
    outcome = (await bench.run(Command(("/usr/bin/no-cc",), PATH, (), "w"), root)).outcome
    assert (outcome.kind, outcome.cause) == (OutcomeKind.INFRASTRUCTURE, Cause.MISSING_INPUT)
    assert "/usr/bin/no-cc" in outcome.detail
    outcome = (await bench.run(Command(("sh",), PATH), Digest.of(b"nowhere"))).outcome
    assert (outcome.kind, outcome.cause) == (OutcomeKind.INFRASTRUCTURE, Cause.MISSING_INPUT)


async def test_a_toolchain_that_is_no_digest_is_refused(bench: Bench) -> None:
    """Nonsense in an action does not reach the sandbox."""
    command = Command(("sh",))
    action = Action(Digest.of(command.to_bytes()), EMPTY, platform=((TOOLCHAIN, "gcc"),))
    outcome = (await bench.executor.execute(ExecutionRequest.of(action, command))).outcome
    assert (outcome.kind, outcome.cause) == (OutcomeKind.INFRASTRUCTURE, Cause.PROTOCOL)


async def test_hostile_outputs_are_refused(bench: Bench) -> None:
    """A link to a host file, a FIFO and a replaced directory give nothing away."""
    script = "rm -r d; ln -s /etc d; ln -s /etc/passwd l; mkfifo f; cp in s; chmod 6777 s"
    outcome = (await bench.script(script, "l", "f", "d/passwd", "s")).outcome
    assert outcome.kind is OutcomeKind.AMBIGUOUS
    assert outcome.result is not None
    assert [(o.path, o.is_executable) for o in outcome.result.outputs] == [("s", True)]
    kept = bench.store.path_of(Digest.of(b"in\n")).stat()
    assert (kept.st_mode & 0o7777, kept.st_uid) == (0o444, os.geteuid())


async def test_inputs_cannot_be_changed_for_the_next_action(bench: Bench) -> None:
    """Two actions share a root; what the first does to it is its own affair."""
    first = await bench.script("rm in; echo evil >in; cat in; chmod 777 /bin/sh; rm /bin/cat")
    second = await bench.script("cat in; exec stat -c %a /bin/sh")
    assert first.outcome.result is not None
    assert second.outcome.result is not None
    assert await bench.text(first.outcome.result.stdout) == b"evil\n"
    assert await bench.text(second.outcome.result.stdout) == b"in\n555\n"


async def test_whole_directories_come_back(bench: Bench) -> None:
    """An output path that is a directory stands for all files in it."""
    execution = await bench.script("mkdir -p g/h; echo 1 >g/h/x; echo 2 >g/y", "g")
    assert await bench.output(execution, "g/h/x") == b"1\n"
    assert await bench.output(execution, "g/y") == b"2\n"


async def test_nothing_is_left_over(bench: Bench) -> None:
    """Scratch directories go, whatever a command did to them; no blob stays pinned."""
    pinned = bench.store.stats().pinned_blobs
    deep = "i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done; cd /w; chmod 0 d"
    await asyncio.gather(*(bench.script(f"{deep}; mkfifo f; echo x >o", "o") for _ in range(3)))
    await bench.executor.close()
    assert list(bench.scratch.iterdir()) == []
    assert bench.store.stats().pinned_blobs == pinned


async def test_leftovers_of_a_killed_worker_are_removed(bench: Bench) -> None:
    """The next start finds and removes them."""
    left = bench.scratch / "17/work/work"
    left.mkdir(parents=True)
    left.chmod(0)
    await bench.executor.open()
    assert list(bench.scratch.iterdir()) == []


async def test_cancelling_removes_everything(bench: Bench) -> None:
    """A cancelled action ends within a second and takes its files along."""
    task = asyncio.ensure_future(bench.script("touch up; sleep 60"))
    while not list(bench.scratch.glob("*/upper/w/up")):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)
    await bench.executor.close()
    assert list(bench.scratch.iterdir()) == []


async def test_without_a_sandbox_nothing_runs(bench: Bench, tmp_path: Path) -> None:
    """A machine that cannot isolate reports so, action by action."""
    inputs = InputRoots(bench.store, tmp_path / "other", _never)
    await inputs.open()
    executor = SandboxedExecutor(inputs, NoSandbox("old kernel"), bench.store, tmp_path / "s2")
    await executor.open()
    command = Command(("sh",))
    action = Action(Digest.of(command.to_bytes()), await bench.tree({"/x": b""}))
    outcome = (await executor.execute(ExecutionRequest.of(action, command))).outcome
    assert (outcome.kind, outcome.cause) == (OutcomeKind.INFRASTRUCTURE, Cause.SANDBOX)
    assert "old kernel" in outcome.detail
