"""Which environment variables reach a remote link, and which make it impossible.

Knows no process: the client's environment is passed in. The worker sees these variables, no others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.environment import relevant_environment
from cyxmake_common.toolchain.local import LocalOnly

_IMPOSSIBLE: Final = {
    "LIBRARY_PATH": "searches more libraries",
    "LD_LIBRARY_PATH": "searches more libraries",
    "LD_RUN_PATH": "goes into the program",
    "COMPILER_PATH": "finds other programs",
    "GCC_EXEC_PREFIX": "finds other programs",
    "LDEMULATION": "changes the linker",
    "GNUTARGET": "changes the linker",
    "LD_OPTIONS": "changes the linker",
    "LLD_REPRODUCE": "writes files of its own",
    "LLD_VERSION": "goes into the program",
    "MOLD_DEBUG": "goes into the program",
    "MOLD_REPRO": "goes into the program",
    "COLLECT_NO_DEMANGLE": "changes messages",
}
_KEPT: Final = frozenset(("PATH", "LC_ALL", "SOURCE_DATE_EPOCH", "GCC_COLORS"))


def link_environment(
    environ: Mapping[str, str], *, path: str, locales: Collection[str] | None = None
) -> tuple[tuple[str, str], ...] | LocalOnly:
    """Return the variables of a remote link, sorted; see `relevant_environment`."""
    for name, what in _IMPOSSIBLE.items():
        if environ.get(name):
            return LocalOnly(f"{name} is set: it {what}")
    found = relevant_environment(CompilerKind.GCC, environ, path=path, locales=locales)
    if isinstance(found, LocalOnly):
        return found
    kept = [(name, value) for name, value in found if name in _KEPT]
    if "PWD" in environ:  # the name of the working directory, where it is not the real one
        kept.append(("PWD", environ["PWD"]))
    return tuple(sorted(kept))
