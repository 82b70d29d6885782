"""What a disk store finds when it opens: the files are the truth, the index only knows their order.

Knows nothing of a running store. Removes what no upload and no reader can use any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cyxmake_common.cas.disk_files import BlobFiles, parse_name, unlink
from cyxmake_common.cas.disk_index import Rows
from cyxmake_common.cas.store import CHUNK_BYTES
from cyxmake_common.digest import Digest

MAX_PARTIALS: Final = 64
_PARTIAL_SECONDS: Final = 86_400.0


@dataclass(slots=True)
class Survey:
    """Blobs, size and last use, the oldest first; digests whose rows are to be written; uploads."""

    blobs: list[tuple[Digest, int, float]] = field(default_factory=list)
    changed: set[Digest] = field(default_factory=set)
    partials: list[tuple[Digest, int]] = field(default_factory=list)


def survey(files: BlobFiles, rows: Rows, now: float) -> Survey:
    """List a store's directory against the rows of its index, and clean up after a crash."""
    files.drop_twins()
    _adopt_uploads(files)
    found = Survey(partials=_partials(files, now))
    stale = dict(rows)
    for path, digest in files.blobs():
        if digest is None:
            continue
        row = stale.pop(path.name, None)
        if row is not None:
            # No look at the file: a plain one's size is in its name (the row may count a twin too).
            found.blobs.append((digest, digest.size if files.codec.plain else row[0], row[1]))
            continue
        status = path.stat()
        if files.codec.plain and status.st_size != digest.size:
            unlink(path)
            continue
        found.blobs.append((digest, status.st_size, status.st_mtime))
        found.changed.add(digest)
    found.changed.update(gone for name in stale if (gone := parse_name(name)) is not None)
    found.blobs.sort(key=lambda row: row[2])
    return found


def _adopt_uploads(files: BlobFiles) -> None:
    """Keep the longest upload of each blob that a killed process was writing; remove the others."""
    for path in list(files.temporaries.iterdir()):
        name, _, suffix = path.name.partition(".")
        digest = parse_name(name)
        size = path.stat().st_size
        if digest is None or not suffix.endswith("part") or not CHUNK_BYTES <= size <= digest.size:
            unlink(path)
            continue
        kept = files.partial(digest)
        if not kept.exists() or kept.stat().st_size < size:
            path.replace(kept)
        else:
            unlink(path)


def _partials(files: BlobFiles, now: float) -> list[tuple[Digest, int]]:
    found: list[tuple[float, Digest, int]] = []
    for path in list(files.partials.iterdir()):
        digest, status = parse_name(path.name), path.stat()
        usable = digest is not None and 0 < status.st_size <= digest.size
        if digest is None or not usable or status.st_mtime < now - _PARTIAL_SECONDS:
            unlink(path)
        else:
            found.append((status.st_mtime, digest, status.st_size))
    found.sort()
    for _, digest, _ in found[:-MAX_PARTIALS]:
        unlink(files.partial(digest))
    return [(digest, size) for _, digest, size in found[-MAX_PARTIALS:]]
