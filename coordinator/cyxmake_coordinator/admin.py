"""What the command line does beside serving: tokens, a look at the cluster, drains, fsck.

Knows nothing of options or exit codes; every function returns the text to print.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from cyxmake_common import clock
from cyxmake_common.errors import ConfigError, ProtocolError, UsageError
from cyxmake_common.ids import Namespace, TokenId
from cyxmake_common.protocol.messages import (
    CauseStatus,
    Done,
    Drain,
    Message,
    Peer,
    Status,
    StatusGet,
    WorkerStatus,
)
from cyxmake_coordinator.auth.tokens import TokenRecord, TokenWish
from cyxmake_coordinator.config import CoordinatorConfig
from cyxmake_coordinator.data_dir import DataDir
from cyxmake_coordinator.door import admin_token, issue, open_tokens
from cyxmake_coordinator.table import bytes_text, duration_text, moment_text, table

if TYPE_CHECKING:
    from cyxmake_common.cas.fsck import FsckReport

_M = TypeVar("_M", bound=Message)
_EXPIRY: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])\Z")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PROGRAM: Final = "cyxmake-coordinator"


@dataclass(frozen=True, slots=True)
class TokenOrder:
    """A token as it is ordered on the command line."""

    role: str
    expires: str
    label: str
    namespace: str
    address: str


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────


def create_token(config: CoordinatorConfig, order: TokenOrder) -> str:
    """Make a token and return its text; raises UsageError, ConfigError."""
    wish = TokenWish(
        role=Peer(order.role),
        expires=parse_expiry(order.expires, clock.wall()),
        label=order.label,
        namespace=Namespace(order.namespace),
    )
    token = asyncio.run(issue(config, DataDir(config.data_dir), wish, order.address))
    return token.text()


def parse_expiry(text: str, now: float) -> float | None:
    """Return the moment that `30d`, `1h` or `never` stands for; raises UsageError."""
    if text == "never":
        return None
    match = _EXPIRY.match(text)
    if match is None:
        raise UsageError(
            f"not a time span: {text!r}", next_step="write for example 30m, 1h, 30d or never"
        )
    return now + int(match[1]) * _UNITS[match[2]]


def list_tokens(config: CoordinatorConfig, as_json: bool) -> str:
    """Return all tokens as a table or as JSON."""
    records = asyncio.run(_read_tokens(config))
    now = clock.wall()
    if as_json:
        return json.dumps([_token_fields(record, now) for record in records], indent=2)
    rows = [
        (
            record.id,
            record.role.value,
            record.state(now).value,
            moment_text(record.created),
            "never" if record.expires is None else moment_text(record.expires),
            record.namespace or "-",
            record.label or "-",
        )
        for record in records
    ]
    return table(("ID", "ROLE", "STATE", "CREATED", "EXPIRES", "NAMESPACE", "LABEL"), rows)


def _token_fields(record: TokenRecord, now: float) -> dict[str, str | float | None]:
    return {
        "id": record.id,
        "role": record.role.value,
        "state": record.state(now).value,
        "created": record.created,
        "expires": record.expires,
        "revoked": record.revoked,
        "namespace": record.namespace,
        "label": record.label,
    }


async def _read_tokens(config: CoordinatorConfig) -> list[TokenRecord]:
    data = DataDir(config.data_dir)
    if not data.database.exists():
        return []
    tokens = await open_tokens(data)
    try:
        return await tokens.list()
    finally:
        await tokens.close()


def revoke_token(config: CoordinatorConfig, token_id: str) -> str:
    """Revoke a token; raises UsageError for one that does not exist."""
    record = asyncio.run(_revoke(config, TokenId(token_id)))
    return f"token {record.id} ({record.role.value}) is revoked"


async def _revoke(config: CoordinatorConfig, token_id: TokenId) -> TokenRecord:
    data = DataDir(config.data_dir)
    data.prepare()
    tokens = await open_tokens(data)
    try:
        return await tokens.revoke(token_id)
    finally:
        await tokens.close()


# ── the running cluster ─────────────────────────────────────────────────────────────────────────


async def _ask(config: CoordinatorConfig, message: Message, kind: type[_M]) -> _M:
    """Send a question as the local administrator; raises what the answer stands for."""
    from cyxmake_common.net.wss import Introduction, connect

    data = DataDir(config.data_dir)
    connection = await connect(admin_token(data), Introduction(program=_PROGRAM))
    try:
        answer = await connection.request(message, timeout=10)
    finally:
        await connection.close()
    if not isinstance(answer, kind):
        raise ProtocolError(f"{message.type} was answered by {answer.type}")
    return answer


def show_status(config: CoordinatorConfig, as_json: bool) -> str:
    """Return a picture of the cluster."""
    status = asyncio.run(_ask(config, StatusGet(), Status))
    if as_json:
        return status.model_dump_json(indent=2)
    slots = sum(worker.slots for worker in status.workers)
    lines = [
        f"coordinator {status.version}, up {duration_text(status.uptime_seconds)}",
        f"{len(status.workers)} workers with {slots} slots, {status.clients} clients",
        f"actions: {status.queued} queued, {status.running} running,"
        f" {status.completed} completed, {status.failed} without a verdict",
        f"store: {status.cas_blobs} blobs, {bytes_text(status.cas_bytes)}"
        f" of {bytes_text(status.cas_limit_bytes)}",
    ]
    if status.workers:
        lines += ["", _workers_table(status.workers)]
    if status.causes:
        lines += ["", table(("FAILED", "FOR", "SEEN BY"), [_cause_row(c) for c in status.causes])]
    return "\n".join(lines)


def _cause_row(cause: CauseStatus) -> tuple[str, ...]:
    return str(cause.actions), cause.line, " ".join(cause.workers)


def show_workers(config: CoordinatorConfig, as_json: bool) -> str:
    """Return the workers with what they offer."""
    status = asyncio.run(_ask(config, StatusGet(), Status))
    if as_json:
        return json.dumps([w.model_dump(mode="json") for w in status.workers], indent=2)
    return _workers_table(status.workers) if status.workers else "no worker is connected"


def _workers_table(workers: tuple[WorkerStatus, ...]) -> str:
    rows = [
        (
            worker.name,
            worker.condition or ("draining" if worker.draining else "ready"),
            f"{worker.running}/{worker.slots}",
            str(worker.completed),
            f"{worker.load:.1f}",
            f"{worker.speed:.2f}",
            bytes_text(worker.memory_bytes) if worker.memory_bytes else "-",
            str(len(worker.toolchains)),
            " ".join(f"{name}={value}" for name, value in worker.properties) or "-",
        )
        for worker in workers
    ]
    head = (
        "WORKER",
        "STATE",
        "BUSY",
        "DONE",
        "LOAD",
        "SPEED",
        "MEMORY",
        "TOOLCHAINS",
        "PROPERTIES",
    )
    return table(head, rows)


def drain_worker(config: CoordinatorConfig, worker: str, *, on: bool) -> str:
    """Drain a worker, or let it take work again."""
    asyncio.run(_ask(config, Drain(on=on, worker=worker), Done))
    return f"{worker} takes no new work" if on else f"{worker} takes work again"


def remove_worker(config: CoordinatorConfig, worker: str) -> str:
    """Have a worker finish what it runs and end; it gets no work should it come back."""
    asyncio.run(_ask(config, Drain(worker=worker, leave=True), Done))
    return f"{worker} finishes what it runs, and leaves"


# ── backups ─────────────────────────────────────────────────────────────────────────────────────


def back_up(config: CoordinatorConfig, file: Path) -> str:
    """Write a backup; raises ConfigError."""
    from cyxmake_coordinator.backup import backup

    report = backup(DataDir(config.data_dir), file)
    return f"{report.tokens} tokens and {report.keys} files of keys are in {file}"


def restore_backup(config: CoordinatorConfig, file: Path) -> str:
    """Fill an empty data directory; raises ConfigError."""
    from cyxmake_coordinator.backup import restore

    report = restore(DataDir(config.data_dir), file)
    return f"{report.tokens} tokens and {report.keys} files of keys are back in {config.data_dir}"


# ── the store ───────────────────────────────────────────────────────────────────────────────────


def check_store(config: CoordinatorConfig) -> str:
    """Check every blob; raises ConfigError while a server runs."""
    from cyxmake_common.cas.fsck import fsck
    from cyxmake_coordinator.storage import CAS_CODEC

    data = DataDir(config.data_dir)
    data.prepare()
    lock = data.lock()
    if not lock.try_acquire():
        raise ConfigError(
            f"a coordinator runs on {data.root}",
            next_step="stop it first: cyxmake-coordinator stop",
        )
    try:
        report = asyncio.run(fsck(data.cas, CAS_CODEC))
    finally:
        lock.release()
    return _report_text(report)


def _report_text(report: FsckReport) -> str:
    found = f"{report.blobs} blobs, {bytes_text(report.bytes)}"
    if report.clean:
        return f"{found}: all are sound"
    return (
        f"{found}: {report.damaged} damaged ones removed, {report.foreign} foreign files,"
        f" {report.unindexed} blobs added to the index, {report.stale} rows without a blob removed"
    )
