"""The audit log: every act that was asked for, who decided, how it ended; one JSON line each.

Knows nothing of what the acts do. Words that look like secrets are not written. The log belongs to
the user and not to a project: no repository can bring or change one.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from cyxmake_cli import config
from cyxmake_cli.safety.permissions import Act, Risk

_SECRET: Final = re.compile(
    r"(?i)((?:token|passw(?:or)?d|secret|api[-_]?key|credential)[\w-]*[=:])(?!\s*$).+"
    r"|(\bcyx1\.)\S+|(://[^/\s:@]*:)[^/\s@]+(?=@)"
)
_SECRET_OPTION: Final = re.compile(r"(?i)^--?[\w-]*(?:token|passw(?:or)?d|secret|api-?key)$")
_MOST_BYTES: Final = 8 << 20
"""Where the log is turned over: one older file is kept beside it."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act: `decision` is allowed, refused, blocked or shown; `by` says what decided."""

    time: str
    project: str
    kind: str
    summary: str
    argv: tuple[str, ...]
    risk: str
    reason: str
    decision: str
    by: str


def entry(time: str, project: str, act: Act, risk: Risk, reason: str, decision: str, by: str) -> (
    AuditEntry
):  # fmt: skip
    """Return what is to be written of an act, without secrets."""
    return AuditEntry(
        time, project, act.kind.value, _clean(act.summary), tuple(redacted(act.argv)),
        risk.name.lower(), reason, decision, by,
    )  # fmt: skip


def redacted(words: Iterable[str]) -> Iterator[str]:
    """Yield words with what looks like a secret left out."""
    hide = False
    for word in words:
        yield "***" if hide else _clean(word)
        hide = _SECRET_OPTION.match(word) is not None


def _clean(word: str) -> str:
    return _SECRET.sub(lambda m: (m[1] or m[2] or m[3]) + "***", word)


class AuditLog:
    """The user's audit log."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or config.config_directory() / "audit.jsonl"

    def __repr__(self) -> str:
        return f"<AuditLog {self._path}>"

    @property
    def path(self) -> Path:
        """Return the file."""
        return self._path

    def write(self, found: AuditEntry) -> None:
        """Append one entry; raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._path.exists() and self._path.stat().st_size > _MOST_BYTES:
            self._path.replace(self._path.with_suffix(".old.jsonl"))
        line = json.dumps(asdict(found), ensure_ascii=False) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(line.encode("utf-8", "backslashreplace"))

    def entries(self) -> Iterator[AuditEntry]:
        """Yield all entries, the oldest first; lines that cannot be read are left out."""
        names = {field.name for field in fields(AuditEntry)}
        for path in (self._path.with_suffix(".old.jsonl"), self._path):
            try:
                text = path.read_text("utf-8", "replace")
            except OSError:
                continue
            for line in text.splitlines():
                try:
                    found: dict[str, Any] = json.loads(line)
                    yield AuditEntry(
                        **{n: found[n] for n in names} | {"argv": tuple(found["argv"])}
                    )
                except (ValueError, KeyError, TypeError):
                    continue


def export(entries: Iterable[AuditEntry], form: str) -> str:
    """Return entries as `json`, `csv` or `text`."""
    if form == "json":
        return json.dumps([asdict(e) for e in entries], indent=2, ensure_ascii=False) + "\n"
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([field.name for field in fields(AuditEntry)])
        for e in entries:
            writer.writerow([_cell(v) for v in asdict(e).values()])
        return text.getvalue()
    return "".join(
        f"{e.time} {e.decision:<8} {e.risk:<9} {e.kind}: {e.summary}"
        f"{f' [{e.by}]' if e.by else ''}{f' ({e.reason})' if e.reason else ''}\n"
        for e in entries
    )


def _cell(value: object) -> str:
    text = " ".join(value) if isinstance(value, tuple | list) else str(value)
    # A spreadsheet would take these for formulas.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
