"""zig as a C compiler: a script `exec zig cc "$@"` is its driver, and one program all the rest.

Knows no trees and no processes. Its libc headers are inputs like any system's; what zig compiles
for a named target was seen to depend on nothing else, not even on where its caches are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from cyxmake_common.toolchain.arguments import is_cxx_driver
from cyxmake_common.toolchain.libraries import is_elf
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.probe import which
from cyxmake_common.toolchain.wrappers import MAX_SCRIPT_BYTES, ScriptCall, read_script

CACHES: Final = ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")
CACHE_VARIABLES: Final = tuple((name, "/tmp/zig-cache") for name in CACHES)  # noqa: S108
"""Where a worker's zig keeps what it makes: in the scratch space of one action."""

_MODES: Final = ("cc", "c++")
_CHANGING: Final = ("ZIG_LIB_DIR", "ZIG_LIBC", "ZIG_BTRFS_WORKAROUND", "ZIG_VERBOSE_CC")
_LIBRARY: Final = re.compile(r'"?\.?lib_dir"?\s*[:=]\s*"([^"\\]+)"')


def zig_behind(path: str, environ: Mapping[str, str]) -> str | None:
    """Return the zig that a script calls as a C compiler and does nothing else; None otherwise."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_SCRIPT_BYTES + 1)
    except OSError:
        return None
    if not data.startswith(b"#!"):
        return None
    call = read_script(data, environ)
    if isinstance(call, LocalOnly) or not calls_zig(call):
        return None
    program = call.before[0]
    found = program if "/" in program else which(program, environ.get("PATH", os.defpath))
    return found if found is not None and is_elf(found) else None


def calls_zig(call: ScriptCall) -> bool:
    """Tell whether a script hands all of its arguments, and no others, to zig's C compiler."""
    program, *mode = call.before
    return Path(program).name == "zig" and mode in ([name] for name in _MODES) and not call.after


def shell_of(path: str) -> str:
    """Return the shell that a script names."""
    first = Path(path).read_bytes().split(b"\n", 1)[0]
    return os.fsdecode(first[2:].split()[0])


def library_folder(told: str) -> str | None:
    """Read what `zig env` tells: the folder of its headers and its standard library."""
    match = _LIBRARY.search(told)
    return match[1] if match else None


def changing_variable(environ: Mapping[str, str]) -> str | None:
    """Return a variable that makes zig work by other files than its own."""
    return next((name for name in _CHANGING if environ.get(name)), None)


def smoke_options(machine: str) -> tuple[str, ...]:
    """Return options that mean the same everywhere, from what `-dumpmachine` says.

    Without the last one zig writes the working directory into every object.
    """
    return ("-target", f"{machine.partition('-')[0]}-linux-musl", "-g0")


def zig_refusal(argv: Sequence[str]) -> LocalOnly | None:
    """Refuse a compile for whatever machine zig finds itself on: that is what it does unasked.

    And one that another clang would take as C++, but zig does not.
    """
    if is_cxx_driver(argv[0]) and any(word.endswith(".c") for word in argv):
        return LocalOnly("zig c++ compiles C as C")
    targets = [value for word, value in pairwise(argv) if word == "-target"]
    targets += [word.partition("=")[2] for word in argv if word.startswith("--target=")]
    if not targets or any(target.startswith("native") for target in targets):
        return LocalOnly("zig compiles for this machine unless -target names another")
    if any(word.startswith(("-mcpu=native", "-march=native", "-mtune=native")) for word in argv):
        return LocalOnly("zig compiles for this machine's processor")
    return None
