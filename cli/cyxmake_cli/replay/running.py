"""Runs a kept action again: in the sandbox of workers, with this machine's tools, on a worker.

Knows nothing of the command line. Inputs are laid out in a directory of this run's own: whatever
happened to the project since, and whatever the action writes, neither meets the other.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.inputs import InputRoot
from cyxmake_cli.cluster.submit import Submitter, Work, why_not
from cyxmake_cli.cluster.uploads import Uploads
from cyxmake_cli.replay.bundle import Bundle, Ending
from cyxmake_cli.replay.store import ReplayStore, Source
from cyxmake_common.action import ActionResult
from cyxmake_common.cas.tree_walk import TreeDirectory, TreeFile, TreeSymlink, walk_tree
from cyxmake_common.digest import Digest
from cyxmake_common.errors import CyxError, ExitStatus, UsageError
from cyxmake_common.execution.process import ProcessRequest, ProcessResult, run_process
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.messages import JobComplete, JobReject

_NOT_SET_UP: Final = 125
_IN_ITS_PLACE: Final = (
    'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 125; shift 2; done; shift;'
    ' cd "$1" || exit 125; shift; exec "$@"'
)
"""A constant script: what is mounted where, `--`, the directory and the command are arguments."""


class ReplayFailed(CyxError):
    """An action could not be run again: says nothing of the action."""

    code = "replay-failed"
    exit_status = ExitStatus.CONFIG


@dataclass(frozen=True, slots=True)
class Kept:
    """A bundle with the store that has its blobs."""

    bundle: Bundle
    store: ReplayStore

    def sources(self) -> dict[Digest, Source]:
        """Return where the bytes of every blob are, those of the toolchain's files included."""
        mine: dict[Digest, Source] = {d: str(self.store.path_of(d)) for d in self.bundle.blobs}
        return {**self._toolchain_files(), **mine}

    def blob(self, digest: Digest) -> bytes:
        """Return a blob's bytes; raises ReplayFailed."""
        try:
            data = self.store.path_of(digest).read_bytes()
        except OSError as error:
            raise ReplayFailed(f"the inputs of {self.bundle.id} are gone: {error}") from error
        if Digest.of(data) != digest:
            raise ReplayFailed(f"the inputs of {self.bundle.id} are damaged")
        return data

    def _toolchain_files(self) -> dict[Digest, Source]:
        table = json.loads(self.blob(self.bundle.toolchain_files))
        return {Digest.parse(digest): str(path) for digest, path in table.items()}


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Make a private directory for one run, and remove it afterwards."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Path(mkdtemp(prefix="replay-", dir=parent))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


# ── in the sandbox ──────────────────────────────────────────────────────────────────────────────


async def in_sandbox(kept: Kept, place: Path) -> Ending:
    """Run the command as a worker would; raises ReplayFailed."""
    plan = {
        "action": str(kept.bundle.action),
        "blobs": {str(digest): path for digest, path in kept.sources().items()},
    }
    file = place / "plan.json"
    file.write_text(json.dumps(plan), "utf-8")
    # -P: a module of the project must not stand in for one of ours.
    argv = (
        sys.executable, "-P", "-m", "cyxmake_worker.main", "replay", str(file),
        "--data-dir", str(place / "worker"),
    )  # fmt: skip
    done = await run_process(ProcessRequest(argv, cwd=place))
    try:
        told = json.loads(done.stdout)
        ending = Ending(
            kind=told["kind"],
            cause=told["cause"],
            detail=told["detail"],
            exit_code=told["exit_code"],
            output=base64.b64decode(told["output"]),
            where=f"in the sandbox ({told['sandbox']})",
        )
    except (ValueError, KeyError, TypeError):
        raise ReplayFailed(
            f"the sandbox did not run: {_last_line(done.stderr)}", next_step="cyxmake-worker check"
        ) from None
    if ending.kind == "infrastructure":
        raise ReplayFailed(
            f"the sandbox could not run it: {ending.detail}",
            next_step="when the compiler has changed since: --local, or --worker NAME",
        )
    return ending


# ── with this machine's own tools ───────────────────────────────────────────────────────────────


async def in_place(kept: Kept, place: Path) -> Ending:
    """Run the command with this machine's tools, in a copy of its inputs at their own paths."""
    bundle = kept.bundle
    command = ("env", "-i", *(f"{n}={v}" for n, v in bundle.environment), *bundle.arguments)
    done = await _mounted(kept, place, command, console=False)
    if done.exit_code == _NOT_SET_UP and b"mount:" in done.stderr:
        raise _no_mount(done.stderr)
    ended = done.signal == 0
    return Ending(
        kind="tool" if ended else "ambiguous",
        cause="" if ended else "signal",
        detail="" if ended else f"ended by signal {done.signal}",
        exit_code=done.exit_code,
        output=done.stdout + done.stderr,
        where="in a copy of its inputs, with this machine's tools",
    )


async def shell(kept: Kept, place: Path) -> int:
    """Open a shell where the command would run; return its exit code."""
    command = (
        "env", *(f"{n}={v}" for n, v in kept.bundle.environment),
        f"PATH={os.environ.get('PATH', '/usr/bin:/bin')}", os.environ.get("SHELL") or "/bin/sh",
    )  # fmt: skip
    return (await _mounted(kept, place, command, console=True)).exit_code


async def _mounted(
    kept: Kept, place: Path, command: tuple[str, ...], *, console: bool
) -> ProcessResult:
    """Run a command that sees the laid-out inputs where the project is; others see no change."""
    bundle, root = kept.bundle, place / "root"
    lay_out(kept, root)
    mounts: list[str] = []
    for path in _tops((bundle.project, bundle.directory)):
        if not Path(path).is_dir():
            raise ReplayFailed(
                f"{path} is not there any more", next_step="make the directory, or use --sandbox"
            )
        mounts += (f"{root}{path}", path)
    unshare = shutil.which("unshare")
    if unshare is None:
        raise ReplayFailed("unshare is not installed", next_step="install util-linux")
    argv = (
        unshare, "--user", "--map-root-user", "--mount", "--",
        "sh", "-c", _IN_ITS_PLACE, "sh", *mounts, "--", bundle.directory, *command,
    )  # fmt: skip
    done = await run_process(ProcessRequest(argv, cwd=place, console=console))
    if b"unshare:" in done.stderr:
        raise _no_mount(done.stderr)
    return done


def lay_out(kept: Kept, root: Path) -> None:
    """Write the input root below a directory, with room for what the action makes."""
    bundle = kept.bundle
    for entry in walk_tree(bundle.input_root, kept.blob):
        path = Path(f"{root}{entry.path}")
        match entry:
            case TreeDirectory():
                path.mkdir(parents=True, exist_ok=True)
            case TreeSymlink(_, target):
                path.symlink_to(target)
            case TreeFile(_, digest, executable):
                path.write_bytes(kept.blob(digest))
                path.chmod(0o755 if executable else 0o644)
    for top in _tops((bundle.project, bundle.directory)):
        Path(f"{root}{top}").mkdir(parents=True, exist_ok=True)
    for output in bundle.outputs:
        made = os.path.normpath(Path(f"{root}{bundle.directory}", output))
        if made.startswith(f"{root}/"):
            Path(made).parent.mkdir(parents=True, exist_ok=True)


def _tops(paths: tuple[str, ...]) -> list[str]:
    """Return the directories that are not below another one of them."""
    distinct = sorted(set(paths))
    return [p for p in distinct if not any(p.startswith(f"{o}/") for o in distinct if o != p)]


def _no_mount(stderr: bytes) -> ReplayFailed:
    return ReplayFailed(
        f"the inputs cannot be put in their place: {_last_line(stderr)}",
        next_step="user namespaces are needed for that; --sandbox and --worker may do without",
    )


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


# ── on a worker ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Tools:
    id: Digest
    files: Mapping[Digest, Source]

    def blobs(self) -> Mapping[Digest, Source]:
        return self.files


async def on_worker(kept: Kept, name: str, token: JoinToken, cache_dir: Path) -> Ending:
    """Run the action on one worker of the cluster; raises CyxError."""
    bundle, sources = kept.bundle, kept.sources()
    inputs = _below(kept, bundle.input_root)
    work = Work(
        argv=bundle.arguments,
        environment=bundle.environment,
        outputs=bundle.outputs,
        directory=bundle.directory,
        tools=_Tools(bundle.toolchain, {d: s for d, s in sources.items() if d not in inputs}),
        root=InputRoot(bundle.input_root, {d: sources[d] for d in inputs}),
        keep=False,
        worker=name,
    )
    async with await ClusterClient.connect(token, cache_dir) as cluster:
        submitter = Submitter(cluster, Uploads(cluster), bundle.project, use_cache=False)
        answer = await submitter.submit(work)
        if isinstance(answer, JobReject):
            raise UsageError(
                f"{name} does not take it: {answer.detail or answer.code}",
                next_step="cyxmake status names the workers",
            )
        if not answer.result:
            told = "no result" if isinstance(answer, JobComplete) else why_not(answer)
            raise ReplayFailed(f"{name} could not run it: {told}")
        result = ActionResult.from_bytes(answer.result)
        texts = [text for text in (result.stdout, result.stderr) if text is not None]
        found = await cluster.blobs.get_many_bytes(texts)
    output = b"".join(found.get(text, b"") for text in texts)
    if isinstance(answer, JobComplete):
        return Ending("tool", "", "", result.exit_code, output, answer.worker or name)
    kind, cause = answer.kind.value, answer.cause.value
    return Ending(kind, cause, answer.detail, result.exit_code, output, answer.worker or name)


def _below(kept: Kept, root: Digest) -> set[Digest]:
    """Return the blobs of a tree."""
    found: set[Digest] = set()

    def fetch(digest: Digest) -> bytes:
        found.add(digest)
        return kept.blob(digest)

    found.update(e.digest for e in walk_tree(root, fetch) if isinstance(e, TreeFile))
    return found
