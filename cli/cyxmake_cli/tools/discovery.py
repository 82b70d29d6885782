"""Finds tools on this machine: where each is, which version, what that can. Remembers it.

What is remembered counts only for the same PATH with the same folders, and a version only for the
same file: a tool that was installed, removed or upgraded since is seen. Versions are asked for
only when somebody wants them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cyxmake_cli import config
from cyxmake_cli.tools.known import known_tools
from cyxmake_cli.tools.table import Tool
from cyxmake_common.execution.process import ProcessRequest, run_process

_VERSIONS: Final = (
    re.compile(r"(?<![\w.])(?:v|go)?(\d+(?:\.\d+)+(?:[-+~]?[a-z]+[\w.]*)?)"),
    re.compile(r"(?<![\w.])(\d{2,})(?![\w.])"),
)
"""With dots anywhere, else a plain number."""
_FILE: Final = "tools.json"
_FORMAT: Final = 1
_SECONDS: Final = 10.0
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class FoundTool:
    """A tool that is here; `version` is empty where it does not tell."""

    name: str
    kind: str
    path: str
    version: str
    can: tuple[str, ...]


class Discovery:
    """The tools of this machine, for one PATH."""

    def __init__(self, environ: Mapping[str, str] = os.environ, file: Path | None = None) -> None:
        self._path = environ.get("PATH", os.defpath)
        self._file = file or config.cache_directory() / _FILE
        self._key = _key_of(self._path)
        kept = self._read()
        self._versions: dict[str, list[Any]] = kept.get("versions", {})
        same = kept.get("key") == self._key
        self._paths: dict[str, str | None] = dict(kept.get("paths", {})) if same else {}
        self._changed = False

    def __repr__(self) -> str:
        return f"<Discovery {len(self._paths)} looked for>"

    def path(self, name: str) -> str | None:
        """Return where a tool of the table is, by the first of its programs that is here."""
        if name not in self._paths:
            programs = known_tools()[name].programs
            found = (shutil.which(program, path=self._path) for program in programs)
            self._paths[name] = next((path for path in found if path), None)
            self._changed = True
        return self._paths[name]

    def find(self, names: Iterable[str] | None = None) -> tuple[FoundTool, ...]:
        """Return those of some tools that are here, with versions; asks what is not remembered."""
        tools = known_tools()
        wanted = tools if names is None else names
        here = [(tools[name], path) for name in wanted if (path := self.path(name))]
        asking = [(t, p) for t, p in here if self._remembered(p) is None]
        if asking:
            asyncio.run(self._ask_all(asking))
        self._save()
        return tuple(self._found(tool, path) for tool, path in here)

    def _found(self, tool: Tool, path: str) -> FoundTool:
        version = self._remembered(path) or ""
        since = (what for what, least in tool.since if version and at_least(version, least))
        return FoundTool(tool.name, tool.kind.value, path, version, (*tool.can, *since))

    def _remembered(self, path: str) -> str | None:
        kept = self._versions.get(path)
        return str(kept[2]) if kept and kept[:2] == _stamp(path) else None

    async def _ask_all(self, asking: list[tuple[Tool, str]]) -> None:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def ask(tool: Tool, path: str) -> None:
            async with slots:
                self._versions[path] = [*_stamp(path), await _version_of(tool, path)]

        self._changed = True
        await asyncio.gather(*(ask(tool, path) for tool, path in asking))

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        usable = isinstance(found, dict) and found.get("format") == _FORMAT
        return found if usable else {}

    def _save(self) -> None:
        if not self._changed:
            return
        kept = {
            "format": _FORMAT, "key": self._key, "paths": self._paths, "versions": self._versions,
        }  # fmt: skip
        with contextlib.suppress(OSError):  # it is looked for again
            self._file.parent.mkdir(parents=True, exist_ok=True)
            scratch = self._file.with_suffix(f".{os.getpid()}")
            scratch.write_text(json.dumps(kept), "utf-8")
            scratch.replace(self._file)
        self._changed = False


def at_least(version: str, least: str) -> bool:
    """Tell whether a version is not older than another; both in numbers and dots."""
    return _numbers(version) >= _numbers(least)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def version_in(text: str) -> str:
    """Return the version that a tool's answer tells, empty for none."""
    found = (pattern.search(text) for pattern in _VERSIONS)
    return next((match[1] for match in found if match), "")


async def _version_of(tool: Tool, path: str) -> str:
    if not tool.ask:
        return ""
    environ = {**os.environ, "LC_ALL": "C"}
    request = ProcessRequest(
        (path, *tool.ask), cwd=Path(os.path.abspath(os.sep)), environment=environ,  # noqa: PTH100
        timeout=_SECONDS, merge=True, output_limit=1 << 16,
    )  # fmt: skip
    try:
        done = await run_process(request)
    except OSError:
        return ""
    return version_in(done.stdout.decode("utf-8", "replace"))


def _key_of(path: str) -> list[list[Any]]:
    """Return what PATH holds: every folder with its time, which changes with its entries."""
    return [[folder, *_stamp(folder)] for folder in path.split(os.pathsep)]


def _stamp(path: str) -> list[int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - dozens of times, at every start
    except OSError:
        return [0, 0]
    return [found.st_mtime_ns, found.st_size]
