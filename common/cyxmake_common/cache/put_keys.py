"""Which keys may have been put into the action cache: one bit of memory for each few of them.

Knows nothing of entries. Most keys that are asked for were never put: their miss needs no look.
"""

from __future__ import annotations

from typing import Final

from cyxmake_common.digest import Digest

_SPREAD: Final = 32
"""Bits for each key that the cache may hold: so few of the others are taken for put by mistake."""
_LEAST_BITS: Final = 1 << 16
_DIGITS: Final = 8
"""Of a hash, enough for 2**32 bits."""


class PutKeys:
    """A set of keys that never misses one, but may hold others; `limit` is how many are expected.

    None is taken out: a key that was removed is looked for in vain until the next start.
    """

    def __init__(self, limit: int) -> None:
        bits = max(_LEAST_BITS, 1 << (limit * _SPREAD - 1).bit_length())
        self._mask = min(bits, 1 << 4 * _DIGITS) - 1
        self._bits = bytearray((self._mask + 1) >> 3)
        self.added = 0
        """How many keys were added, equal ones counted again."""

    def __repr__(self) -> str:
        return f"<PutKeys {self.added} in {self._mask + 1} bits>"

    def __contains__(self, key: Digest) -> bool:
        bit = int(key.hash[:_DIGITS], 16) & self._mask
        return bool(self._bits[bit >> 3] & 1 << (bit & 7))

    def add(self, key: Digest) -> None:
        """Add a key."""
        self.add_hash(key.hash)

    def add_hash(self, hash_: str) -> None:
        """Add a key by its hash, or by what begins with it."""
        bit = int(hash_[:_DIGITS], 16) & self._mask
        self._bits[bit >> 3] |= 1 << (bit & 7)
        self.added += 1
