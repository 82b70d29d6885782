"""A layer of shell programs, and sandboxes of every identity that works here."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

if sys.platform != "linux":
    collect_ignore_glob = ["test_linux*.py"]
else:
    from cyxmake_common.action import Command
    from cyxmake_common.errors import SandboxError
    from cyxmake_worker.sandbox.base import Limits, SandboxRun
    from cyxmake_worker.sandbox.linux import Identity, NamespaceSandbox
    from support.host_programs import SHELL, copy_files, open_directories, with_libraries

    RunScript = Callable[..., Awaitable[SandboxRun]]

    def _name(identity: Identity) -> str:
        return "user-namespace" if identity.user_namespace else "unprivileged-user"

    @pytest.fixture(scope="session")
    def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Return a layer with a shell and some tools."""
        return copy_files(with_libraries(SHELL), tmp_path_factory.mktemp("programs"))

    @pytest.fixture
    def sources(tmp_path: Path) -> Path:
        """Return a layer with one source file in a client's project."""
        layer = tmp_path / "sources"
        project = layer / "home/dev/project"
        project.mkdir(parents=True)
        (project / "a.c").write_text("int a;\n")
        open_directories(layer)
        return layer

    @pytest.fixture(params=Identity.candidates(), ids=_name)
    async def sandbox(
        request: pytest.FixtureRequest, tmp_path: Path
    ) -> AsyncIterator[NamespaceSandbox]:
        """Return a started sandbox, once for every way to be somebody."""
        sandbox = NamespaceSandbox(tmp_path / "box", request.param)
        try:
            await sandbox.start()
        except SandboxError as error:
            pytest.skip(str(error))
        yield sandbox
        await sandbox.close()

    @pytest.fixture
    def run_script(
        sandbox: NamespaceSandbox, programs: Path, sources: Path, tmp_path: Path
    ) -> Iterator[RunScript]:
        """Return a function that runs a shell script in the project directory."""
        numbers = itertools.count()

        async def run(
            script: str, outputs: tuple[str, ...] = (), limits: Limits | None = None
        ) -> SandboxRun:
            scratch = tmp_path / f"scratch{next(numbers)}"
            scratch.mkdir(mode=0o700)
            command = Command(
                ("sh", "-c", script), (("PATH", "/usr/bin:/bin"),), outputs, "home/dev/project"
            )
            return await sandbox.run([programs, sources], command, limits or Limits(), scratch)

        yield run
