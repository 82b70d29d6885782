"""The process that agents live in: one for each project, started by the first `agent spawn`.

Reads one JSON line for each connection and answers with one. Ends by itself when nothing has been
going on for a while, or when the last agent is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cyxmake_cli.agents.home import LOCK, LOG, SOCKET, Home
from cyxmake_cli.agents.programs import Program
from cyxmake_cli.agents.runtime import Asker, Runtime
from cyxmake_cli.agents.tasks import DEFAULT_SECONDS, AgentKind
from cyxmake_cli.safety.gate import Gate, bounds_of
from cyxmake_common.errors import CyxError, UsageError
from cyxmake_common.user_locale import restore_locale

_IDLE_SECONDS: Final = 1800.0
_MOST_BYTES: Final = 1 << 20
_Request = dict[str, Any]


class Resident:
    """Serves one project's agents."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._runtime = Runtime(root, self._gate)
        self._stop = asyncio.Event()
        self._asked = asyncio.Event()
        self._handlers: dict[str, Callable[[_Request], Awaitable[Any]]] = {
            "list": self._list, "spawn": self._spawn, "assign": self._assign,
            "status": self._status, "send": self._send, "wait": self._wait, "stop": self._end,
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"<Resident {self._root} {self._runtime!r}>"

    def _gate(self, asker: Asker, yes: bool) -> Gate:
        return Gate(
            bounds_of(str(self._root)),
            asker,
            lambda: datetime.now(UTC).isoformat(timespec="milliseconds"),
            yes=yes,
        )

    async def serve(self) -> None:
        """Serve until the end; the working directory is the home of the agents."""
        Path(SOCKET).unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._connected, SOCKET, limit=_MOST_BYTES)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        try:
            await self._until_idle()
        finally:
            Path(SOCKET).unlink(missing_ok=True)
            server.close()
            await self._runtime.close()

    async def _until_idle(self) -> None:
        while not self._stop.is_set():
            self._asked.clear()
            ends = [asyncio.create_task(e.wait()) for e in (self._stop, self._asked)]
            done, pending = await asyncio.wait(
                ends, timeout=_IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            for task in pending:
                task.cancel()
            if not done and self._runtime.idle:
                return

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._asked.set()
        try:
            answer = await self._answer(await reader.readline())
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            pass  # whoever asked is gone, or said too much
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> _Request:
        try:
            request = json.loads(line)
            handler = self._handlers.get(request["do"])
            if handler is None:
                raise UsageError(f"{request['do']!r} is nothing that agents can be told")
            return {"answer": await handler(request)}
        except CyxError as error:
            return {"error": error.message, "next_step": error.next_step,
                    "status": int(error.exit_status)}  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            return {"error": f"not understood: {error}", "next_step": "", "status": 2}

    async def _list(self, request: _Request) -> Any:
        return [
            {"name": a.name, "kind": a.kind.value, "task": a.task.id if a.task else None,
             "asks": self._runtime.questions[a.name].text if a.name in self._runtime.questions
             else None}
            for a in self._runtime.agents.values()
        ]  # fmt: skip

    async def _spawn(self, request: _Request) -> Any:
        kind = AgentKind(request["kind"])
        if request["yes"] and request.get("model"):
            raise UsageError(
                "what a model wants to do is asked about one by one: a file that it reads may "
                "give it orders", next_step="leave out --yes",
            )  # fmt: skip
        agent = self._runtime.spawn(
            kind,
            str(request.get("name") or ""),
            yes=bool(request["yes"]),
            program=self._chosen(kind) if request.get("model") else None,
        )
        return {"name": agent.name, "kind": agent.kind.value}

    def _chosen(self, kind: AgentKind) -> Program:
        from cyxmake_cli.agents.chosen import by_model
        from cyxmake_cli.llm.open import open_models
        from cyxmake_cli.settings import load

        models = open_models(load(self._root).settings.ai)
        if models is None:
            raise UsageError(
                "no language model is configured", next_step="see `cyxmake ai list`, or leave out "
                "--model: agents need none",
            )  # fmt: skip
        return by_model(kind, models)

    async def _assign(self, request: _Request) -> Any:
        whom = str(request["to"])
        named = self._runtime.agents.get(whom)
        if named is None and whom not in set(AgentKind):
            raise UsageError(
                f"{whom!r} is neither an agent nor a kind", next_step="see `cyxmake agent list`"
            )
        task = self._runtime.assign(
            named.kind if named else AgentKind(whom),
            str(request["goal"]),
            priority=int(request.get("priority", 0)),
            needs=[int(id) for id in request.get("needs", ())],
            seconds=float(request.get("seconds") or DEFAULT_SECONDS),
            agent=named.name if named else "",
        )
        return task.as_json()

    async def _status(self, request: _Request) -> Any:
        wanted = [int(id) for id in request.get("tasks", ())]
        tasks = [self._runtime.queue.task(id) for id in wanted] if wanted else self._runtime.queue
        return {
            "agents": await self._list(request),
            "tasks": [task.as_json() for task in tasks],
            "memory": {key: entry.value for key, entry in self._runtime.desk.memory.items()},
        }

    async def _send(self, request: _Request) -> Any:
        letter = self._runtime.send(str(request["to"]), str(request["text"]))
        return {"letter": letter.id if letter else None}

    async def _wait(self, request: _Request) -> Any:
        wanted = [int(id) for id in request.get("tasks", ())]
        ids = wanted or [task.id for task in self._runtime.queue]
        in_time = await self._runtime.wait(ids, float(request["seconds"]))
        return {**await self._status({"tasks": ids}), "in_time": in_time}

    async def _end(self, request: _Request) -> Any:
        names = [str(name) for name in request["names"]] or list(self._runtime.agents)
        for name in names:
            await self._runtime.stop(name)
        if not self._runtime.agents:
            asyncio.get_running_loop().call_later(0.1, self._stop.set)  # after the answer
        return {"stopped": names}


def main(root: str) -> None:
    """Serve the agents of a project, unless another process does."""
    restore_locale()
    os.chdir(Home.of(Path(root)).path)
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 2)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(Path(root)))


async def _serve(root: Path) -> None:
    await Resident(root).serve()


if __name__ == "__main__":
    main(sys.argv[1])
