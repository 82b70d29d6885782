"""Keys of the action cache: a reduced key first, the exact inputs second.

Knows nothing of files, stores or compilers: it is told arguments and digests. The reduced key
names all that can be known without looking at a header: toolchain, canonical arguments,
environment, working directory, the main source's bytes. It leads to entries, each with a
*manifest*: the text that lists every file the compiler read, with its digest. An entry applies
when the manifest made of the same paths in today's tree has the same digest, and no path of the
entry's `absent` list exists.

Paths inside the project are written with a token in place of its root, so that two checkouts share.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_common.digest import Digest

ROOT_TOKEN: Final = "{root}"  # noqa: S105 - a path token, not a password
_FORMAT: Final = 1
_MAX_PATHS_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeyInputs:
    """What makes a reduced key; kept by the client so that a miss can be explained.

    `arguments` are canonical (toolchain.arguments), `directory` is the tokenised working directory,
    `source` the digest of the main source, `platform` what a worker must offer.
    """

    toolchain: Digest
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    directory: str
    source: Digest
    platform: tuple[tuple[str, str], ...] = ()

    def preimage(self) -> bytes:
        """Return the bytes whose digest is the key: canonical JSON."""
        fields = {
            "format": _FORMAT,
            "toolchain": str(self.toolchain),
            "arguments": self.arguments,
            "environment": sorted(self.environment),
            "directory": self.directory,
            "source": str(self.source),
            "platform": sorted(self.platform),
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    def key(self) -> Digest:
        """Return the reduced key."""
        return Digest.of(self.preimage())


def tokenise(path: str, root: str) -> str:
    """Return a path with the project root replaced by its token; other paths as they are."""
    if root and (path == root or path.startswith(root + "/")):
        return ROOT_TOKEN + path[len(root) :]
    return path


def expand(token_path: str, root: str) -> str:
    """Undo `tokenise` for a project that stands at `root`."""
    if token_path.startswith(ROOT_TOKEN):
        return root + token_path[len(ROOT_TOKEN) :]
    return token_path


def manifest(entries: Iterable[tuple[str, Digest]]) -> bytes:
    """Return the manifest text: a line `path NUL hash/size` per file, sorted by path."""
    return b"".join(line(path, digest) for path, digest in sorted(entries))


def line(path: str, digest: Digest) -> bytes:
    """Return one file's line of a manifest."""
    return f"{path}\0{digest}\n".encode("utf-8", "surrogateescape")


def pack_paths(paths: Sequence[str]) -> bytes:
    """Return path tokens as CacheEntry.paths and CacheEntry.absent carry them."""
    if not paths:
        return b""
    return zlib.compress("\0".join(paths).encode("utf-8", "surrogateescape"), 6)


def unpack_paths(packed: bytes) -> tuple[str, ...]:
    """Undo `pack_paths`; raises ValueError for bytes that are not packed paths."""
    if not packed:
        return ()
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, _MAX_PATHS_BYTES)
    except zlib.error as error:
        raise ValueError(f"not a packed list of paths: {error}") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("a packed list of paths is too long or cut off")
    return tuple(data.decode("utf-8", "surrogateescape").split("\0"))
