"""Names a cause so that the same one has the same name everywhere.

Built from category and facts, else from the message without paths, numbers and addresses.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from cyxmake_common.diagnosis.model import IDENTITY, Category, Facts

_VERSION: Final = "1"  # part of every fingerprint: names of another algorithm never match
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-f]{12,}\b")
_DIRECTORIES: Final = re.compile(r"(?:[A-Za-z]:)?(?:[\w.+@~-]*[\\/])+")
_TEMPORARY: Final = re.compile(r"\b(cc|tmp|scratch)[A-Za-z0-9_]{6,8}\b")
_NUMBER: Final = re.compile(r"\d+")


def fingerprint(category: Category, facts: Facts, evidence: str) -> str:
    """Return the name of a cause: 16 hexadecimal digits."""
    names = IDENTITY.get(category, ())
    known = [f"{name}={getattr(facts, name)}" for name in names if getattr(facts, name)]
    return _name(category.value, *known) if known else named_by_message(category.value, evidence)


def named_by_message(category: str, message: str) -> str:
    """Return the name of a cause of which only a message is known."""
    return _name(category, normalised_message(message))


def _name(*parts: str) -> str:
    text = "\0".join((_VERSION, *parts))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def normalised_message(line: str) -> str:
    """Return a message without what differs between machines and checkouts."""
    line = _ADDRESS.sub("#", line.strip())
    line = _DIRECTORIES.sub("", line)
    line = _TEMPORARY.sub("#", line)
    return _NUMBER.sub("N", line)[:300]
