"""Finds out what "native" means on this machine, once per compiler and set of machine flags.

Knows no cluster. The compiler's driver is asked twice: what it would run as the command stands, and
what it would run as it is written out.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cyxmake_common.digest import Digest
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompilerKind, Language
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.native import (
    Commands,
    Explicit,
    explicit,
    machine_flags,
    means_the_same,
    names_native,
    question,
    read_commands,
)
from cyxmake_common.toolchain.probe import CompilerProbe, ProbeFailed
from cyxmake_common.toolchain.response import Reader, no_files
from cyxmake_common.toolchain.tables import NATIVE

UNPROVEN: Final = LocalOnly("expands to this machine's processor, in a way that can't be sent")

_Key = tuple[Digest, str, tuple[str, ...], str]


class Native:
    """Writes command lines out; `environ` is that of the compiler."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._known: dict[_Key, asyncio.Task[Commands]] = {}

    def __repr__(self) -> str:
        return f"<Native {len(self._known)} questions>"

    async def explicit(
        self, argv: Sequence[str], compiler: str, toolchain: Toolchain, read: Reader = no_files
    ) -> Explicit | LocalOnly:
        """Return a command line that means the same everywhere; most are so as they are."""
        if not names_native(argv):
            return Explicit(tuple(argv))
        plain = parse_compile([w for w in argv if w not in NATIVE], read, toolchain.kind)
        if isinstance(plain, LocalOnly):
            return plain
        key = (toolchain.id, compiler, machine_flags(argv), plain.language.value)
        task = self._known.get(key)
        if task is None:
            task = self._known[key] = asyncio.create_task(
                asyncio.to_thread(self._ask, toolchain.kind, *key[1:])
            )
        return explicit(toolchain.kind, argv, await asyncio.shield(task)) or UNPROVEN

    def _ask(
        self, kind: CompilerKind, compiler: str, flags: tuple[str, ...], language: str
    ) -> Commands:
        """Return what the driver would run; nothing where it would not run that when told so."""
        probe = CompilerProbe(compiler, self._environ)
        try:
            native = read_commands(probe.told(*question(flags, Language.C.value)))
            wanted = read_commands(probe.told(*question(flags, language)))
            told = explicit(kind, (compiler, *flags), native)
            if told is None:
                return ()
            with tempfile.TemporaryDirectory(prefix="cyxmake-") as folder:
                arguments = told.argv[1:]
                for path, data in told.provided:
                    file = Path(folder, posixpath.basename(path))
                    file.write_bytes(data)
                    arguments = tuple(word.replace(path, str(file)) for word in arguments)
                again = read_commands(probe.told(*question(arguments, language)))
        except (ProbeFailed, OSError):
            return ()
        return native if means_the_same(wanted, again) else ()
