"""The two hashes of a command line that ninja's build log has used.

Knows nothing of logs. Plain integers, arranged so that a 500-byte command costs some 20 µs.
"""

from __future__ import annotations

import struct
from typing import Final

_MASK: Final = (1 << 64) - 1

_MURMUR_SEED: Final = 0xDECAFBADDECAFBAD
_MURMUR_FACTOR: Final = 0xC6A4A7935BD1E995

_RAPID_SEED: Final = 0xBDD89AA982704029
_RAPID_0: Final = 0x2D358DCCAA6C78A5
_RAPID_1: Final = 0x8BB84B93962EACC9
_RAPID_2: Final = 0x4B33A62ED433D4A3


def murmur64a(data: bytes) -> int:
    """Return MurmurHash64A with ninja's seed (build log versions 5 and 6)."""
    factor, mask = _MURMUR_FACTOR, _MASK
    size = len(data)
    words = size >> 3
    value = _MURMUR_SEED ^ (size * factor & mask)
    for word in struct.unpack_from(f"<{words}Q", data):
        mixed = word * factor & mask
        # Only the low 64 bits matter: one mask after both products is enough.
        value = (value ^ ((mixed ^ mixed >> 47) * factor)) * factor & mask
    if size & 7:
        value = (value ^ int.from_bytes(data[words << 3 :], "little")) * factor & mask
    value = (value ^ value >> 47) * factor & mask
    return value ^ value >> 47


def _mix(left: int, right: int) -> int:
    product = left * right
    return (product & _MASK) ^ (product >> 64)


def rapidhash(data: bytes) -> int:
    """Return rapidhash, first version, with its default seed (build log version 7)."""
    size = len(data)
    seed = _RAPID_SEED ^ _mix(_RAPID_SEED ^ _RAPID_0, _RAPID_1) ^ size
    if size <= 16:
        first, second = _short_words(data)
    else:
        seed = _absorb(data, seed)
        first, second = struct.unpack_from("<2Q", data, size - 16)
    product = (first ^ _RAPID_1) * (second ^ seed)
    return _mix((product & _MASK) ^ _RAPID_0 ^ size, product >> 64 ^ _RAPID_1)


def _short_words(data: bytes) -> tuple[int, int]:
    size = len(data)
    if size >= 4:
        shift = (size & 24) >> (size >> 3)
        last = size - 4
        first, second, third, fourth = (
            int.from_bytes(data[at : at + 4], "little") for at in (0, last, shift, last - shift)
        )
        return first << 32 | second, third << 32 | fourth
    if size:
        return data[0] << 56 | data[size >> 1] << 32 | data[size - 1], 0
    return 0, 0


def _absorb(data: bytes, seed: int) -> int:
    """Mix all but the last 16 bytes of a long input into the seed."""
    left = len(data)
    at = 0
    if left > 48:
        blocks = left // 48
        words = struct.unpack_from(f"<{blocks * 6}Q", data)
        one = two = seed
        for i in range(0, blocks * 6, 6):
            seed = _mix(words[i] ^ _RAPID_0, words[i + 1] ^ seed)
            one = _mix(words[i + 2] ^ _RAPID_1, words[i + 3] ^ one)
            two = _mix(words[i + 4] ^ _RAPID_2, words[i + 5] ^ two)
        seed ^= one ^ two
        at, left = blocks * 48, left - blocks * 48
    if left > 16:
        low, high = struct.unpack_from("<2Q", data, at)
        seed = _mix(low ^ _RAPID_2, high ^ seed ^ _RAPID_1)
        if left > 32:
            low, high = struct.unpack_from("<2Q", data, at + 16)
            seed = _mix(low ^ _RAPID_2, high ^ seed)
    return seed
