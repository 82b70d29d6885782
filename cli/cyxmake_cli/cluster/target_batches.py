"""Collects the compiles of a target that have to be run, and has them done with its link at once.

Knows nothing of screens. A target waits until each of its compiles has come or turned out to need
nothing; when nothing more comes for a while it goes without the rest. Whatever cannot be done
together is done alone: a target is a faster way, never the only one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from cyxmake_cli.cluster.client import ClusterClient, JobAnswer
from cyxmake_cli.cluster.inputs import InputRoot, Source
from cyxmake_cli.cluster.submit import PLATFORM, Submitter, Work
from cyxmake_cli.cluster.uploads import Uploads
from cyxmake_cli.cluster.way import Tools, Way
from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_cli.strategies.link_units import LinkUnit
from cyxmake_cli.strategies.targets import Group, Part, absolute, combine
from cyxmake_common.action import ROOT, TOOLCHAIN, Action, ActionResult, Command, OutputFile
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.compound import ALLOWED, COMPOUND, PLAN_PATH, STEPS, Ended, decode_ended
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ConnectionLost, CyxError
from cyxmake_common.protocol.messages import JobComplete, JobReject

_PATIENCE_SECONDS: Final = 2.0
"""A target that has begun to come waits this long for its next compile."""

_SUBMISSIONS: Final = 3


@dataclass(frozen=True, slots=True)
class LinkPart:
    """A target's link: what it reads besides the objects that its own compiles make."""

    unit: LinkUnit
    root: InputRoot
    files: dict[str, Digest]


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link that was done with its target: valid while its objects are those it was made of."""

    part: LinkPart
    objects: dict[str, Digest]
    result: ActionResult
    worker: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The cluster for a project that stands at `root`.

    `alone` has single commands done, `inputs` lays out what some compiles read and nothing else.
    """

    client: ClusterClient
    alone: Submitter
    uploads: Uploads
    inputs: Callable[[Sequence[CompileUnit]], InputRoot | None]
    root: str
    use_cache: bool


class Linking(Protocol):
    """What knows of links; RemoteLinker and LinkRunner together."""

    async def part(self, edge: Edge, made: frozenset[str]) -> LinkPart | None:
        """Return a link's part in a target that makes these objects; None where that is unsure."""
        ...


@dataclass(slots=True)
class _Waiting:
    """One compile that waits for its target."""

    work: Work
    way: Way
    answer: asyncio.Future[JobAnswer]


@dataclass(slots=True)
class _Batch:
    """One target under way."""

    group: Group
    pending: set[Edge]
    waiting: dict[Edge, _Waiting] = field(default_factory=dict)
    begun: bool = False
    timer: asyncio.TimerHandle | None = None


class TargetBatches:
    """The targets of one build."""

    def __init__(self, groups: Iterable[Group], linking: Linking) -> None:
        self._linking = linking
        self._batch_of: dict[Edge, _Batch] = {}
        self._made: dict[Edge, MadeLink] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._cluster: Surroundings | None = None
        for group in groups:
            batch = _Batch(group, set(group.compiles))
            self._batch_of.update(dict.fromkeys(group.compiles, batch))

    def __repr__(self) -> str:
        return f"<TargetBatches of {len(self._batch_of)} compiles, {len(self._made)} links made>"

    def use(self, cluster: Surroundings, links: Collection[Edge]) -> None:
        """Know the cluster, once it is there, and the links whose targets are done together."""
        self._cluster = cluster
        chosen = self._batch_of.items()
        self._batch_of = {edge: batch for edge, batch in chosen if batch.group.link in links}

    def submitter(self, edge: Edge) -> EdgeSubmit | None:
        """Return what takes a compile of a target; None for others, and once that has begun."""
        batch = self._batch_of.get(edge)
        if batch is None or batch.begun or self._cluster is None:
            return None
        return EdgeSubmit(self, edge)

    def ended(self, edge: Edge) -> None:
        """Note that a compile needs nothing more from its target."""
        batch = self._batch_of.get(edge)
        if batch is not None:
            batch.pending.discard(edge)
            self._consider(batch)

    def made(self, edge: Edge) -> MadeLink | None:
        """Return a link that was done with its target."""
        return self._made.get(edge)

    async def close(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def submit(self, edge: Edge, work: Work, way: Way) -> JobAnswer:
        """Have a compile done with its target; raises CyxError, OSError."""
        batch = self._batch_of[edge]
        answer: asyncio.Future[JobAnswer] = asyncio.get_running_loop().create_future()
        batch.waiting[edge] = _Waiting(work, way, answer)
        batch.pending.discard(edge)
        self._consider(batch)
        return await answer

    # ── one target ──────────────────────────────────────────────────────────────────────────────

    def _consider(self, batch: _Batch) -> None:
        if batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None
        if batch.begun or not batch.waiting:
            return
        if batch.pending:
            loop = asyncio.get_running_loop()
            batch.timer = loop.call_later(_PATIENCE_SECONDS, self._begin, batch)
        else:
            self._begin(batch)

    def _begin(self, batch: _Batch) -> None:
        if batch.begun:
            return
        batch.begun = True
        task = asyncio.create_task(self._run(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: _Batch) -> None:
        # In the plan's order, not in that of arrival: the same target is the same action.
        waiting = sorted(batch.waiting.items(), key=lambda item: item[0].id)
        live = {edge: one for edge, one in waiting if not one.answer.done()}
        try:
            for one in live.values():
                if isinstance(one.way, Together):
                    await one.way.begin_now()
            try:
                answers = await self._together(batch, live) if len(live) > 1 else {}
            except (CyxError, OSError, ValueError, KeyError):
                answers = {}  # each for itself finds out what is wrong, and says it
            await asyncio.gather(*(self._settle(w, answers.get(e)) for e, w in live.items()))
        finally:
            for one in live.values():
                if not one.answer.done():
                    one.answer.set_exception(ConnectionLost("the target was given up"))

    async def _settle(self, one: _Waiting, answer: JobAnswer | None) -> None:
        assert self._cluster is not None
        try:
            found = answer or await self._cluster.alone.submit(one.work, one.way)
        except Exception as error:
            if not one.answer.done():
                one.answer.set_exception(error)
            return
        if not one.answer.done():
            one.answer.set_result(found)

    async def _together(self, batch: _Batch, live: dict[Edge, _Waiting]) -> dict[Edge, JobAnswer]:
        """Have everything done in one action; returns nothing where that came to nothing."""
        assert self._cluster is not None
        around = self._cluster
        client, uploads = around.client, around.uploads
        works = [one.work for one in live.values()]
        parts = [Part(w.argv, w.directory, w.environment, w.outputs) for w in works]
        made = frozenset(absolute(p, o) for p in parts for o in p.outputs)
        link = None if batch.pending else await self._linking.part(batch.group.link, made)
        linked = None
        if link is not None:
            unit = link.unit
            linked = Part(unit.argv, unit.directory, unit.environment, unit.outputs)
        compound, outputs = combine(parts, linked)
        units = [work.unit for work in works if work.unit is not None]
        inputs = around.inputs(units)
        if inputs is None or len(units) != len(works):
            return {}
        tree, blobs = await asyncio.to_thread(_tree, works, inputs, link, compound.to_bytes())
        command = Command((PLAN_PATH,), (), outputs).to_bytes()
        tools = works[0].tools
        platform = (*PLATFORM, (STEPS, ALLOWED), (COMPOUND, "1"), (ROOT, around.root))
        action = Action(
            Digest.of(command),
            tree,
            platform=tuple(sorted((*platform, (TOOLCHAIN, str(tools.id))))),
        ).to_bytes()
        blobs |= {Digest.of(data): data for data in (command, action)}
        await uploads.ensure(blobs)
        answer = await client.execute(Digest.of(action), skip_cache=not around.use_cache)
        for _ in range(_SUBMISSIONS - 1):
            if not isinstance(answer, JobReject) or not answer.missing:
                break
            if answer.code == "missing-toolchain":
                await uploads.ensure(tools.blobs(), within=tools.id)
            else:
                await uploads.again(answer.missing, {**tools.blobs(), **blobs})
            answer = await client.execute(Digest.of(action), skip_cache=not around.use_cache)
        if not isinstance(answer, JobComplete):
            return {}
        result = ActionResult.from_bytes(answer.result)
        worker = "" if answer.cached else answer.worker
        return await self._share(batch, live, parts, (link, linked), (result, worker))

    async def _share(
        self,
        batch: _Batch,
        live: dict[Edge, _Waiting],
        parts: list[Part],
        linking: tuple[LinkPart | None, Part | None],
        came: tuple[ActionResult, str],
    ) -> dict[Edge, JobAnswer]:
        """Give each command its own share of what came back."""
        assert self._cluster is not None
        client, uploads = self._cluster.client, self._cluster.uploads
        result, worker = came
        if result.stdout is None:
            return {}
        ended = decode_ended(await client.blobs.get_bytes(result.stdout))
        if len(ended) != len(parts) + (linking[1] is not None):
            return {}
        files = {"/" + output.path: output for output in result.outputs}
        texts = [end.output.encode("latin-1") for end in ended]
        said: dict[Digest, Source] = {Digest.of(text): text for text in texts if text}
        await uploads.ensure(said)
        answers: dict[Edge, JobAnswer] = {}
        for edge, part, end, text in zip(live, parts, ended, texts, strict=False):
            if end.exit_code >= 0:
                own = _result(part, end, text, files)
                answers[edge] = JobComplete(operation="", result=own.to_bytes(), worker=worker)
        link, linked = linking
        if link is not None and linked is not None and ended[-1].exit_code == 0:
            own = _result(linked, ended[-1], texts[-1], files)
            objects = {
                absolute(p, o): files[absolute(p, o)].digest for p in parts for o in p.outputs
            }
            self._made[batch.group.link] = MadeLink(link, objects, own, worker)
        return answers


@dataclass(frozen=True, slots=True)
class EdgeSubmit:
    """Submits one compile with its target."""

    batches: TargetBatches
    edge: Edge

    async def __call__(self, work: Work, way: Way) -> JobAnswer:
        """Have it done."""
        return await self.batches.submit(self.edge, work, way)


class Together(Way):
    """The way of a compile that waits for others: it begins when all of them do."""

    def __init__(self, own: Way) -> None:
        self.rank = own.rank
        self._own = own

    async def missed(self, tools: Tools, told: float | None = None) -> None:
        """Go on: it is sent with its target."""

    async def begin(self) -> None:
        """Go on: its turn comes with its target's."""

    async def begin_now(self) -> None:
        """Return when one more command may run."""
        await self._own.begin()

    def uploaded(self, size: int) -> None:
        """Pass it on."""
        self._own.uploaded(size)

    def executing(self, worker: str) -> None:
        """Pass it on."""
        self._own.executing(worker)

    def coming(self, size: int, seconds: float, *, hit: bool) -> None:
        """Pass it on."""
        self._own.coming(size, seconds, hit=hit)

    async def claim(self) -> None:
        """Pass it on."""
        await self._own.claim()


def _result(part: Part, end: Ended, text: bytes, files: dict[str, OutputFile]) -> ActionResult:
    outputs = tuple(
        OutputFile(name, found.digest, found.is_executable)
        for name in part.outputs
        if (found := files.get(absolute(part, name))) is not None
    )
    stderr = Digest.of(text) if text else None
    return ActionResult(end.exit_code, outputs, stderr=stderr, seconds=end.seconds)


def _tree(
    works: list[Work], inputs: InputRoot, link: LinkPart | None, plan: bytes
) -> tuple[Digest, dict[Digest, Source]]:
    """Put all that the commands read into one tree; raises ValueError where that contradicts."""
    sources: dict[Digest, Source] = {}
    tree = InputTree()
    _merge(tree, inputs, sources)
    others: dict[Digest, Tools] = {work.tools.id: work.tools for work in works[1:]}
    others.pop(works[0].tools.id, None)
    if link is not None:
        _merge(tree, link.root, sources)
        others[link.unit.tools.id] = link.unit.tools
    for tools in others.values():
        # Beside the compiler's own tree, which lies over all of this.
        _merge(tree, InputRoot(tools.id, dict(tools.blobs())), sources)
    tree.add_file(PLAN_PATH, Digest.of(plan))
    digest, directories = tree.build()
    return digest, {**sources, **directories, Digest.of(plan): plan}


def _merge(tree: InputTree, root: InputRoot, sources: dict[Digest, Source]) -> None:
    def fetch(digest: Digest) -> bytes:
        found = root.blobs[digest]
        if isinstance(found, str):
            raise ValueError("a directory that is a file")
        return found

    tree.merge(InputTree.load(root.digest, fetch))
    sources.update(root.blobs)
