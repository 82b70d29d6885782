"""`dbuild --strategy whole-project`: configure, build and test a project on one worker.

Puts the wings together: what the project is, what the workers have, the tree, the action, what came
back. Unlike a build of single compiles it needs the cluster: what no worker can do is refused.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from cyxmake_cli import artifacts, config
from cyxmake_cli.artifacts import Brought
from cyxmake_cli.cluster.client import ClusterClient, JobAnswer
from cyxmake_cli.cluster.joined import Joined
from cyxmake_cli.cluster.sent_layers import SentLayers
from cyxmake_cli.cluster.session import client_token
from cyxmake_cli.cluster.snapshot import Rules, Snapshot, take
from cyxmake_cli.cluster.whole import Heard, Placed, WholeJob, bring_home, read_output, submit
from cyxmake_cli.settings import Settings
from cyxmake_cli.strategies import whole_project as planner
from cyxmake_cli.systems.detect import detect_systems, facts_of
from cyxmake_cli.systems.model import SystemName, SystemSpec, Verb
from cyxmake_cli.systems.plan import PlannedCommand, Wish, commands
from cyxmake_cli.ui.tally import Tally, render
from cyxmake_common.action import ActionResult
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.compound import Compound
from cyxmake_common.errors import ConnectionLost, CyxError, ExitStatus, ProjectError, UsageError
from cyxmake_common.globs import matcher
from cyxmake_common.protocol.messages import JobComplete, JobFailed, Status

_NATIVE_PRODUCTS: Final = ("autom4te.cache",)
_DEPENDS: Final = {
    SystemName.CARGO: ("Cargo.toml", "dependencies"),
    SystemName.GO: ("go.mod", "require"),
    SystemName.NPM: ("package.json", "ependencies"),
    SystemName.YARN: ("package.json", "ependencies"),
    SystemName.PNPM: ("package.json", "ependencies"),
}
"""The file that names what a project depends on, and the word that does; others always do."""


@dataclass(frozen=True, slots=True)
class WholeRequest:
    """What the command line asks for, and what the settings say."""

    settings: Settings
    directory: Path = Path()
    targets: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Below the project's own folder, which is not sent: what options name of it is."""
    test: bool = False
    patterns: tuple[str, ...] = ()
    platform: str | None = None
    network: bool | None = None
    timeout: float = 0.0
    overwrite: bool = False
    quiet: bool = False
    verbose: bool = False
    dry_run: bool = False
    summary: Path | None = None


@dataclass(frozen=True, slots=True)
class _Project:
    """The project: where it stands, how it builds, and where, relative to itself."""

    source: str
    spec: SystemSpec
    build: str

    @property
    def build_path(self) -> str:
        return f"{self.source}/{self.build}" if self.build else self.source


@dataclass(slots=True)
class _Outcome:
    """How it ended, for the summary."""

    status: ExitStatus
    placed: Placed = field(default_factory=Placed)
    worker: str = ""
    seconds: float = 0.0
    traffic: tuple[int, int] = (0, 0)


def build_whole(request: WholeRequest) -> ExitStatus:
    """Build the project on a worker, return the exit status; raises CyxError."""
    start = time.monotonic()
    if not request.settings.cluster.enabled:
        raise UsageError(
            "a whole project is built on a worker: it needs a cluster",
            next_step="leave out --local, or choose --strategy compile-units",
        )
    project = _find(request)
    try:
        outcome = asyncio.run(_run(request, project))
    except KeyboardInterrupt:
        print("cyxmake: interrupted", flush=True)  # noqa: T201 - this is the user interface
        outcome = _Outcome(ExitStatus.CANCELLED)
    tally = Tally(total=1, done=1, seconds=outcome.seconds)
    tally.bytes_up, tally.bytes_down = outcome.traffic
    tally.failed = int(outcome.status is ExitStatus.BUILD_FAILED)
    if outcome.worker:
        tally.remote = 1
        tally.workers[outcome.worker] = 1
    summary = tally.summary(time.monotonic() - start, int(outcome.status))
    if request.summary is not None:
        import json

        told = {**summary, "artifacts": outcome.placed.paths, "left": outcome.placed.refused}
        request.summary.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    if outcome.worker and not request.quiet:
        for line in render(summary):
            print(line)  # noqa: T201
    return outcome.status


def _find(request: WholeRequest) -> _Project:
    if not request.directory.is_dir():
        raise ProjectError(f"{request.directory} is not a directory")
    source = os.path.abspath(request.directory)  # noqa: PTH100 - symlinks stay as they are spelled
    found = detect_systems(Path(source))
    if not found:
        raise ProjectError(
            f"no build system is known for {source}",
            next_step="name the project with -C DIR",
        )
    spec = found[0].spec
    named = request.settings.build.directory
    place = os.path.normpath(os.path.join(source, named or spec.build_dir))  # noqa: PTH118
    inside = os.path.relpath(place, source)
    if inside.startswith(".."):
        raise UsageError(
            f"the build directory {place} is outside of the project",
            next_step="a whole project is built below its own directory",
        )
    if named and not spec.build_dir and inside != ".":
        raise UsageError(f"{spec.title} builds among the sources, not in {named}")
    if not spec.build_dir or inside == ".":
        inside = ""
    if spec.name is SystemName.AUTOTOOLS and not (Path(source) / "configure.ac").is_file():
        inside = inside if named else ""  # a script written by hand works among its sources
    return _Project(source, spec, inside)


async def _run(request: WholeRequest, project: _Project) -> _Outcome:
    cache_dir = config.cache_directory()
    token = client_token(request.settings.cluster.coordinator)
    if token is not None:
        joined = await Joined.with_token(token, cache_dir)
    else:
        joined = await Joined.with_embedded(cache_dir, os.cpu_count() or 1)
    try:
        offers = _offers(await joined.client.status())
        return await _build(request, project, joined.client, offers, cache_dir)
    finally:
        await joined.close()


def _offers(status: Status) -> tuple[planner.Offer, ...]:
    return tuple(
        planner.Offer(worker.name, frozenset(worker.properties))
        for worker in status.workers
        if not worker.draining
    )


async def _build(
    request: WholeRequest,
    project: _Project,
    client: ClusterClient,
    offers: Sequence[planner.Offer],
    cache_dir: Path,
) -> _Outcome:
    target = planner.parse_platform(request.platform)
    if target is None:
        raise UsageError(
            f"{request.platform!r} is no platform", next_step="write arm64-linux or x64-windows"
        )
    spec = project.spec
    network = planner.needs_network(spec, _depends(project))
    if request.network is not None:
        network = request.network
    provided = [n for group in spec.tools for n in group if Path(project.source, n).is_file()]
    verbs = _verbs(request)
    platform = planner.requirements(spec, verbs, target, offers, network=network, provided=provided)
    if isinstance(platform, planner.Refusal):
        raise ProjectError(platform.message, next_step=platform.next_step)
    tools = planner.tools_at_hand(target, offers)
    # For another platform they are of no use: a record is for one release and processor.
    if request.platform is None:
        layers = SentLayers.of(project.source, spec.name)
    else:
        layers = SentLayers(project.source, spec.name, ())
    request = replace(request, options=layers.options(request.options))
    planned = _commands(request, project, tools)
    if not planned:
        raise ProjectError(f"{spec.title} has nothing to build in {project.source}")
    wanted = planner.wanted(spec, project.build, request.patterns)
    if request.dry_run:
        for command in planned:
            print(" ".join(command.argv))  # noqa: T201
        print(f"needs {', '.join(f'{n}={v}' for n, v in platform)}")  # noqa: T201
        return _Outcome(ExitStatus.OK)
    brought = Brought.load(cache_dir, project.source)
    tree = await asyncio.to_thread(_snapshot, project, brought, cache_dir, layers, request.files)
    passed_on = {n: os.environ[n] for n in planner.PASSED_ON if n in os.environ}
    variables = tuple(sorted(layers.variables(passed_on, running=request.test).items()))
    job = WholeJob(
        Compound(
            steps=planner.steps_of(planned),
            host_tools=True,
            network=network,
            own=project.source,
            times=tree.times,
            wanted=wanted,
        ),
        tree.tree,
        tree.sources,
        project.source,
        variables,
        platform,
        request.timeout,
    )
    heard = Heard(_print_bytes, lambda text: None if request.quiet else print(text, flush=True))  # noqa: T201
    answer = await submit(client, job, heard)
    if not isinstance(answer, JobComplete):
        raise _no_verdict(answer)
    result = ActionResult.from_bytes(answer.result)
    await _tell_rest(client, result, heard)
    outcome = _Outcome(ExitStatus.OK, worker=answer.worker, seconds=result.seconds)
    if result.exit_code != 0:
        print(f"cyxmake: build failed on {answer.worker}: exit status {result.exit_code}")  # noqa: T201
        outcome.status = ExitStatus.BUILD_FAILED
    else:
        rules = artifacts.Rules(
            matcher(wanted.patterns), frozenset(tree.files) | tree.links.keys(), request.overwrite
        )
        try:
            outcome.placed = await bring_home(client, result, project.source, brought, rules)
            await asyncio.to_thread(brought.save)
        except OSError as error:
            raise ProjectError(f"{error.filename}: {error.strerror}") from error
        _tell_placed(outcome.placed, request)
    outcome.traffic = client.traffic()
    return outcome


def _verbs(request: WholeRequest) -> tuple[Verb, ...]:
    return (Verb.CONFIGURE, Verb.BUILD, *((Verb.TEST,) if request.test else ()))


def _commands(
    request: WholeRequest, project: _Project, tools: frozenset[str]
) -> tuple[PlannedCommand, ...]:
    """Return what the worker runs: configured it never is, as its tree has no build directory."""
    spec, source = project.spec, project.source

    def which(program: str) -> str | None:
        return program if program in tools else None

    nowhere = Path(source) / ".cyxmake-none"
    facts = facts_of(spec, Path(source), nowhere, which)
    wish = Wish(
        source,
        project.build_path,
        targets=request.targets,
        options=request.options,
        verbose=request.verbose,
    )
    found: list[PlannedCommand] = []
    for verb in _verbs(request):
        # Options go to the first step that takes some: configuring, where there is that.
        one = wish if verb is Verb.CONFIGURE or not found else replace(wish, options=())
        found += commands(spec, verb, one, facts)
    return tuple(found)


def _depends(project: _Project) -> bool:
    file, word = _DEPENDS.get(project.spec.name, ("", ""))
    if not file:
        return True
    try:
        text = Path(project.source, file).read_text("utf-8", "replace")
    except OSError:
        return True
    return word in text


def _snapshot(
    project: _Project,
    brought: Brought,
    cache_dir: Path,
    layers: SentLayers,
    files: tuple[str, ...],
) -> Snapshot:
    digests = FileDigests(cache_dir / "snapshot.digests")
    digests.load()
    native = "C" in project.spec.languages
    rules = Rules(
        tracked=_tracked(project.source),
        products=frozenset((project.build,)) if project.build else frozenset(),
        made=_NATIVE_PRODUCTS if native else project.spec.made,
        ours=lambda path: brought.is_ours(project.source, path, digests.digest),
    )
    try:
        found = take(project.source, rules, digests)
        layers.add_to(found, digests)
        for path in files:
            found.add(path, digests.digest(path))
    except ValueError as error:
        raise ProjectError(f"the project cannot be sent: {error}") from error
    except OSError as error:
        raise ProjectError(f"{error.filename}: {error.strerror}") from error
    digests.save()
    return found


def _tracked(source: str) -> frozenset[str]:
    """Return the files that git has, whatever is ignored; nothing without a repository."""
    git = shutil.which("git")
    if git is None:
        return frozenset()
    done = subprocess.run([git, "-C", source, "ls-files", "-z"], capture_output=True, check=False)
    names = done.stdout.split(b"\0") if done.returncode == 0 else []
    return frozenset(os.fsdecode(name) for name in names if name)


def _no_verdict(answer: JobAnswer) -> CyxError:
    if isinstance(answer, JobFailed):
        why = answer.detail or str(answer.cause) or str(answer.kind)
        return ProjectError(
            f"the cluster could not build the project: {why}",
            next_step="try again, or build here with --strategy compile-units",
        )
    detail = getattr(answer, "detail", "")
    return ProjectError(f"the cluster refused the project: {detail or answer.type}")


async def _tell_rest(client: ClusterClient, result: ActionResult, heard: Heard) -> None:
    """Print what was not heard while it ran."""
    size = sum(digest.size for digest in (result.stdout, result.stderr) if digest is not None)
    if heard.count >= size:
        return
    if heard.count:
        heard.note("cyxmake: some of the output was lost on the way; all of it:")
    try:
        heard.tell(await read_output(client, result))
    except ConnectionLost as error:
        heard.note(f"cyxmake: {error}")


def _print_bytes(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _tell_placed(placed: Placed, request: WholeRequest) -> None:
    for path, reason in sorted(placed.refused.items()):
        print(f"cyxmake: {path} was left there: it {reason}")  # noqa: T201
    if request.quiet:
        return
    shown = sorted(placed.paths)
    for path in shown if request.verbose else shown[:10]:
        print(f"cyxmake: brought {path}")  # noqa: T201
    if len(shown) > 10 and not request.verbose:
        print(f"cyxmake: and {len(shown) - 10} more files")  # noqa: T201
    if not shown:
        print("cyxmake: the build made nothing that was asked for (--artifacts GLOB chooses)")  # noqa: T201
