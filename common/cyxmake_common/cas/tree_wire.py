"""The entries of a REAPI Directory as protobuf bytes, one at a time, so that a tree can keep them.

Knows nothing of trees or order. `action.Directory` is the definition; a property test keeps both
equal byte for byte. Written by hand because a directory of thousands of entries is encoded again
whenever one of them changes, and joining kept bytes is many times faster than building messages.
"""

from __future__ import annotations

from typing import Final

from cyxmake_common.digest import Digest

_NAME: Final = b"\x0a"
_DIGEST: Final = b"\x12"
_TARGET: Final = b"\x12"
_HASH: Final = b"\x0a\x40"
_SIZE: Final = b"\x10"
_EXECUTABLE: Final = b"\x20\x01"
_FILES: Final = b"\x0a"
_DIRECTORIES: Final = b"\x12"
_SYMLINKS: Final = b"\x1a"


def varint(value: int) -> bytes:
    """Return a number in base 128, the least significant group first."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def file_entry(name: str, digest: Digest, executable: bool) -> bytes:
    """Return the bytes that a file adds to its Directory."""
    body = _field(_NAME, name.encode()) + _field(_DIGEST, _digest(digest))
    return _field(_FILES, body + _EXECUTABLE if executable else body)


def directory_entry(name: str, digest: Digest) -> bytes:
    """Return the bytes that a subdirectory adds to its Directory."""
    return _field(_DIRECTORIES, _field(_NAME, name.encode()) + _field(_DIGEST, _digest(digest)))


def symlink_entry(name: str, target: str) -> bytes:
    """Return the bytes that a symbolic link adds to its Directory."""
    body = _field(_NAME, name.encode())
    return _field(_SYMLINKS, body + _field(_TARGET, target.encode()) if target else body)


def _digest(digest: Digest) -> bytes:
    hash_ = _HASH + digest.hash.encode()
    return hash_ + _SIZE + varint(digest.size) if digest.size else hash_


def _field(tag: bytes, body: bytes) -> bytes:
    return tag + varint(len(body)) + body
