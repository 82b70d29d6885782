"""The cluster side of one build: find or start a cluster, give the build its runner, clean up.

Knows nothing of plans. Connecting goes on while the build already scans; when it fails, the build
goes on locally and says so once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from cyxmake_cli import config
from cyxmake_cli.away import AwayFiles
from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.history import History
from cyxmake_cli.cluster.homecoming import Homecoming
from cyxmake_cli.cluster.inputs import InputRoots
from cyxmake_cli.cluster.joined import Joined
from cyxmake_cli.cluster.link_runner import LinkRunner
from cyxmake_cli.cluster.link_tools import LinkTools
from cyxmake_cli.cluster.links import RemoteLinker
from cyxmake_cli.cluster.lookup import Absences
from cyxmake_cli.cluster.path_maps import PathMaps
from cyxmake_cli.cluster.remote import RemoteCompiler
from cyxmake_cli.cluster.runner import EdgeRunner
from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_cli.cluster.working_directory import with_believed_directory
from cyxmake_cli.ninja.driver import EdgeResult, Where
from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.settings import Download, Settings
from cyxmake_cli.strategies.compile_units import looks_like_compile
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.errors import ConfigError, CyxError
from cyxmake_common.includes.closure import IncludeClosure, RealFileSystem
from cyxmake_common.net.token import JoinToken
from cyxmake_common.toolchain.local import LocalOnly

_EDGES_PER_SLOT: Final = 2
"""Edges under way for each slot of the cluster: one runs, one is looked up, sent or fetched."""

_MOST_JOBS: Final = 1_000


class BuildSession:
    """An async context manager around one build in `directory` of the project at `source`.

    `root` holds both.
    """

    def __init__(
        self,
        *,
        directory: str,
        root: str,
        source: str,
        note: Callable[[str], None],
        settings: Settings,
        away: AwayFiles,
    ) -> None:
        self._directory = directory
        self._root = root
        self._note = note
        self._settings = settings
        self._wanted_jobs = settings.build.jobs
        self._cache_dir = config.cache_directory()
        self._digests = FileDigests()
        self._toolchains = Toolchains(self._cache_dir)
        closures = IncludeClosure(RealFileSystem())
        self._inputs = InputRoots(closures, self._digests, self._toolchains)
        self._history = History(self._cache_dir / "history", root, source)
        self._absences = Absences()
        self._away = away
        self.home = Homecoming(away, self._client)
        self._joined: Joined | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._cpus = os.cpu_count() or 1
        self.jobs = self._wanted_jobs or self._cpus * _EDGES_PER_SLOT

    async def __aenter__(self) -> Self:
        self._remote: asyncio.Future[RemoteCompiler | LocalOnly]
        self._remote = asyncio.get_running_loop().create_future()
        maps = None
        if self._settings.cache.remap_paths:
            maps = PathMaps(self._root, self._directory, dict(os.environ))
        self._linker: asyncio.Future[RemoteLinker | LocalOnly]
        self._linker = asyncio.get_running_loop().create_future()
        environ = dict(os.environ)
        local_jobs = min(self._cpus, self._wanted_jobs or self._cpus)
        self.runner = EdgeRunner(
            self._directory,
            environ,
            self._toolchains,
            self._remote,
            LinkRunner(
                self._directory,
                with_believed_directory(environ, self._directory),
                self._toolchains,
                LinkTools(self._cache_dir, environ),
                self._linker,
            ),
            self.home,
            local_jobs=local_jobs,
            maps=maps,
        )
        if not self._settings.cluster.enabled:
            self._none(LocalOnly("no cluster is used"))
            return self
        token = client_token(self._settings.cluster.coordinator)
        if token is None:
            self.jobs = self._wanted_jobs or self._cpus * (_EDGES_PER_SLOT + 1)
            self._connecting = asyncio.create_task(self._connect_embedded())
        else:
            await self._connect(token)  # first, because its slots decide how many edges to start
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._history.save()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._joined is not None:
            await self._joined.close()

    def finished(self, edge: Edge, result: EdgeResult) -> None:
        """Take note of an edge that ended: its outputs are other files now."""
        paths = [os.path.join(self._directory, node.path) for node in edge.outputs]  # noqa: PTH118 - as spelled
        for path in paths:
            self._inputs.forget(path)
        if result.where is Where.LOCAL:
            self._away.lose(paths)
            self._absences.clear()
            if not looks_like_compile(edge.command()):
                self._inputs.refresh()
        if paths:
            self._history.note(paths[0], result.where.value, result.worker, result.reason)

    def traffic(self) -> tuple[int, int]:
        """Return the bytes sent to and received from the cluster."""
        return self._joined.client.traffic() if self._joined is not None else (0, 0)

    async def _connect(self, token: JoinToken) -> None:
        try:
            self._joined = await Joined.with_token(token, self._cache_dir)
        except CyxError as error:
            self._go_local(error)
            return
        slots = self._joined.slots
        if slots == 0:
            self._note("warning: the cluster has no workers; building locally")
            self._none(LocalOnly("the cluster has no workers"))
            return
        self.jobs = self._wanted_jobs or min(_MOST_JOBS, slots * _EDGES_PER_SLOT + self._cpus)
        self._ready(self._joined.client)

    async def _connect_embedded(self) -> None:
        try:
            self._joined = await Joined.with_embedded(
                self._cache_dir, min(self._cpus, self._wanted_jobs or self._cpus)
            )
        except CyxError as error:
            self._go_local(error)
            return
        self._ready(self._joined.client)

    def _ready(self, client: ClusterClient) -> None:
        self._remote.set_result(
            RemoteCompiler(
                client,
                self._inputs,
                self._digests,
                root=self._root,
                use_cache=self._settings.cache.enabled,
                history=self._history,
                exists=self._absences,
                away=self._away,
            )
        )
        self._linker.set_result(
            RemoteLinker(
                client,
                self._digests,
                self._bring,
                project=self._root,
                use_cache=self._settings.cache.enabled,
                outputs_stay=self._settings.build.download is not Download.ALL,
                away=self._away,
            )
        )

    def _go_local(self, error: CyxError) -> None:
        self._note(f"warning: {error}; building locally")
        self._none(LocalOnly(f"no cluster: {error.code}"))

    def _none(self, reason: LocalOnly) -> None:
        """Note that there is no cluster."""
        self._remote.set_result(reason)
        self._linker.set_result(reason)

    async def _client(self) -> ClusterClient | None:
        """Return the connection once there is one; None without a cluster, or after its loss."""
        remote = await asyncio.shield(self._remote)
        if isinstance(remote, LocalOnly) or self._joined is None:
            return None
        client = self._joined.client
        return None if client.lost else client

    async def _bring(self, path: str) -> None:
        await self.home.bring((path,))


def client_token(
    coordinator: str | None, environ: Mapping[str, str] = os.environ
) -> JoinToken | None:
    """Return the token of the user's cluster, with another address if one is named; None: no token.

    Raises ConfigError.
    """
    text = config.token_text(environ)
    if text is None:
        if coordinator is not None:
            raise ConfigError(
                f"the coordinator {coordinator} needs a token",
                next_step=f"set {config.TOKEN_VARIABLE}, or run `cyxmake login TOKEN`",
            )
        return None
    token = JoinToken.parse(text)
    return replace(token, address=coordinator) if coordinator else token
