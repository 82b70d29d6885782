"""A cluster of this machine alone, as long as a build: a coordinator and a worker as children.

Knows nothing of builds. Both programs live on their own when a second build joins them: the
coordinator ends when its standard input is closed *and* no client is left, the worker ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli.config import cache_directory
from cyxmake_cli.layers.model import FOLDER
from cyxmake_common.errors import ClusterUnreachable, ExitStatus
from cyxmake_common.net.token import JoinToken

_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 3.0


@dataclass
class EmbeddedCluster:
    """A running embedded cluster; `token` lets this build in."""

    token: JoinToken
    _children: list[Process]

    @classmethod
    async def start(cls, cache_dir: Path, slots: int) -> EmbeddedCluster:
        """Start coordinator and worker, or join those of another build of this user.

        Returns when the worker has joined. Raises ClusterUnreachable.
        """
        data = cache_dir / "embedded"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = data / "embedded.log"
        worker = await _spawn(
            "cyxmake_worker.main", log, "--once", "--token-file", "-", "--name", "embedded",
            "--allow-mapped",  # it runs as the user who would run the same commands anyway
            "--slots", str(slots), "--data-dir", str(data / "worker"),
        )  # fmt: skip
        coordinator = await _spawn(
            "cyxmake_coordinator.main", log, "serve", "--embedded",
            "--data-dir", str(data / "coordinator"), "--port", "0",
        )  # fmt: skip
        children = [coordinator, worker]
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await _read_line(coordinator)
                if not line and await coordinator.wait() == ExitStatus.CONFIG:
                    return cls(_running_token(data / "coordinator"), [])
                ready = json.loads(line)
                assert worker.stdin is not None
                worker.stdin.write(ready["worker_token"].encode() + b"\n")
                await worker.stdin.drain()
                worker.stdin.close()
                if not await _read_line(worker):
                    raise ClusterUnreachable(_failure("worker", log))
                return cls(JoinToken.parse(ready["client_token"]), children)
        except (TimeoutError, ValueError, KeyError, OSError) as error:
            await _end(children)
            raise ClusterUnreachable(_failure("coordinator", log)) from error
        except BaseException:
            await _end(children)
            raise

    async def stop(self) -> None:
        """Let the cluster end; it stays while another build uses it."""
        await _end(self._children, patient=True)


async def _spawn(module: str, log: Path, *arguments: str) -> Process:
    with log.open("ab") as stderr:
        return await asyncio.create_subprocess_exec(
            # -P: a module of the project that is built must not stand in for one of ours.
            sys.executable, "-P", "-m", module, *arguments,
            stdin=PIPE, stdout=PIPE, stderr=stderr,
            env=_environment(),
            # Ctrl-C is for the build; the cluster ends after it, in order.
            start_new_session=os.name == "posix",
        )  # fmt: skip


def _environment() -> dict[str, str]:
    """Return our environment without Python modules of layers: they are for the project's tools."""
    environ = dict(os.environ)
    layers = f"{cache_directory() / FOLDER}{os.sep}"
    entries = environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = [entry for entry in entries if entry and not entry.startswith(layers)]
    if len(kept) < len(entries):
        environ["PYTHONPATH"] = os.pathsep.join(kept)
    return environ


async def _read_line(process: Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.readline()


def _running_token(data: Path) -> JoinToken:
    try:
        ready = json.loads((data / "embedded.json").read_text("utf-8"))
        return JoinToken.parse(ready["client_token"])
    except (OSError, ValueError, KeyError) as error:
        raise ClusterUnreachable(f"another build's embedded cluster is ending: {error}") from error


def _failure(program: str, log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = log.read_text("utf-8", "replace").strip().splitlines()
        if lines:
            return f"the embedded {program} did not start: {lines[-1][:300]} (see {log})"
    return f"the embedded {program} did not start (see {log})"


async def _end(children: list[Process], *, patient: bool = False) -> None:
    for child in children:
        if child.stdin is not None:
            child.stdin.close()
    if patient:
        # They end by themselves; when another build keeps them alive, they are left to it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.gather(*(child.wait() for child in children))
        return
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            await asyncio.gather(*(child.wait() for child in children))
    for child in children:
        if child.returncode is None:
            child.kill()
            await child.wait()
