"""A worker's own gcc in the place of another machine's: proven by its probes, or refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cyxmake_common.action import ISA, Action, ActionResult
from cyxmake_common.cas.store import read_all
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.cas.tree_walk import TreeFile, walk_tree
from cyxmake_common.digest import Digest
from cyxmake_common.ids import LeaseId
from cyxmake_common.outcome import OutcomeKind
from cyxmake_common.protocol.messages import LeaseReject
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_common.toolchain.manifest import MANIFEST_PATH, ToolchainManifest
from cyxmake_common.toolchain.twin import Twin
from cyxmake_worker.toolchains import LocalToolchains
from support.worker_bench import Bench, bench
from support.worker_client import Job, Project, local_toolchain

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs the namespace sandbox"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]

_FOREIGN = b"\x7fELF of another processor"
_SOURCE = b"#include <stddef.h>\nsize_t a(size_t x) { return x * sizeof(max_align_t); }\n"


@pytest.fixture(scope="module")
def gcc(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    """Return this machine's gcc."""
    return local_toolchain(tmp_path_factory.mktemp("toolchains"))


def elsewhere(own: Toolchain, twin: Twin | None = None) -> Toolchain:
    """Return the same gcc as it would be on another kind of machine: with programs of that one."""
    blobs = own.blobs()
    tree, sources = InputTree.load(own.id, own.directories.__getitem__), dict(own.files)
    texts = {Digest.of(_FOREIGN): _FOREIGN}
    for entry in tuple(walk_tree(own.id, own.directories.__getitem__)):
        if isinstance(entry, TreeFile) and entry.executable:
            tree.add_file(entry.path, Digest.of(_FOREIGN), executable=True)
        if isinstance(entry, TreeFile) and entry.path == MANIFEST_PATH and twin is not None:
            text = blobs[entry.digest]
            assert isinstance(text, bytes)
            changed = replace(ToolchainManifest.from_bytes(text), twin=twin).to_bytes()
            texts[Digest.of(changed)] = changed
            tree.add_file(MANIFEST_PATH, Digest.of(changed))
    root, directories = tree.build()
    texts |= own.directories
    return replace(own, id=root, directories={**texts, **directories}, files=sources)


def job(toolchain: Toolchain, *options: str, directories: tuple[str, ...] = ()) -> Job:
    """Return a compile for a client of another kind."""
    project = Project(files={"/project/a.c": _SOURCE}, toolchain=toolchain, directories=directories)
    made = project.job(("gcc", *options, "-c", "a.c", "-o", "a.o"), ("a.o",))
    data = made.blobs.pop(made.digest)
    assert isinstance(data, bytes)
    action = Action.from_bytes(data)
    platform = tuple(pair if pair[0] != ISA else (ISA, "none") for pair in action.platform)
    changed = replace(action, platform=platform).to_bytes()
    return Job(Digest.of(changed), made.blobs | {Digest.of(changed): changed})


async def refusal(room: Bench, wanted: Job) -> LeaseReject:
    """Offer an action that has to be refused."""
    room.far.blobs.update(wanted.blobs)
    report = await room.work.prepare(LeaseId("L"), wanted.digest)
    room.work.forget(LeaseId("L"))
    assert isinstance(report, LeaseReject), report
    return report


async def test_the_own_gcc_compiles_in_the_others_place(gcc: Toolchain, tmp_path: Path) -> None:
    """Its object is that of a compile here; the other machine's programs are not even fetched."""
    (tmp_path / "a.c").write_bytes(_SOURCE)
    subprocess.run(["gcc", "-O2", "-c", "a.c", "-o", "a.o"], cwd=tmp_path, check=True)
    async with bench(tmp_path / "home", LocalToolchains([gcc])) as room:
        done = await room.run(job(elsewhere(gcc), "-O2"))
        result = ActionResult.from_bytes(done.result)
        assert done.kind is OutcomeKind.TOOL
        (output,) = result.outputs
        assert await read_all(room.store, output.digest) == (tmp_path / "a.o").read_bytes()
        assert Digest.of(_FOREIGN) not in room.far.fetched
        assert repr(room.proofs) == "<ToolchainProofs 1 proven, 0 broken>"


async def test_one_probe_with_other_bytes_is_enough(gcc: Toolchain, tmp_path: Path) -> None:
    """The last of them: everything else was equal, and yet no action runs."""
    assert gcc.twin is not None
    *equal, last = gcc.twin.probes
    twin = replace(gcc.twin, probes=(*equal, replace(last, digest=Digest.of(b"another"))))
    async with bench(tmp_path, LocalToolchains([gcc])) as room:
        report = await refusal(room, job(elsewhere(gcc, twin)))
    assert report.reason == "toolchain-broken"
    assert f"{last.output}: the object has other bytes" in report.detail


@pytest.mark.parametrize("difference", [{"release": "1.2.3"}, {"assembler": "1.2"}])
async def test_another_release_has_no_twin(
    gcc: Toolchain, tmp_path: Path, difference: dict[str, str]
) -> None:
    """It is refused by name, without a single compile."""
    assert gcc.twin is not None
    twin = replace(gcc.twin, **difference)  # type: ignore[arg-type]
    async with bench(tmp_path, LocalToolchains([gcc])) as room:
        report = await refusal(room, job(elsewhere(gcc, twin)))
    assert "is not installed on this worker" in report.detail


async def test_a_directory_that_only_ours_searches(gcc: Toolchain, tmp_path: Path) -> None:
    """What is in it would be found here and not at the client's: the action is handed back."""
    assert gcc.twin is not None
    searched = {"c": (*gcc.twin.searched["c"], "/opt/headers"), "c++": gcc.twin.searched["c++"]}
    own = replace(gcc, twin=replace(gcc.twin, searched=searched))
    async with bench(tmp_path, LocalToolchains([own])) as room:
        theirs = elsewhere(gcc)
        report = await refusal(room, job(theirs, directories=("/opt/headers",)))
        assert report.reason == "unsupported"
        assert "would look for headers in /opt/headers" in report.detail
        assert (await room.run(job(theirs))).kind is OutcomeKind.TOOL
