"""What experience says of fixes: how often one helped a cause, on this machine, in any project.

A prior and no more: it orders candidates, it never invents one. Knows no project.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Final

from cyxmake_cli.recovery.fixes import Fix, key_of, kind_of
from cyxmake_common.diagnosis.model import Diagnosis

_FILE: Final = "fixes.json"
_VERSION: Final = 1
_MOST: Final = 2_000


class Memory:
    """Counts of what helped and what did not: for this very cause, and for its category."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._counts = self._read()

    def __repr__(self) -> str:
        return f"<Memory {len(self._counts)} seen>"

    def score(self, cause: Diagnosis, fix: Fix) -> float:
        """Return above 0 for a fix that helped this cause before, below 0 for one that did not.

        What helped others of the category counts a little, and only if that was often.
        """
        good, bad = self._counts.get(f"{cause.fingerprint} {key_of(fix)}", (0, 0))
        own = (good - bad) / (good + bad) if good + bad else 0.0
        good, bad = self._counts.get(f"{cause.category} {kind_of(fix).name}", (0, 0))
        others = (good - bad) / (good + bad) * 0.1 if good + bad >= 5 else 0.0
        return own + others

    def learn(self, fingerprint: str, category: str, fix: Fix, *, helped: bool) -> None:
        """Remember how a fix ended; a memory that cannot be written is no failure."""
        for name in (f"{fingerprint} {key_of(fix)}", f"{category} {kind_of(fix).name}"):
            good, bad = self._counts.pop(name, (0, 0))
            self._counts[name] = (good + helped, bad + (not helped))
        while len(self._counts) > _MOST:
            del self._counts[next(iter(self._counts))]
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            scratch = self._path.with_suffix(f".{os.getpid()}")
            scratch.write_text(json.dumps({"version": _VERSION, "seen": self._counts}), "utf-8")
            scratch.replace(self._path)

    def _read(self) -> dict[str, tuple[int, int]]:
        try:
            found: Any = json.loads(self._path.read_bytes())
            if found["version"] != _VERSION:
                return {}
            return {str(name): (int(g), int(b)) for name, (g, b) in found["seen"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}
