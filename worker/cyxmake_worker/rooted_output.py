"""Tells whether a compile's outputs hold the place where the project stands.

Knows nothing of cache entries. An output that may hide the place, because it is compressed or holds
a hash, counts as holding it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_common.toolchain.tables import Role

_COMPRESSED_FLAG: Final = 0x800
_ELF64_LITTLE: Final = b"\x7fELF\x02\x01"
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_HIDING: Final = (
    # Intermediate code and names of counted functions are kept compressed.
    *("-flto", "-ffat-lto-objects", "-emit-llvm", "-fembed-bitcode", "-fcoverage-mapping"),
    # Names are made of a hash of the path.
    *("-funique-internal-linkage-names", "-fprofile-", "-fcs-profile-", "--coverage"),
    # Lists of files decide by path what is done to the code.
    *("-finstrument-functions-exclude-file-list", "-fxray-", "-fsanitize-ignorelist="),
    *("-fsanitize-blacklist=", "-fsanitize-system-ignorelist=", "-fsanitize-coverage-"),
)
_MAPS: Final = ("-prefix-map=", "-compilation-dir=")
_FILE_MAPS: Final = ("-ffile-prefix-map=", "-fmacro-prefix-map=")
_COMPUTING: Final = (Role.PLAIN, Role.PREPROCESSOR, Role.ASSEMBLER, Role.FRONTEND)


def names_root(command: CompileCommand, root: str) -> bool:
    """Tell whether an argument hands the root to the code: its length, say, may be all that stays.

    Paths of files and directories, and options that take the root out, do not count.
    """
    return bool(root) and any(
        argument.role in _COMPUTING
        and not argument.option.endswith(_MAPS)
        and any(root in token for token in argument.tokens)
        for argument in command.arguments
    )


def maps_root(command: CompileCommand, root: str) -> bool:
    """Tell whether `__FILE__` has another name in place of the root, wherever that is."""
    maps = [argument for argument in command.arguments if argument.option in _FILE_MAPS]
    return any(argument.value.startswith(f"{root}=") for argument in maps) and not any(
        root in argument.value.partition("=")[2] for argument in maps
    )


def mentions_root(argv: Sequence[str], outputs: Iterable[Path], root: str) -> bool:
    """Tell whether any output holds the root, or may do so; raises OSError."""
    if not root:
        return False
    if any(argument.startswith(_HIDING) for argument in argv):
        return True
    needle = os.fsencode(root)
    for path in outputs:
        data = path.read_bytes()
        if needle in data or has_compressed_sections(data):
            return True
    return False


def has_compressed_sections(data: bytes) -> bool:
    """Tell whether an object file has sections whose text cannot be searched."""
    if not data.startswith(b"\x7fELF"):
        return False
    if b".zdebug_" in data:
        return True
    if not data.startswith(_ELF64_LITTLE) or len(data) < 64:
        return True  # a kind that is not read here: assume so
    (offset,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    if not offset or size != _SECTION.size:
        return bool(offset)
    if count == 0 and offset + size <= len(data):
        # More sections than the header can count: the first one knows.
        count = _SECTION.unpack_from(data, offset)[5]
    if offset + count * size > len(data):
        return True
    return any(
        _SECTION.unpack_from(data, offset + index * size)[2] & _COMPRESSED_FLAG
        for index in range(count)
    )
