"""Remembers across starts what was learnt about a program, as long as its file is the same.

Knows nothing of what was learnt: it is a JSON value under a topic and a path.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Final

_FORMAT: Final = 1
_MAX_BYTES: Final = 64 << 20


class ProbeCache:
    """A small file of facts; a damaged one is the same as none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts: dict[str, tuple[str, object]] = {}
        self._used: set[str] = set()
        self._changed = False
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if path.stat().st_size <= _MAX_BYTES:
                data = json.loads(path.read_bytes())
                if data["format"] == _FORMAT:
                    self._facts = {k: (str(v[0]), v[1]) for k, v in data["facts"].items()}

    def __repr__(self) -> str:
        return f"<ProbeCache {self._path.name} {len(self._facts)} facts>"

    def get(self, topic: str, program: str) -> object | None:
        """Return what is known about a program as its file is now; None if nothing."""
        key = f"{topic}:{program}"
        stamp, fact = self._facts.get(key, ("", None))
        if fact is None or stamp != _stamp(program):
            return None
        self._used.add(key)
        return fact

    def put(self, topic: str, program: str, fact: object) -> None:
        """Remember a JSON value about a program."""
        key = f"{topic}:{program}"
        self._facts[key] = (_stamp(program), fact)
        self._used.add(key)
        self._changed = True

    def save(self) -> None:
        """Write what was used in this run; a disk that cannot take it only costs time later."""
        if not self._changed:
            return
        facts = {key: self._facts[key] for key in sorted(self._used)}
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps({"format": _FORMAT, "facts": facts}), "utf-8")
            fresh.replace(self._path)
            self._changed = False


def _stamp(program: str) -> str:
    """Return what changes when a program's file does, wherever its links lead."""
    try:
        status = Path(program).stat()
        target = os.path.realpath(program)
    except OSError:
        return ""
    return f"{status.st_mtime_ns} {status.st_size} {status.st_ino} {target}"
