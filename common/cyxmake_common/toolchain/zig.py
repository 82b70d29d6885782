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

_MODES: Final = ("cc", "c++", "clang")
"""The last is the plain compiler in zig: it has no headers but those that it is given."""

_TESTED: Final = ("x86_64-linux", "aarch64-linux", "x86_64-windows")
"""Machines, besides one's own, for which other hosts of zig are proven."""
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


def driver_words(path: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return what a driver that `zig_behind` knows puts between zig and its own arguments."""
    call = read_script(Path(path).read_bytes(), environ)
    return () if isinstance(call, LocalOnly) else call.before[1:]


def tested_targets(machine: str) -> tuple[str, ...]:
    """Return the machines to test compiles for, from what `-dumpmachine` says."""
    return tuple(dict.fromkeys((f"{machine.partition('-')[0]}-linux", *_TESTED)))


def smoke_options(target: str, words: Sequence[str], library: str) -> tuple[str, ...]:
    """Return options that mean the same everywhere, for a machine of `tested_targets`.

    Without -g0 zig writes the working directory into every object.
    """
    abi = "gnu" if target.endswith("windows") else "musl"
    headers = ("-nostdinc", "-isystem", f"{library}/include") if "clang" in words else ()
    return ("-target", f"{target}-{abi}", "-g0", *headers)


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
