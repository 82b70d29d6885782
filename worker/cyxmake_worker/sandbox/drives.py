"""Drive letters of Windows, each a directory of ours: so a path of the client's means our file.

Knows nothing of commands. `/home/you/a.c` is, on Windows, a path on the drive of the current
directory; where that is a letter of our own, the client's paths need no rewriting at all. A letter
that already leads to its directory is used as it is.
"""

from __future__ import annotations

import string
import sys
from pathlib import Path
from typing import Final

from cyxmake_common.errors import SandboxError

_MARK: Final = ".cyxmake-drive"
_LETTERS: Final = tuple(reversed(string.ascii_uppercase[3:]))


class Drive:
    """One letter and its directory."""

    def __init__(self, letter: str, folder: Path, *, ours: bool) -> None:
        self.letter = letter
        self.folder = folder
        self._ours = ours

    def __repr__(self) -> str:
        return f"<Drive {self.letter}: {self.folder}>"

    @property
    def root(self) -> Path:
        """Return the root of the drive."""
        return Path(f"{self.letter}:\\")

    def close(self) -> None:
        """Take the letter back, if we gave it."""
        if self._ours:
            _undefine(self.letter)
            self._ours = False


def open_drives(base: Path, count: int) -> list[Drive]:
    """Return up to `count` drives whose directories are below `base`; raises SandboxError."""
    drives: list[Drive] = []
    for letter in _LETTERS:
        if len(drives) == count:
            break
        folder = base / f"drive-{letter.lower()}"
        drive = _open(letter, folder)
        if drive is not None:
            drives.append(drive)
        else:
            folder.rmdir()
    if not drives:
        raise SandboxError("no drive letter is free, or none can be given to a directory here")
    return drives


def _open(letter: str, folder: Path) -> Drive | None:
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / _MARK
    mark.touch()
    try:
        if _leads_here(letter):
            return Drive(letter, folder, ours=False)
        if _taken(letter) or not _define(letter, folder):
            return None
        if _leads_here(letter):
            return Drive(letter, folder, ours=True)
        _undefine(letter)
        return None
    finally:
        mark.unlink()


def _leads_here(letter: str) -> bool:
    # Only one directory has the mark at any time, and only this process makes it.
    try:
        return Path(f"{letter}:\\{_MARK}").is_file()
    except OSError:
        return False


if sys.platform == "win32":
    import ctypes

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _REMOVE: Final = 2

    def _taken(letter: str) -> bool:
        return bool(_kernel.GetLogicalDrives() >> (ord(letter) - ord("A")) & 1)

    def _define(letter: str, folder: Path) -> bool:
        return bool(_kernel.DefineDosDeviceW(0, f"{letter}:", str(folder.absolute())))

    def _undefine(letter: str) -> None:
        _kernel.DefineDosDeviceW(_REMOVE, f"{letter}:", None)

else:

    def _taken(letter: str) -> bool:
        return True

    def _define(letter: str, folder: Path) -> bool:
        return False

    def _undefine(letter: str) -> None:
        raise AssertionError(f"{letter}: was never given")
