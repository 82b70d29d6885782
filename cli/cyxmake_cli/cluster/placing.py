"""Puts results in place as a compiler would: a whole new file, or none.

Knows nothing of where the bytes come from.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Placing:
    """How outputs are put in place.

    `umask` is that of whoever asked, when it is not our own. `keep_equal` leaves a file that has
    the bytes already, with its time: whoever reads the time has to know that this may be. The file
    at the absolute path `held` is not written: whoever asked takes its bytes.
    """

    umask: int | None = None
    keep_equal: bool = False
    held: str = ""


AS_A_COMPILER: Final = Placing()


def place(
    path: Path, data: bytes, executable: bool = False, placing: Placing = AS_A_COMPILER
) -> None:
    """Write a file under a temporary name and rename it; raises OSError."""
    if placing.keep_equal and _is_equal(path, data, executable):
        return
    folder, slash, name = os.fspath(path).rpartition("/")
    temporary = f"{folder}{slash}.{name}.{os.getpid()}.cyx"
    try:
        # os.open applies the user's umask, as the compiler would have.
        mode = 0o777 if executable else 0o666
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - hot, as is the rest
            if placing.umask is not None:
                os.fchmod(descriptor, mode & ~placing.umask)
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def _is_equal(path: Path, data: bytes, executable: bool) -> bool:
    try:
        state = path.lstat()
        return (
            stat.S_ISREG(state.st_mode)
            and bool(state.st_mode & stat.S_IXUSR) == executable
            and state.st_size == len(data)
            and path.read_bytes() == data
        )
    except OSError:
        return False
