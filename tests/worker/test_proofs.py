"""A toolchain compiles its own test in the sandbox before it compiles for anybody."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cyxmake_common.cas.tree import InputTree
from cyxmake_common.digest import Digest
from cyxmake_common.ids import LeaseId
from cyxmake_common.protocol.messages import LeaseReject
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_common.toolchain.manifest import MANIFEST_PATH, ToolchainManifest
from cyxmake_common.toolchain.smoke import FOLDER, SOURCES, SmokeTest
from cyxmake_worker.toolchains import LocalToolchains
from support.worker_bench import Bench, bench
from support.worker_client import Project, local_toolchain

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs the namespace sandbox"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]

STANDS_IN = """
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
    const char *output = "";
    for (int i = 1; i + 1 < argc; ++i)
        if (strcmp(argv[i], "-o") == 0)
            output = argv[i + 1];
    BEFORE
    FILE *file = fopen(output, "w");
    fputs("object", file);
    return fclose(file);
}
"""


def program(folder: Path, before: str) -> Path:
    """Compile a program that stands in for a compiler and needs no library."""
    source, path = folder / "cc.c", folder / "cc"
    source.write_text(STANDS_IN.replace("BEFORE", before))
    subprocess.run(["gcc", "-static", "-o", path, source], check=True, capture_output=True)
    return path


def stand_in(driver: Path, wanted: bytes = b"object") -> Toolchain:
    """Return a toolchain of one program, with a test whose object it must make."""
    test = SmokeTest(("/bin/cc", "-c", "smoke.c", "-o", "c.o"), "c.o", Digest.of(wanted))
    manifest = ToolchainManifest(CompilerKind.GCC, "1", "t", "/bin", {"c": ()}, (test,)).to_bytes()
    tree = InputTree()
    blobs = {MANIFEST_PATH: manifest, f"{FOLDER}/smoke.c": SOURCES["c"][1]}
    for path, data in blobs.items():
        tree.add_file(path, Digest.of(data))
    digest = Digest.of_file(driver)
    tree.add_file("/bin/cc", digest, executable=True)
    root, directories = tree.build()
    return Toolchain(
        id=root,
        kind=CompilerKind.GCC,
        version="1",
        target="t",
        names=("/bin/cc",),
        directories={**directories, **{Digest.of(data): data for data in blobs.values()}},
        files={digest: str(driver)},
        builtin_includes={"c": ()},
        path="/bin",
    )


async def refused(room: Bench, toolchain: Toolchain) -> LeaseReject:
    """Offer an action of a toolchain that has to be refused."""
    job = Project(files={"/project/a.c": b""}, toolchain=toolchain).job(
        ("/bin/cc", "-c", "a.c", "-o", "a.o"), ("a.o",)
    )
    room.far.blobs.update(job.blobs)
    report = await room.work.prepare(LeaseId("L"), job.digest)
    room.work.forget(LeaseId("L"))
    assert isinstance(report, LeaseReject), report
    assert report.reason == "toolchain-broken"
    return report


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("raise(SIGILL);", "ended by signal 4 (Illegal instruction)"),
        (
            'fputs("FATAL: kernel too old\\n", stderr); return 127;',
            "exit 127: FATAL: kernel too old",
        ),
        ('output = "elsewhere";', "c.o"),
    ],
)
async def test_what_does_not_work_here_is_refused(before: str, reason: str, tmp_path: Path) -> None:
    """An instruction or a kernel that this machine lacks, an object that is not made: by name."""
    async with bench(tmp_path / "home") as room:
        report = await refused(room, stand_in(program(tmp_path, before)))
        assert reason in report.detail
        assert report.detail.startswith("/bin/cc -c smoke.c -o c.o: ")


async def test_a_program_for_another_machine(tmp_path: Path) -> None:
    """What the kernel does not even start is refused, too."""
    data = bytearray(program(tmp_path, "").read_bytes())
    data[18:20] = (0x28).to_bytes(2, "little")
    (tmp_path / "cc").write_bytes(bytes(data))
    async with bench(tmp_path / "home") as room:
        assert (await refused(room, stand_in(tmp_path / "cc"))).detail


async def test_other_bytes_are_refused_each_time(tmp_path: Path) -> None:
    """An object that differs from the client's; other toolchains still compile here."""
    driver = program(tmp_path, "")
    async with bench(tmp_path / "home") as room:
        wrong = stand_in(driver, b"another object")
        for _ in range(2):
            assert "other bytes" in (await refused(room, wrong)).detail
        job = Project(files={"/project/a.c": b""}, toolchain=stand_in(driver)).job(
            ("/bin/cc", "-o", "a.o"), ("a.o",)
        )
        assert (await room.run(job)).kind == "tool"


@pytest.mark.e2e
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
async def test_real_compilers_are_proven_once(compiler: str, tmp_path: Path) -> None:
    """C and C++ are compiled as at home; the next start knows it and compiles nothing."""
    path = shutil.which(compiler)
    if path is None:
        pytest.skip(f"{compiler} is not installed")
    toolchain = local_toolchain(tmp_path / "toolchains", path)
    manifest = next(
        ToolchainManifest.from_bytes(data)
        for data in toolchain.directories.values()
        if data.startswith(b"{")
    )
    languages = {test.arguments[test.arguments.index("-x") + 1] for test in manifest.smoke}
    assert languages == set(toolchain.builtin_includes) & {"c", "c++"}
    files = {"/project/a.c": b"int a;\n"}
    job = Project(files=files, toolchain=toolchain).job((path, "-c", "a.c", "-o", "a.o"), ("a.o",))
    for proven in (0, 1):
        async with bench(tmp_path / "home", LocalToolchains([toolchain])) as room:
            assert repr(room.proofs) == f"<ToolchainProofs {proven} proven, 0 broken>"
            assert (await room.run(job)).kind == "tool"
            assert repr(room.proofs) == "<ToolchainProofs 1 proven, 0 broken>"


@pytest.mark.parametrize("text", ["", "{", '{"format": 1, "machine": "another", "proven": ["x"]}'])
async def test_memory_of_another_machine(text: str, tmp_path: Path) -> None:
    """What was proven elsewhere, or cannot be read, is not proven."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/proofs.json").write_text(text)
    async with bench(tmp_path / "home") as room:
        assert repr(room.proofs) == "<ToolchainProofs 0 proven, 0 broken>"
