"""Reads every blob of a disk store that nobody else has open, and removes those that are damaged.

Knows nothing of programs or their locks: the caller holds the lock of the directory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from cyxmake_common.cas.compressing import IDENTITY, Codec
from cyxmake_common.cas.disk_files import BlobFiles, parse_name, unlink
from cyxmake_common.cas.disk_index import DiskIndex
from cyxmake_common.cas.disk_writer import in_thread
from cyxmake_common.cas.index import Entry
from cyxmake_common.digest import Digest
from cyxmake_common.telemetry.logger import get_logger

_BATCH: Final = 64
_log = get_logger(__name__)


@dataclass(slots=True)
class FsckReport:
    """What was found, and what was put right.

    `foreign` files stand where no blob belongs and are left alone; `unindexed` blobs were added to
    the index; `stale` rows, whose blob was not there, were removed from it.
    """

    blobs: int = 0
    bytes: int = 0
    damaged: int = 0
    foreign: int = 0
    unindexed: int = 0
    stale: int = 0

    @property
    def clean(self) -> bool:
        """Tell whether nothing was wrong."""
        return not (self.damaged or self.foreign or self.unindexed or self.stale)


async def fsck(
    root: Path,
    codec: Codec = IDENTITY,
    progress: Callable[[FsckReport], None] | None = None,
) -> FsckReport:
    """Check the store in a directory; `progress` is told the figures so far after each batch."""
    report = FsckReport()
    files = BlobFiles(root, codec)
    if not files.exists():
        return report
    intact: dict[Digest, Entry] = {}
    damaged: set[Digest] = set()
    index = DiskIndex(root / "index.sqlite", intact.get)
    rows = {
        digest: Entry(stored, used)
        for name, (stored, used) in (await index.open()).items()
        if (digest := parse_name(name)) is not None
    }
    try:
        found = files.blobs()
        while batch := await in_thread(lambda: list(islice(found, _BATCH))):
            await in_thread(lambda: _check(files, batch, report, intact, damaged))
            if progress is not None:
                progress(report)
        report.unindexed = len(intact.keys() - rows.keys())
        report.stale = len(rows.keys() - intact.keys() - damaged)
        for digest, entry in intact.items():
            known = rows.get(digest)
            if known is not None:
                entry.last_use = known.last_use
            if known != entry:
                index.note(digest)
        for digest in rows.keys() - intact.keys():
            index.note(digest)
    finally:
        await index.close()
    return report


def _check(
    files: BlobFiles,
    batch: Iterable[tuple[Path, Digest | None]],
    report: FsckReport,
    intact: dict[Digest, Entry],
    damaged: set[Digest],
) -> None:
    for path, digest in batch:
        if digest is None:
            report.foreign += 1
            _log.warning("fsck_foreign_file", path=str(path))
            continue
        try:
            sound = files.hash(path) == digest
        except OSError:
            sound = False
        if not sound:
            report.damaged += 1
            damaged.add(digest)
            _log.warning("fsck_damaged_blob", digest=str(digest))
            unlink(path)
            continue
        status = path.stat()
        report.blobs += 1
        report.bytes += status.st_size
        intact[digest] = Entry(status.st_size, status.st_mtime)
