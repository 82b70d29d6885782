"""Writes out what `-march=native` and its like mean on one machine, to mean it on any other.

Knows no process: it is handed what a driver says that it would run (-###). gcc puts what it found
out into the middle of its compiler's options, where no option of a command line gets, and records
them in that order in the object. So it is handed a spec file that says what it would find out.
clang takes the same facts as options. Neither is believed: what the driver would then run must be
what it would run here, word for word.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.normalise import RECORDS_COMMAND
from cyxmake_common.toolchain.tables import NATIVE, PROVIDED_SPECS

_APART: Final = ("-mllvm", "-mthread-model")
_TEMPORARY: Final = re.compile(r"/cc[A-Za-z0-9]{6}(?=\.)")
_NO_FILE: Final = "/dev/null"

Commands = tuple[tuple[str, ...], ...]
"""What a driver would run: one argument list for each program."""


@dataclass(frozen=True, slots=True)
class Explicit:
    """A command line that means the same everywhere, with the files that it needs for that."""

    argv: tuple[str, ...]
    provided: tuple[tuple[str, bytes], ...] = ()


def names_native(argv: Sequence[str]) -> bool:
    """Tell whether a command line leaves the processor to the machine that it runs on."""
    return any(word in NATIVE for word in argv)


def machine_flags(argv: Sequence[str]) -> tuple[str, ...]:
    """Return the options that say which machine is compiled for."""
    flags: list[str] = []
    words = iter(argv)
    for word in words:
        if word in _APART:
            next(words, None)
        elif word == "-target":
            flags += (word, next(words, ""))
        elif word.startswith(("-m", "--target=")):
            flags.append(word)
    return tuple(flags)


def question(flags: Sequence[str], language: str) -> tuple[str, ...]:
    """Return the arguments that make a driver say what it would run."""
    return (*flags, "-O2", "-g", "-x", language, "-c", "-o", "x.o", _NO_FILE, "-###")


def read_commands(text: str) -> Commands:
    """Read a driver's answer; temporary files get the same name in all answers."""
    lines = (line for line in text.splitlines() if line.startswith((" /", ' "')))
    return tuple(tuple(_TEMPORARY.sub("/cc", word) for word in shlex.split(line)) for line in lines)


def explicit(kind: CompilerKind, argv: Sequence[str], native: Commands) -> Explicit | None:
    """Return what a command line probably means, by what the driver says of its machine flags."""
    if not native:
        return None
    return (_with_specs if kind is CompilerKind.GCC else _with_features)(argv, native[0])


def means_the_same(one: Commands, other: Commands) -> bool:
    """Tell whether two answers run the same programs in the same way."""
    return bool(one) and [*map(_sorted_out, one)] == [*map(_sorted_out, other)]


def _with_specs(argv: Sequence[str], native: Sequence[str]) -> Explicit | None:
    if _NO_FILE not in native:
        return None
    found = list(native[native.index(_NO_FILE) + 1 :])
    if "-quiet" not in found:
        return None
    found = found[: found.index("-quiet")]
    if any("%" in word or not word or word.split() != [word] for word in found):
        return None
    removed = " ".join(f"%{{{flag[1:]}:%>{flag[1:]}}}" for flag in NATIVE)
    text = f"*cc1_cpu:\n{removed} {' '.join(found)}\n\n".encode()
    path = f"{PROVIDED_SPECS}{hashlib.sha256(text).hexdigest()}"
    compiler, *rest = argv
    return Explicit((compiler, f"-specs={path}", *rest), ((path, text),))


def _with_features(argv: Sequence[str], native: Sequence[str]) -> Explicit | None:
    if any(word.startswith(RECORDS_COMMAND) for word in argv):
        return None  # the object would hold the options written out
    machine, features, _ = _sorted_out(native)
    values = dict(zip(machine[::2], machine[1::2], strict=False))
    cpu = values.get("-target-cpu", "")
    names = {"-mtune=native": values.get("-tune-cpu", cpu)}
    compiler, *rest = (
        f"{word.partition('=')[0]}={names.get(word, cpu)}" if word in NATIVE else word
        for word in argv
    )
    detected = features if {"-march=native", "-mcpu=native"} & set(argv) else ()
    # First, as the driver has them before what the command line itself hands to the frontend.
    added = (w for f in detected for w in ("-Xclang", "-target-feature", "-Xclang", f))
    return Explicit((compiler, *added, *rest)) if cpu else None


def _sorted_out(words: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the processors, the features in their order, and everything else."""
    machine: list[str] = []
    features: list[str] = []
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word in ("-target-cpu", "-tune-cpu"):
            machine += (word, next(left, ""))
        elif word == "-target-feature":
            features.append(next(left, ""))
        else:
            rest.append(word)
    return machine, features, rest
