"""The cluster side of one build: find or start a cluster, give the build its runner, clean up.

Knows nothing of plans. Connecting goes on while the build already scans; when it fails, the build
goes on locally and says so once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Final, Self

from cyxmake_cli import config
from cyxmake_cli.away import AwayFiles
from cyxmake_cli.cluster import race_events
from cyxmake_cli.cluster.client import ClusterClient, Connected
from cyxmake_cli.cluster.failed_actions import FailedActions
from cyxmake_cli.cluster.history import History
from cyxmake_cli.cluster.homecoming import Homecoming
from cyxmake_cli.cluster.inputs import InputRoots
from cyxmake_cli.cluster.joined import Joined
from cyxmake_cli.cluster.lanes import Lanes
from cyxmake_cli.cluster.link_runner import LinkRunner
from cyxmake_cli.cluster.link_tools import LinkTools
from cyxmake_cli.cluster.links import RemoteLinker
from cyxmake_cli.cluster.lookup import Absences
from cyxmake_cli.cluster.path_maps import PathMaps, adds_options
from cyxmake_cli.cluster.race_events import Rules
from cyxmake_cli.cluster.racing import Racing
from cyxmake_cli.cluster.remote import RemoteCompiler
from cyxmake_cli.cluster.runner import EdgeRunner
from cyxmake_cli.cluster.shipping import Shipper
from cyxmake_cli.cluster.target_batches import Surroundings, TargetBatches
from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_cli.cluster.uploads import Uploads
from cyxmake_cli.cluster.working_directory import with_believed_directory
from cyxmake_cli.ninja.driver import EdgeResult, Where
from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.replay.keeper import ReplayKeeper
from cyxmake_cli.replay.store import ReplayStore
from cyxmake_cli.settings import Download, Place, Settings, Strategy
from cyxmake_cli.strategies.compile_units import looks_like_compile
from cyxmake_cli.strategies.hybrid import choose, cluster_size
from cyxmake_cli.strategies.targets import Group
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.errors import ConfigError, CyxError
from cyxmake_common.includes.closure import IncludeClosure, RealFileSystem
from cyxmake_common.net.token import JoinToken
from cyxmake_common.platform import machine, processors, share_processors
from cyxmake_common.toolchain.local import LocalOnly

_NO_LIMIT: Final = 100_000
"""A target waits for all of its compiles: none may be kept from coming."""

_MOST_JOBS: Final = 1_000
"""Edges under way when nobody has said how many; each waits for what decides about it."""


class BuildSession:
    """An async context manager around one build in `directory` of the project at `source`.

    `root` holds both. `fresh`: nothing has been built there yet.
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
        fresh: bool = False,
        groups: Sequence[Group] = (),
    ) -> None:
        self._groups = groups
        self._targets: TargetBatches | None = None
        self._directory = directory
        self._root = root
        self._note = note
        self._settings = settings
        self._fresh = fresh
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
        keeper = ReplayKeeper(ReplayStore(config.state_directory() / "replay"), root)
        self.failed = FailedActions(keeper, self._inputs, self._client)
        self._joined: Joined | None = None
        self._connecting: asyncio.Task[None] | None = None
        cpus = len(processors())
        self._cores = min(cpus, self._wanted_jobs or cpus)
        self.jobs = self._wanted_jobs or _MOST_JOBS

    async def __aenter__(self) -> Self:
        self._remote: asyncio.Future[RemoteCompiler | LocalOnly]
        self._remote = asyncio.get_running_loop().create_future()
        maps = None
        if adds_options(self._settings):
            maps = PathMaps(self._root, self._directory, dict(os.environ), self._settings)
        self._linker: asyncio.Future[RemoteLinker | LocalOnly]
        self._linker = asyncio.get_running_loop().create_future()
        environ = dict(os.environ)
        token = None
        if self._settings.cluster.enabled:
            token = client_token(self._settings.cluster.coordinator)
        build = self._settings.build
        rules = Rules(
            self._cores,
            eager=build.place is Place.CLUSTER
            or build.download is not Download.ALL
            or build.strategy is Strategy.TARGETS,
            await_own=self._fresh and self._settings.cluster.enabled and token is None,
            expect_hits=self._history.hits(),
        )
        self.lanes = Lanes(Racing(rules))
        linking = LinkRunner(
            self._directory,
            with_believed_directory(environ, self._directory),
            self._toolchains,
            LinkTools(self._cache_dir, environ),
            self._linker,
        )
        if self._groups:
            self._targets = TargetBatches(self._groups, linking)
            self.jobs = _NO_LIMIT
        self.runner = EdgeRunner(
            self._directory,
            environ,
            self._toolchains,
            self._remote,
            linking,
            self.home,
            self.lanes,
            expected=self._expected,
            maps=maps,
            targets=self._targets,
            failed=self.failed.compile_failed,
        )
        if not self._settings.cluster.enabled:
            self._none(LocalOnly("no cluster is used"))
            return self
        # The build does not wait for its cluster: until that is there, work is done here.
        self._connecting = asyncio.create_task(self._connect(token))
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
        if self._targets is not None:
            await self._targets.close()
        await self.lanes.close()
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
            why = f"{result.reason} ({result.detail})" if result.detail else result.reason
            self._history.note(paths[0], result.where.value, result.worker, why, result.seconds)

    def traffic(self) -> tuple[int, int]:
        """Return the bytes sent to and received from the cluster."""
        return self._joined.client.traffic() if self._joined is not None else (0, 0)

    def _expected(self, edge: Edge) -> float | None:
        """Return what an edge's command took when it last ran, wherever that was."""
        return self._history.seconds(os.path.join(self._directory, edge.outputs[0].path))  # noqa: PTH118 - as spelled

    async def _connect(self, token: JoinToken | None) -> None:
        try:
            if token is None:
                joined = await Joined.with_embedded(self._cache_dir, self._cores)
            else:
                patience = self._settings.cluster.reconnect_seconds
                joined = await Joined.with_token(token, self._cache_dir, patience)
        except CyxError as error:
            self._go_local(error)
            return
        self._joined = joined
        if joined.slots == 0:
            self._note("warning: the cluster has no workers; building locally")
            self._none(LocalOnly("the cluster has no workers"))
            return
        self._ready(joined)

    def _ready(self, joined: Joined) -> None:
        client, uploads = joined.client, Uploads(joined.client)
        here = machine()
        near = [w for w in joined.workers if joined.embedded or share_processors(here, w.machine)]
        near_slots = sum(worker.slots for worker in near)
        there = {facts.id for worker in joined.workers for facts in worker.toolchains}
        there_now = race_events.Joined(
            client.link,
            joined.slots - near_slots,
            near_slots,
            frozenset(worker.name for worker in near),
        )
        self.lanes.joined(there_now, Shipper(client, uploads, there))
        client.hears = partial(self._heard, there_now)
        use_cache = self._settings.cache.enabled
        compiler = RemoteCompiler(
            client,
            self._inputs,
            self._digests,
            root=self._root,
            use_cache=use_cache,
            history=self._history,
            exists=self._absences,
            away=self._away,
            uploads=uploads,
            killed=self.failed.compile_killed,
        )
        if self._targets is not None:
            self._targets.use(
                Surroundings(
                    client,
                    compiler.submitter,
                    uploads,
                    self._inputs.exact,
                    self._root,
                    use_cache,
                ),
                self._together(joined),
            )
        self._remote.set_result(compiler)
        self._linker.set_result(
            RemoteLinker(
                client,
                self._digests,
                self._bring,
                project=self._root,
                use_cache=self._settings.cache.enabled,
                outputs_stay=self._settings.build.download is not Download.ALL,
                away=self._away,
                failed=self.failed.link_failed,
            )
        )

    def _together(self, joined: Joined) -> frozenset[Edge]:
        """Return the links of the targets that are done as one action each."""
        if self._settings.build.strategy is Strategy.TARGETS:
            return frozenset(group.link for group in self._groups)
        size = cluster_size(worker.slots for worker in joined.workers)
        decisions = choose(self._groups, self._expected, size)
        return frozenset(d.group.link for d in decisions if d.strategy is Strategy.TARGETS)

    def _heard(self, there: race_events.Joined, state: Connected) -> None:
        """Let the build go on by what became of its coordinator."""
        match state:
            case Connected.AWAY:
                patience = self._settings.cluster.reconnect_seconds
                told = f"lost the coordinator; building here, and waiting {patience:g} s for it"
                self._note(told)
                self.lanes.feed(race_events.Away())
            case Connected.BACK:
                self._note("the coordinator is back")
                self.lanes.feed(there)
            case Connected.GONE:
                self.lanes.feed(race_events.Left())

    def _go_local(self, error: CyxError) -> None:
        self._note(f"warning: {error}; building locally")
        self._none(LocalOnly(f"no cluster: {error.code}"))

    def _none(self, reason: LocalOnly) -> None:
        """Note that there is no cluster."""
        self.lanes.feed(race_events.Left())
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
