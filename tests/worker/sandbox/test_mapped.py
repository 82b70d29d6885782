"""The stand-in without namespaces: local bytes or an error, never something in between."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cyxmake_common.action import Command
from cyxmake_common.errors import SandboxError
from cyxmake_worker.sandbox.base import Limits, ProgramNotStarted, SandboxKind
from cyxmake_worker.sandbox.mapped import MappedSandbox
from support.host_programs import SHELL, compiler_files, copy_files, with_libraries

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses ELF programs of this host")

PATH = (("PATH", "/usr/bin:/bin"),)
SOURCE = '#include "a.h"\nconst char *f(void) { return ADD(__FILE__); }\n'


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Return a layer with a project at a path that this host does not have."""
    layer = tmp_path / "sources"
    (layer / "client/project").mkdir(parents=True)
    (layer / "client/inc").mkdir()
    (layer / "client/project/a.c").write_text(SOURCE)
    (layer / "client/inc/a.h").write_text("#define ADD(x) x\n")
    return layer


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Return an empty directory."""
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a layer with a shell and some tools."""
    return copy_files(with_libraries(SHELL), tmp_path_factory.mktemp("mapped"))


@pytest.mark.e2e
@pytest.mark.parametrize("length", [1, 12, 24])
async def test_objects_equal_a_compile_at_the_clients_path(
    scratch: Path, tmp_path: Path, length: int
) -> None:
    """Object, debug information and depfile, lines and all, are those at the client's paths."""
    if not Path("/usr/bin/gcc").exists():
        pytest.skip("no gcc")
    client, layer = tmp_path / ("c" * length), tmp_path / "layer"
    for directory in ("inc", "project/o"):
        (client / directory).mkdir(parents=True)
    (client / "inc/a.h").write_text("#define ADD(x) x\n")
    (client / "project/a.c").write_text(SOURCE)
    argv = ("/usr/bin/gcc", "-g", "-O2", f"-I{client}/inc", "-MD", "-MF", "o/a.d", "-c",
            f"{client}/project/a.c", "-o", "o/a.o")  # fmt: skip
    subprocess.run(argv, cwd=client / "project", env=dict(PATH), check=True)
    wanted = [(client / f"project/o/a.{kind}").read_bytes() for kind in "od"]
    shutil.rmtree(client / "project/o")
    # Moved away: a path that was not mapped would not be found.
    shutil.move(client, layer / str(client).lstrip("/"))
    tools = copy_files(compiler_files("/usr/bin/gcc"), tmp_path / "tools")
    project = str(client / "project").lstrip("/")
    command = Command(argv, PATH, ("o/a.o", "o/a.d"), project)
    run = await MappedSandbox().run([tools, layer], command, Limits(), scratch)
    assert run.process.exit_code == 0, run.process.stderr
    assert [(run.upper / f"{project}/o/a.{kind}").read_bytes() for kind in "od"] == wanted


async def test_a_file_that_is_not_found_is_no_verdict(
    programs: Path, sources: Path, scratch: Path
) -> None:
    """A path inside a source cannot be mapped, so a file that seems missing may not be."""
    command = Command(("sh", "-c", "cat /client/inc/a.h"), PATH, (), "client")
    with pytest.raises(SandboxError, match="not mapped"):
        await MappedSandbox().run([programs, sources], command, Limits(), scratch)


async def test_messages_hold_the_clients_paths(
    programs: Path, sources: Path, scratch: Path
) -> None:
    """What a command prints about its files is about the client's files."""
    command = Command(("sh", "-c", "pwd; ls $0; exit 3", "/client/inc"), PATH, (), "client/project")
    run = await MappedSandbox().run([programs, sources], command, Limits(), scratch)
    assert run.process.exit_code == 3
    assert run.process.stdout == b"/client/project\na.h\n"


async def test_a_leaked_path_is_an_error_of_ours(
    programs: Path, sources: Path, scratch: Path
) -> None:
    """An output that holds the worker's path is not a result."""
    command = Command(("sh", "-c", "pwd >o"), PATH, ("o",), "client")
    with pytest.raises(SandboxError, match="path leak: o"):
        await MappedSandbox().run([programs, sources], command, Limits(), scratch)


async def test_what_cannot_be_mapped_is_refused(
    programs: Path, sources: Path, scratch: Path
) -> None:
    """A response file, a missing program and another C library end before the command runs."""
    sandbox = MappedSandbox()
    commands = (("sh", "@list"), ("no-such-tool",))
    for number, argv in enumerate(commands):
        inner = scratch / str(number)
        inner.mkdir()
        with pytest.raises((SandboxError, ProgramNotStarted)):
            await sandbox.run([programs, sources], Command(argv, PATH), Limits(), inner)
    (sources / "lib64").mkdir()
    (sources / "lib64/ld-linux-x86-64.so.2").write_bytes(b"other")
    with pytest.raises(SandboxError, match="ld-linux"):
        await sandbox.run([sources], Command(("sh",), PATH), Limits(), scratch)


async def test_closing_ends_what_runs(programs: Path, sources: Path, scratch: Path) -> None:
    """No command outlives its sandbox."""
    sandbox = MappedSandbox()
    command = Command(("sh", "-c", "touch up; sleep 60"), PATH, (), "client")
    run = asyncio.ensure_future(sandbox.run([programs, sources], command, Limits(), scratch))
    while not (scratch / "root/client/up").exists():
        await asyncio.sleep(0.01)
    await sandbox.close()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert sandbox.kind is SandboxKind.MAPPED
