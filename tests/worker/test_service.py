"""The worker as a process, with a real coordinator: joins, compiles, drains, survives, gives up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyxmake_common.toolchain.identity import Toolchain
from support.processes import Cluster, cluster
from support.worker_client import Project, client, completed, local_toolchain

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="needs the namespace sandbox"),
]

SOURCE = b'#include "a.h"\nint f(void) { return A; }\n'


@pytest.fixture(scope="module")
def gcc(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    """Capture this machine's gcc once."""
    return local_toolchain(tmp_path_factory.mktemp("toolchain"))


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Cluster]:
    """Run a coordinator alone; tests add the workers."""
    with cluster(tmp_path, workers=0) as running:
        yield running
    for program in (running.coordinator, *running.workers.values()):
        if program.process.stdout is not None:
            program.process.stdout.close()


def compile_project(toolchain: Toolchain) -> Project:
    """Return a project of one source and one header."""
    files = {"/project/a.c": SOURCE, "/project/a.h": b"#define A 1\n"}
    return Project(files=files, toolchain=toolchain)


async def test_a_compile_goes_from_offer_to_result(made: Cluster, gcc: Toolchain) -> None:
    """The object comes back through the coordinator's store, named with the worker."""
    made.add_worker("w", 2)
    async with client(made.token("client")) as caller:
        job = compile_project(gcc).job(("gcc", "-c", "a.c", "-o", "a.o"), ("a.o",))
        answer = await caller.run(job)
        result = completed(answer)
        assert result.exit_code == 0
        assert (await caller.output(answer, "a.o")).startswith(b"\x7fELF")
        assert result.worker == "w"
