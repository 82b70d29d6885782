"""Which names of the client's files Windows cannot hold, or would find under another spelling.

Knows no files. A directory there takes `Part.h` and `part.h` for one name, ends of names get lost,
and some names are devices: a compile that meets any of these could read what it does not read on
the client's machine, so it does not run there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

_NUMBERED: Final = (f"{kind}{number}" for kind in ("com", "lpt") for number in "0123456789¹²³")
_DEVICES: Final = frozenset(("con", "prn", "aux", "nul", "conin$", "conout$", *_NUMBERED))
_REFUSED: Final = frozenset('<>:"|?*\\')
_MOST: Final = 255
_MENTIONS: Final = re.compile(
    rb"(?:\binclude(?:_next)?\b|\bimport\b|\bembed\b|\b__has_(?:include(?:_next)?|embed)\s*\()"
    rb'\s*[<"]([^<>"\r\n]{1,1024})[>"]'
)


def unsafe_name(name: str) -> str:
    """Return why Windows cannot hold a file of this name, empty if it can."""
    if name[-1:] in (".", " "):
        return "ends with a dot or a space"
    if name.partition(".")[0].rstrip(" ").casefold() in _DEVICES:
        return "is a device"
    if any(letter in _REFUSED or letter < " " for letter in name):
        return "has a letter that Windows keeps for itself"
    if len(name.encode("utf-16-le", "surrogatepass")) > 2 * _MOST:
        return "is too long"
    return ""


def folded(name: str) -> str:
    """Return what is the same for names that Windows takes for one."""
    return name.upper()


def clashing(names: Iterable[str]) -> str | None:
    """Return a name that another one of the same directory has with other letters."""
    seen: dict[str, str] = {}
    for name in names:
        if seen.setdefault(folded(name), name) != name:
            return name
    return None


class Spellings:
    """The names in a tree, to find those that text means by other letters."""

    def __init__(self, names: Iterable[str]) -> None:
        known: dict[str, set[str]] = {}
        for name in names:
            known.setdefault(folded(name), set()).add(name)
        self._known: Mapping[str, Collection[str]] = known

    def __repr__(self) -> str:
        return f"<Spellings of {len(self._known)} names>"

    def misspelt(self, path: str) -> str | None:
        """Return a part of a path that is there with other letters only; None if there is none."""
        for part in path.replace("\\", "/").split("/"):
            there = self._known.get(folded(part))
            if there is not None and part not in there:
                return part
        return None

    def misspelt_in(self, source: bytes) -> str | None:
        """Return a name that source text asks for and that is there with other letters only."""
        for path in mentioned(source):
            part = self.misspelt(path)
            if part is not None:
                return part
        return None


def mentioned(source: bytes) -> Iterator[str]:
    """Yield what a source includes, or asks for, in any of its branches."""
    for match in _MENTIONS.finditer(source.replace(b"\\\n", b"")):
        yield match[1].decode("utf-8", "replace").strip()
