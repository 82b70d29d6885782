"""Turns a successful compile into an entry of the action cache, with its exact inputs.

Knows nothing of leases, connections or sandboxes: it is handed the layers that the compiler saw.
Other actions get their entry, by plain digest, from the coordinator.

What the compiler read comes from the depfile that the command writes, or from one that we add where
that cannot change the object. Where a depfile leaves out system headers, or cannot exist, the
include closure stands in: a superset, which costs hits but never gives a wrong one. What such a
depfile does list must be in the closure. Whatever is not fully known gives no entry.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cyxmake_common.action import ROOT, TOOLCHAIN, ActionResult, OutputFile
from cyxmake_common.cache.key import KeyInputs, manifest, pack_paths, tokenise
from cyxmake_common.cas.store import BlobStore, read_all, write_all
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.execution.executor import ExecutionRequest, Executor
from cyxmake_common.includes.depfile import parse_depfile
from cyxmake_common.includes.depfile_layout import fill, layout_of, template
from cyxmake_common.includes.scanner import names_file
from cyxmake_common.includes.search import absolute
from cyxmake_common.includes.time_macros import may_read_clock, names_time
from cyxmake_common.protocol.messages import MAX_INLINE, MAX_TEXT, CacheEntry
from cyxmake_common.stand_in import STAND_IN
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand, CompilerKind
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.normalise import RECORDS_COMMAND, normalise
from cyxmake_worker.builtin_dirs import BuiltinDirectories
from cyxmake_worker.questions import Questions
from cyxmake_worker.rooted_output import maps_root, mentions_root, names_root
from cyxmake_worker.scenes import Scene, Scenes
from cyxmake_worker.standard_headers import is_standard
from cyxmake_worker.standpoints import Standpoints

PRIVATE_DEPFILE: Final = ".cyxmake-private.d"
"""The depfile of our own, in the command's working directory; never part of a result."""

_PLANS_KEPT: Final = 1024
_NO_KEY: Final = (ROOT, STAND_IN, TOOLCHAIN)
"""Properties that are in the key otherwise, or say only who may run the action."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A compile that can be recorded: `depfile` is where its dependencies stand, if anywhere.

    `whole`: they stand there with the system headers.
    """

    command: CompileCommand
    depfile: str | None
    ours: bool = False
    whole: bool = True


class EntryRecorder:
    """Makes entries; one at a time, in a thread of its own, so that heartbeats go on."""

    def __init__(
        self,
        store: BlobStore,
        path_of: Callable[[Digest], Path],
        executor: Executor,
    ) -> None:
        self._store = store
        questions = Questions(executor, store)
        self._builtins = BuiltinDirectories(questions)
        self._standpoints = Standpoints(questions)
        self._path_of = path_of
        self._scenes = Scenes()
        self._plans: OrderedDict[Digest, _Plan | None] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="entries")

    def __repr__(self) -> str:
        return f"<EntryRecorder {self._scenes!r} {self._standpoints!r}>"

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def prepare(self, request: ExecutionRequest, layers: Sequence[Path]) -> ExecutionRequest:
        """Return what is really executed: the same, or with a depfile of our own."""
        plan = self._plan(request, layers)
        if plan is None or not plan.ours:
            return request
        command = request.command
        compiler, *rest = command.arguments
        added = ("-MD", "-MF", PRIVATE_DEPFILE)
        return replace(
            request,
            command=replace(
                command,
                arguments=(compiler, *added, *rest),
                output_paths=(*command.output_paths, PRIVATE_DEPFILE),
            ),
        )

    async def record(
        self, request: ExecutionRequest, layers: Sequence[Path], result: ActionResult
    ) -> tuple[ActionResult, CacheEntry | None]:
        """Return the result as the client wants it, and its entry where there can be one.

        A template that the entry's result names is in the store, not yet pinned.
        """
        plan = self._plan(request, layers)
        if plan is None:
            return result, None
        cwd = _directory(request)
        listed = await self._read(result, plan.depfile, cwd)
        if plan.ours:
            result = without_private(result)
        if result.exit_code != 0 or (plan.depfile is not None and listed is None):
            return result, None
        scene = self._scenes.of(layers)
        builtin = await self._builtin(request, plan.command, scene)
        if builtin is None:
            return result, None
        outcome = _Compiled(
            result, self._paths(result), *await self._own_depfile(plan, result, cwd)
        )
        job = _Recording(plan, request, scene, listed, builtin)
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(self._thread, job.entry, outcome)
        if made is None:
            return result, None
        if made.doubtful and await self._standpoints.told(request, plan.command, job.root):
            return result, job.bound(made.entry, result)
        if made.template:
            await write_all(self._store, made.template)
        return result, made.entry

    async def _builtin(
        self, request: ExecutionRequest, command: CompileCommand, scene: Scene
    ) -> tuple[str, ...] | None:
        known = scene.manifest
        return None if known is None else await self._builtins.of(request, command, known)

    def _paths(self, result: ActionResult) -> dict[Digest, Path]:
        # Stores belong to the loop: the thread gets paths, which the caller's pins keep.
        return {digest: self._path_of(digest) for digest in result.blobs() if digest != EMPTY}

    async def _own_depfile(
        self, plan: _Plan, result: ActionResult, cwd: str
    ) -> tuple[OutputFile | None, bytes]:
        """Return the depfile that the command itself wrote, if it can be a template."""
        if plan.command.depfile is None:
            return None, b""
        output = _find(result, plan.command.depfile.path, cwd)
        data = await read_all(self._store, output.digest) if output is not None else b""
        return output, data

    async def _read(self, result: ActionResult, path: str | None, cwd: str) -> bytes | None:
        output = None if path is None else _find(result, path, cwd)
        return None if output is None else await read_all(self._store, output.digest)

    # ── plans ───────────────────────────────────────────────────────────────────────────────────

    def _plan(self, request: ExecutionRequest, layers: Sequence[Path]) -> _Plan | None:
        if request.digest not in self._plans:
            self._plans[request.digest] = self._make_plan(request, layers)
            if len(self._plans) > _PLANS_KEPT:
                self._plans.popitem(last=False)
        return self._plans[request.digest]

    def _make_plan(self, request: ExecutionRequest, layers: Sequence[Path]) -> _Plan | None:
        if request.action.do_not_cache or not request.action.property(TOOLCHAIN):
            return None
        scene, cwd = self._scenes.of(layers), _directory(request)
        known = scene.manifest
        command = parse_compile(
            request.command.arguments,
            lambda path: scene.read(absolute(path, cwd)),
            known.kind if known else None,  # `cc` may be either compiler
        )
        if isinstance(command, LocalOnly) or names_time(command):
            return None
        # What only the worker sees is no dependency: the command line names it by its digest.
        provided = ((path, scene.digest(path)) for path in command.provided)
        if any(digest is None or not path.endswith(digest.hash) for path, digest in provided):
            return None
        if not command.language.is_preprocessed:
            return _Plan(command, None)
        if command.depfile is not None:
            whole = command.depfile.system_headers
            return _Plan(command, command.depfile.path, whole=whole)
        if any(argument.startswith(RECORDS_COMMAND) for argument in command.argv):
            return _Plan(command, None)  # the object would hold our own arguments
        return _Plan(command, PRIVATE_DEPFILE, ours=True)


def without_private(result: ActionResult) -> ActionResult:
    """Return a result without the depfile of our own."""
    kept = tuple(output for output in result.outputs if output.path != PRIVATE_DEPFILE)
    return replace(result, outputs=kept)


@dataclass(frozen=True, slots=True)
class _Made:
    """An entry, and the template that its result names; empty when there is none."""

    entry: CacheEntry
    template: bytes
    doubtful: bool
    """It holds for every root only if the code cannot tell where it stands."""


@dataclass(frozen=True, slots=True)
class _Place:
    """For which roots a result holds, and what it then looks like."""

    result: ActionResult
    root: str = ""
    depfile: str = ""
    layout: str = ""
    template: bytes = b""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """What a compile left; `depfile` is the one of its own, where it may become a template."""

    result: ActionResult
    paths: Mapping[Digest, Path]
    depfile: OutputFile | None
    written: bytes

    def place(self, command: CompileCommand, root: str, *, measured: bool) -> _Place:
        """Find out for which roots the result holds; raises OSError.

        `measured`: the code can work with the root's name without leaving it in the output.
        """
        own = None if self.depfile is None else self.depfile.digest
        # An object with the very bytes of the depfile is none: it is enough to look at the others.
        others = [path for digest, path in self.paths.items() if digest != own]
        if measured or mentions_root(command.argv, others, root):
            return _Place(self.result, root)
        if self.depfile is None or not root or root.encode() not in self.written:
            return _Place(self.result)
        layout = layout_of(self.written)
        marked = template(self.written, root)
        if layout is None or marked is None or fill(marked, root, layout) != self.written:
            return _Place(self.result, root)
        filled = replace(self.depfile, digest=Digest.of(marked))
        outputs = tuple(filled if o is self.depfile else o for o in self.result.outputs)
        result = replace(self.result, outputs=outputs)
        return _Place(result, "", self.depfile.path, layout.value, marked)


@dataclass(frozen=True, slots=True)
class _Recording:
    """One entry in the making; `listed` are the depfile's bytes, if there is one."""

    plan: _Plan
    request: ExecutionRequest
    scene: Scene
    listed: bytes | None
    builtin: tuple[str, ...]

    @property
    def root(self) -> str:
        """Return where the project stands."""
        return self.request.action.property(ROOT)

    def bound(self, entry: CacheEntry, result: ActionResult) -> CacheEntry:
        """Return the entry for this root alone, where the result is as it was made."""
        plain = {"root": self.root, "depfile": "", "layout": "", "result": result.to_bytes()}
        return entry.model_copy(update=plain)

    def entry(self, compiled: _Compiled) -> _Made | None:
        """Return the entry; None when something about the inputs is not known."""
        root = self.root
        inputs = self._inputs()
        key = self._key(root)
        if inputs is None or key is None or len(root) > MAX_TEXT:
            return None
        dependencies, absent = inputs
        token = self.scene.token
        lines = {token(path, root): digest for path, digest in dependencies.items()}
        measured = (
            names_root(self.plan.command, root)
            or self._includes_by_place(dependencies, root)
            or self._lists_real_paths(root)
        )
        place = compiled.place(self.plan.command, root, measured=measured)
        entry = CacheEntry(
            key=key,
            manifest=Digest.of(manifest(lines.items())),
            paths=pack_paths(tuple(sorted(lines))),
            absent=pack_paths(tuple(sorted({token(path, root) for path in absent}))),
            root=place.root,
            depfile=place.depfile,
            layout=place.layout,
            result=place.result.to_bytes(),
        )
        if not _fits(entry):
            return None
        return _Made(
            entry, place.template, not place.root and self._names_itself(dependencies, root)
        )

    def _key(self, root: str) -> Digest | None:
        """Return the reduced key, exactly as the client computes it."""
        action, command = self.request.action, self.plan.command
        cwd = _directory(self.request)
        source = self.scene.digest(absolute(command.source, cwd))
        if source is None:
            return None
        return KeyInputs(
            toolchain=Digest.parse(action.property(TOOLCHAIN)),
            arguments=normalise(command, root),
            environment=self.request.command.environment,
            directory=tokenise(cwd, root),
            source=source,
            platform=tuple(p for p in action.platform if p[0] not in _NO_KEY),
        ).key()

    def _inputs(self) -> tuple[dict[str, Digest], tuple[str, ...]] | None:
        """Return every file that was read with its digest, and what must stay absent."""
        command, scene, cwd = self.plan.command, self.scene, _directory(self.request)
        environment = self.request.command.environment
        names = self._listed_names()
        listed = (command.source, *names)
        probes = scene.probes.probes(command, cwd, listed, self.builtin, environment)
        maybe = frozenset[str]()
        if not self._lists_all or probes.precompiled:
            closure = scene.closures.closure(command, cwd, self.builtin, environment)
            if closure.unresolved or closure.precompiled:
                return None
            maybe = closure.files
            probes = scene.probes.probes(command, cwd, listed, self.builtin, environment, maybe)
        read = {absolute(path, cwd) for path in (*names, command.source, *command.inputs)}
        if self._depends_on_time(read | maybe):
            return None
        if not probes.certain:
            return None
        digests: dict[str, Digest] = {}
        for path in (*read, *probes.present):
            digest = scene.digest(path)
            if digest is None:
                return None  # it was not an input: a file that the command made for itself
            digests[path] = digest
        return digests, probes.absent

    @property
    def _lists_all(self) -> bool:
        """Tell whether the depfile names the system headers, too."""
        return self.plan.whole and self.listed is not None

    def _names_itself(self, dependencies: Iterable[str], root: str) -> bool:
        """Tell whether a file mentions `__FILE__` or its like, where that may have the root.

        The standard headers are taken to do no more than to print it.
        """
        command = self.plan.command
        spelled = (command.source, *self._listed_names(), *self._unlisted())
        if not any(path.startswith(f"{root}/") for path in spelled):
            return False
        clang = command.kind is CompilerKind.CLANG
        # Every gcc and clang that knows the option maps what the preprocessor writes.
        mapped = maps_root(command, root)
        if not mapped and any(names_file(word.encode("utf-8", "surrogateescape"))
                              for word in command.argv):  # fmt: skip
            return True
        scans = (
            self.scene.closures.scan(path)
            for path in dependencies
            if not is_standard(path, self.builtin)
        )
        return any(
            (scan.names_itself and not mapped)
            or (clang and (scan.names_types or scan.names_caller))
            for scan in scans
        )

    def _listed_names(self) -> tuple[str, ...]:
        return parse_depfile(self.listed or b"").prerequisites

    def _lists_real_paths(self, root: str) -> bool:
        """Tell whether gcc gave a header the shorter name behind a symlink that leads there.

        Such a header is in no folder that the command names, and in another one elsewhere.
        """
        command = self.plan.command
        search = command.search
        if command.kind is not CompilerKind.GCC or not (search.system or search.after):
            return False
        named = (root, *self.builtin, *search.quote, *search.bracket, *search.system, *search.after)
        return any(
            path.startswith("/") and not path.startswith(named) for path in self._listed_names()
        )

    def _unlisted(self) -> Iterator[str]:
        """Yield how the paths begin that headers may have which no depfile lists."""
        if not self._lists_all:
            command = self.plan.command
            search = command.search
            yield from (*command.forced_includes, *command.macro_includes)
            for folder in (*search.quote, *search.bracket, *search.system, *search.after):
                yield f"{folder}/"

    def _includes_by_place(self, dependencies: Iterable[str], root: str) -> bool:
        """Tell whether a file includes another by its place below the root.

        In a second checkout the same bytes still include the first one's file.
        """
        closures, place = self.scene.closures, f"{root}/"
        scans = {path: closures.scan(path) for path in dependencies}
        named = [directive for scan in scans.values() for directive in scan.directives]
        if any(scan.computed for scan in scans.values()):
            values = (closures.definitions(path).values() for path in scans)
            named += [d.directive for macros in values for v in macros for d in v if d.directive]
        return any(directive.name.startswith(place) for directive in named)

    def _depends_on_time(self, paths: Collection[str]) -> bool:
        """Tell whether a file may put the time into the object."""
        scans = [self.scene.closures.scan(path) for path in paths]
        return may_read_clock(
            self.plan.command,
            self.request.command.environment,
            time=any(scan.uses_time for scan in scans),
            timestamp=any(scan.uses_timestamp for scan in scans),
        )


def _directory(request: ExecutionRequest) -> str:
    return "/" + request.command.working_directory.strip("/")


def _find(result: ActionResult, path: str, cwd: str) -> OutputFile | None:
    """Return an output by a path as the command spells it; results have it relative."""
    wanted = posixpath.normpath(absolute(path, cwd))
    for output in result.outputs:
        if posixpath.normpath(absolute(output.path, cwd)) == wanted:
            return output
    return None


def _fits(entry: CacheEntry) -> bool:
    return max(len(entry.paths), len(entry.absent), len(entry.result)) <= MAX_INLINE // 2
