"""What agents can do: read, search, list, write, run, build, ask. Each call is checked.

Knows no agent. Paths are those of the workspace; whatever acts goes through the gate, where a
person is asked through `ask`. A file that somebody else changed since it was read is not written.
"""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cyxmake_cli.agents.bus import Bus
from cyxmake_cli.agents.errors import Conflict
from cyxmake_cli.agents.locks import Locks
from cyxmake_cli.agents.memory import Memory
from cyxmake_cli.agents.workspace import Workspace
from cyxmake_cli.analysis.files import files_of
from cyxmake_cli.safety.gate import Gate
from cyxmake_cli.safety.permissions import Act, ActKind
from cyxmake_common.errors import Denied, ProjectError, UsageError
from cyxmake_common.execution.process import ProcessRequest, run_process

_LOCK_SECONDS: Final = 30.0
_SAID_BYTES: Final = 64 << 10
_MOST_HITS: Final = 200
BUILD_PLACE: Final = "//build"
"""What is claimed for a build: one at a time in a project."""
_VERBS: Final = {"build": ActKind.BUILD, "test": ActKind.TEST, "auto": ActKind.BUILD}


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a text was found."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended."""

    exit_code: int
    output: str
    timed_out: bool = False


@dataclass(slots=True)
class Desk:
    """What all agents of a project have in common."""

    workspace: Workspace
    bus: Bus = field(default_factory=Bus)
    locks: Locks = field(default_factory=Locks)
    memory: Memory = field(default_factory=Memory)
    writers: dict[str, str] = field(default_factory=dict)


class Toolbox:
    """The tools of one agent; `ask_person` returns None where nobody answers."""

    def __init__(
        self,
        agent: str,
        desk: Desk,
        gate: Gate,
        ask_person: Callable[[str], Awaitable[str | None]],
        *,
        yes: bool = False,
    ) -> None:
        self.agent = agent
        self.desk = desk
        self._gate = gate
        self._ask = ask_person
        self._yes = yes
        self._seen: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Toolbox of {self.agent}>"

    async def read(self, path: str) -> str:
        """Return the text of a file."""
        name = self.desk.workspace.name(path)
        data = await asyncio.to_thread(self.desk.workspace.read, name)
        self._seen[name] = _digest(data)
        return data.decode("utf-8", "replace")

    async def list_files(self, pattern: str = "*") -> list[str]:
        """Return the project's own files that match a pattern; `*` matches slashes as well."""
        found = await asyncio.to_thread(files_of, self.desk.workspace.root)
        return [name for name in sorted(found.sizes) if fnmatch.fnmatchcase(name, pattern)]

    async def search(self, text: str, pattern: str = "*", most: int = _MOST_HITS) -> list[Hit]:
        """Return where a text stands, whatever its case; binary files are left out."""
        if not text:
            raise UsageError("nothing to search for")
        names = await self.list_files(pattern)
        return await asyncio.to_thread(self._search, text.lower(), names, min(most, _MOST_HITS))

    def _search(self, text: str, names: list[str], most: int) -> list[Hit]:
        found: list[Hit] = []
        for name in names:
            try:
                data = self.desk.workspace.read(name)
            except (Denied, ProjectError):
                continue
            if b"\0" in data[:8192]:
                continue
            for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
                if text in line.lower():
                    found.append(Hit(name, number, line.strip()[:200]))
                    if len(found) >= most:
                        return found
        return found

    async def write(self, path: str, text: str) -> None:
        """Write a file; raises Conflict when another agent works on it, or changed it since."""
        name = self.desk.workspace.name(path)
        act = Act(
            ActKind.WRITE, f"write {name} ({len(text)} characters, agent {self.agent})",
            writes=(str(self.desk.workspace.root / name),), detail=tuple(text.splitlines()[:40]),
        )  # fmt: skip
        await self._permit(act)
        async with self.desk.locks.claim(self.agent, (name,), _LOCK_SECONDS):
            self._check_unchanged(name)
            data = text.encode()
            await asyncio.to_thread(self.desk.workspace.write, name, data)
            self._seen[name] = _digest(data)
            self.desk.writers[name] = self.agent
        self.desk.bus.publish(self.agent, "written", name)

    def _check_unchanged(self, name: str) -> None:
        target = self.desk.workspace.root / name
        if not os.path.lexists(target):
            return
        now = _digest(self.desk.workspace.read(name))
        if now == self._seen.get(name):
            return
        who = self.desk.writers.get(name, "somebody")
        if name not in self._seen:
            raise Conflict(f"{name} is there, and {self.agent} has not read it")
        raise Conflict(f"{name} was changed by {who} since {self.agent} read it")

    async def run(self, argv: Sequence[str], seconds: float = 600.0) -> Ran:
        """Run a program in the workspace, never through a shell; a person is asked first."""
        words = tuple(argv)
        if not words or not all(isinstance(word, str) and "\0" not in word for word in words):
            raise UsageError("a command is a list of words")
        await self._permit(
            Act(ActKind.RUN, f"run {' '.join(words)} (agent {self.agent})", words, detail=words)
        )
        async with self.desk.locks.claim(self.agent, (BUILD_PLACE,), seconds):
            return await self._process(words, seconds)

    async def build(
        self, verb: str = "build", seconds: float = 3600.0, *, yes: bool = False
    ) -> dict[str, Any]:
        """Build, test or repair the project as the command of that name does; one at a time.

        `yes`: a person has said so for this once. Returns the JSON document of the command, with
        what was said under `output`.
        """
        if verb not in _VERBS:
            raise UsageError(f"{verb!r} is none of {', '.join(_VERBS)}")
        root = str(self.desk.workspace.root)
        said_yes = ("--yes",) if yes or self._yes else ()
        argv = (
            sys.executable,
            "-P",
            "-m",
            "cyxmake_cli.main",
            verb,
            "-C",
            root,
            "--json",
            *said_yes,
        )
        await self._permit(Act(_VERBS[verb], f"{verb} {root} (agent {self.agent})", argv))
        async with self.desk.locks.claim(self.agent, (BUILD_PLACE,), seconds):
            done = await run_process(
                ProcessRequest(argv, cwd=self.desk.workspace.root, timeout=seconds)
            )
        said = done.stderr.decode("utf-8", "replace")
        try:
            found = json.loads(done.stdout)
        except ValueError:
            found = {"status": "timed_out" if done.timed_out else "failed"}
        return {**found, "exit_code": done.exit_code, "output": said[-_SAID_BYTES:]}

    async def ask(self, question: str) -> str | None:
        """Ask the person who started the agents; None: nobody answers."""
        return await self._ask(question)

    async def _permit(self, act: Act) -> None:
        # The gate may have to wait for a person: not in the loop of all agents.
        if not await asyncio.to_thread(self._gate.permit, act):
            raise Denied(f"{act.summary}: not allowed")

    async def _process(self, words: tuple[str, ...], seconds: float) -> Ran:
        request = ProcessRequest(
            words, cwd=self.desk.workspace.root, timeout=seconds, merge=True,
            output_limit=_SAID_BYTES,
        )  # fmt: skip
        try:
            done = await run_process(request)
        except OSError as error:
            raise ProjectError(f"{words[0]} cannot be run: {error.strerror}") from error
        return Ran(done.exit_code, done.stdout.decode("utf-8", "replace"), done.timed_out)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
