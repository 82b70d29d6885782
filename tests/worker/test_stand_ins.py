"""A toolchain for another kind of machine, and this machine's own tool in its place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyxmake_common.action import ISA, ROOT, TOOLCHAIN, Action, ActionResult, Command
from cyxmake_common.cas.store import read_all
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.digest import Digest
from cyxmake_common.ids import LeaseId
from cyxmake_common.outcome import OutcomeKind
from cyxmake_common.protocol.messages import LeaseReject
from cyxmake_common.stand_in import STAND_IN
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.manifest import MANIFEST_PATH, ToolchainManifest
from cyxmake_common.toolchain.portable import Portable
from cyxmake_common.toolchain.smoke import FOLDER, SOURCES, SmokeTest
from cyxmake_worker.substitutes import LocalTool
from support.worker_bench import bench
from support.worker_client import Job

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the namespace sandbox")

_NAME, _TEXT = SOURCES["c"]
_TOOL = """
#include <stdio.h>
#include <string.h>
int main(int count, char **words)
{
    FILE *in = 0, *header = fopen("/opt/tool/lib/header.h", "rb"), *out = 0;
    if (count < 2 || strcmp(words[1], "cc") != 0 || !header) return 3;
    for (int i = 2; i + 1 < count; ++i) {
        if (!strcmp(words[i], "-c")) in = fopen(words[i + 1], "rb");
        if (!strcmp(words[i], "-o")) out = fopen(words[i + 1], "wb");
    }
    if (!in || !out) return 4;
    for (int c; (c = getc(in)) != EOF;) putc(c DIFFERENCE, out);
    return 0;
}
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Return two real programs that need no file but a header: one is what it says it is."""
    folder = tmp_path_factory.mktemp("tools")
    made = {}
    for name, difference in (("same", ""), ("other", "^ 1")):
        made[name] = folder / name
        subprocess.run(
            ["gcc", "-static", "-x", "c", "-", "-o", str(made[name]), f"-DDIFFERENCE={difference}"],
            input=_TOOL.encode(),
            check=True,
        )
    yield made


def _job(version: str = "1.0") -> Job:
    """Return a compile whose toolchain has programs for a processor that no test runs on."""
    portable = Portable(
        "tool", version, "/opt/tool/bin/tool", "/opt/tool/lib", {"/opt/cc": ("cc",)}, ("any-any",)
    )
    smoke = SmokeTest(("/opt/cc", "-c", _NAME, "-o", "c.o"), "c.o", Digest.of(_TEXT))
    manifest = ToolchainManifest(
        CompilerKind.CLANG, version, "any", "/usr/bin", {}, (smoke,), portable=portable
    ).to_bytes()
    files = {
        "/opt/tool/bin/tool": b"\x7fELF of another processor",
        "/opt/cc": b"#!/bin/sh\nexec tool cc\n",
        "/opt/tool/lib/header.h": b"#define H\n",
        MANIFEST_PATH: manifest,
        f"{FOLDER}/{_NAME}": _TEXT,
    }
    blobs: dict[Digest, bytes | Path] = {}

    def tree_of(contents: dict[str, bytes]) -> Digest:
        tree = InputTree()
        for path, data in contents.items():
            blobs[Digest.of(data)] = data
            tree.add_file(path, Digest.of(data))
        root, directories = tree.build()
        blobs.update(directories)
        return root

    toolchain, inputs = tree_of(files), tree_of({"/project/a.c": b"int a;\n"})
    arguments = ("/opt/cc", "-c", "/project/a.c", "-o", "a.o")
    command = Command(arguments, (), ("a.o",), "project").to_bytes()
    platform = ((ISA, "none"), (ROOT, "/project"), (STAND_IN, f"tool {version}"))
    action = Action(
        Digest.of(command),
        inputs,
        do_not_cache=True,
        platform=tuple(sorted((*platform, (TOOLCHAIN, str(toolchain))))),
    ).to_bytes()
    blobs |= {Digest.of(command): command, Digest.of(action): action}
    return Job(Digest.of(action), blobs)


def _tool(path: Path) -> LocalTool:
    return LocalTool("tool", "1.0", path, Digest.of_file(path))


async def test_the_own_tool_compiles_in_the_others_place(
    tmp_path: Path, programs: dict[str, Path]
) -> None:
    """It finds the toolchain's own header, and its foreign program is never even fetched."""
    job = _job()
    async with bench(tmp_path, seconds=20, tools=[_tool(programs["same"])]) as room:
        done = await room.run(job)
        result = ActionResult.from_bytes(done.result)
        assert done.kind is OutcomeKind.TOOL
        assert [await read_all(room.store, o.digest) for o in result.outputs] == [b"int a;\n"]
        foreign = Digest.of(b"\x7fELF of another processor")
        assert foreign in room.far.blobs
        assert foreign not in room.far.fetched


@pytest.mark.parametrize(
    ("program", "version", "reason"),
    [
        ("other", "1.0", "the object has other bytes"),
        ("same", "1.1", "tool 1.1 is not installed on this worker"),
    ],
)
async def test_what_is_not_proven_is_refused_by_name(
    tmp_path: Path, programs: dict[str, Path], program: str, version: str, reason: str
) -> None:
    """A tool that gives other bytes, or is another version, runs no action."""
    job = _job(version)
    async with bench(tmp_path, seconds=20, tools=[_tool(programs[program])]) as room:
        room.far.blobs.update(job.blobs)
        report = await room.work.prepare(LeaseId("L"), job.digest)
        room.work.forget(LeaseId("L"))
    assert isinstance(report, LeaseReject)
    assert report.reason == "toolchain-broken"
    assert reason in report.detail
