"""`cyxmake-worker replay`: one action from files of this machine, in the sandbox that workers use.

Knows nothing of coordinators. The plan is a JSON file: the action's digest, and for each blob that
it needs the file that has its bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from cyxmake_common.action import Action, Command
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.store import read_all, write_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing, ConfigError, DigestMismatch
from cyxmake_common.execution.executor import ExecutionRequest
from cyxmake_common.outcome import Outcome
from cyxmake_worker.data_dir import DataDir
from cyxmake_worker.executors.sandboxed import SandboxedExecutor
from cyxmake_worker.inputs import InputRoots
from cyxmake_worker.sandbox.probe import choose_sandbox

_STORE_BYTES: Final = 8 << 30


async def replay(plan: Path, directory: Path) -> str:
    """Run the action of a plan and return, as JSON, how it ended; raises CyxError."""
    wanted, sources = _read(plan)
    data = DataDir(directory)
    data.prepare()
    async with AsyncExitStack() as stack:
        store = await DiskStore(data.cas, _STORE_BYTES).open()
        stack.push_async_callback(store.close)
        chosen = await choose_sandbox(data.run / "sandbox", allow_mapped=True)
        stack.push_async_callback(chosen.sandbox.close)
        fetcher = _Files(store, sources)
        roots = InputRoots(store, data.run / "roots", fetcher.ensure)
        await roots.open()
        stack.push_async_callback(roots.close)
        executor = SandboxedExecutor(roots, chosen.sandbox, store, data.run / "scratch")
        await executor.open()
        stack.push_async_callback(executor.close)
        action = Action.from_bytes(await fetcher.read(wanted))
        command = Command.from_bytes(await fetcher.read(action.command))
        done = await executor.execute(ExecutionRequest(wanted, action, command))
        return json.dumps(
            {"sandbox": chosen.kind.value, **await _told(store, done.outcome)}, sort_keys=True
        )


class _Files:
    """Brings blobs from files; each is verified on its way into the store."""

    def __init__(self, store: DiskStore, sources: Mapping[Digest, Path]) -> None:
        self._store = store
        self._sources = sources

    async def ensure(self, digests: Collection[Digest]) -> None:
        for digest in digests:
            path = self._sources.get(digest)
            if path is None:
                raise BlobMissing(f"{digest} is not in the plan")
            try:
                data = path.read_bytes()
            except OSError as error:
                raise BlobMissing(f"{path}: {error.strerror}") from error
            if Digest.of(data) != digest:
                raise DigestMismatch(f"{path} is not what it was")
            await write_all(self._store, data)

    async def read(self, digest: Digest) -> bytes:
        await self.ensure((digest,))
        return await read_all(self._store, digest)


def _read(plan: Path) -> tuple[Digest, dict[Digest, Path]]:
    try:
        fields: dict[str, Any] = json.loads(plan.read_text("utf-8"))
        sources = {Digest.parse(d): Path(path) for d, path in fields["blobs"].items()}
        return Digest.parse(fields["action"]), sources
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"{plan} is no plan of an action: {error}") from error


async def _told(store: DiskStore, outcome: Outcome) -> dict[str, Any]:
    result = outcome.result
    texts = []
    for digest in (result.stdout, result.stderr) if result is not None else ():
        texts.append(await read_all(store, digest) if digest is not None else b"")
    return {
        "kind": outcome.kind.value,
        "cause": outcome.cause.value,
        "detail": outcome.detail,
        "exit_code": result.exit_code if result is not None else -1,
        "seconds": result.seconds if result is not None else 0.0,
        "output": base64.b64encode(b"".join(texts)).decode("ascii"),
        "files": {o.path: str(o.digest) for o in result.outputs} if result is not None else {},
    }
