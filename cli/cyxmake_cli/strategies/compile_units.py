"""Strategy compile-units: each plain compile becomes one action, everything else stays local.

Knows no files and no cluster. First an edge's command shows which compiler it calls; with that
compiler's toolchain it becomes a unit, or the reason to stay local.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.strategies.places import refuse_own_places
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_common.toolchain.environment import relevant_environment
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.response import Reader, no_files
from cyxmake_common.toolchain.shell import split_command
from cyxmake_common.toolchain.zig import zig_refusal

NOT_A_COMPILE: Final = LocalOnly("not a compile")


@dataclass(frozen=True, slots=True)
class EdgeFacts:
    """What a planner may know of an edge: its command string and what stands around it."""

    command: str
    outputs: tuple[str, ...]
    uses_console: bool = False


@dataclass(frozen=True, slots=True)
class CompileUnit:
    """One compile that the cluster can do: `directory` is absolute, output paths relative to it.

    `provided` are files, by path, that only the worker gets to see.
    """

    command: CompileCommand
    toolchain: Toolchain
    compiler: str
    environment: tuple[tuple[str, str], ...]
    directory: str
    outputs: tuple[str, ...]
    provided: tuple[tuple[str, bytes], ...] = ()

    @property
    def main_output(self) -> str:
        """Return the object's absolute path."""
        return posixpath.join(self.directory, self.outputs[0])

    @property
    def source(self) -> str:
        """Return the main source's absolute path, as spelled."""
        return posixpath.join(self.directory, self.command.source)

    def alike(self) -> str:
        """Name what may fail as this does: compiles there by the same tools and options."""
        own = (self.command.source, *self.command.outputs)
        words = [word for word in self.command.argv if not any(path in word for path in own)]
        text = "\0".join((str(self.toolchain.id), self.directory, *words))
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def split_edge(edge: EdgeFacts) -> list[str] | LocalOnly:
    """Return the argument list of an edge that looks like a compile, or why it stays local."""
    if edge.uses_console:
        return LocalOnly("uses the terminal")
    if not looks_like_compile(edge.command):
        return NOT_A_COMPILE
    return split_command(edge.command)


def plan_unit(
    argv: Sequence[str],
    outputs: tuple[str, ...],
    directory: str,
    toolchain: Toolchain,
    compiler: str,
    environ: Mapping[str, str],
    read: Reader = no_files,
    provided: tuple[tuple[str, bytes], ...] = (),
) -> CompileUnit | LocalOnly:
    """Return the unit of a compile in `directory`; `compiler` is the absolute path of argv[0].

    `environ` has a PWD only where compilers would write it into the object in place of `directory`
    (see cluster.working_directory). `outputs` are those that the build expects: a command that does
    not write all of them is not understood, and stays local. `read` gives the bytes of response
    files: they are inputs.
    """
    command = parse_compile(argv, read, toolchain.kind)
    if isinstance(command, LocalOnly):
        return command
    spelled = (command.source, *command.outputs)
    touched = (f"{directory}/", *(_normal(path, directory) for path in spelled))
    if (refusal := refuse_own_places(touched)) is not None:
        return refusal
    if command.provided != tuple(path for path, _ in provided):
        return LocalOnly("reads its own configuration")
    environment = relevant_environment(
        command.kind, environ, path=toolchain.path, locales=toolchain.locales
    )
    if isinstance(environment, LocalOnly):
        return environment
    if toolchain.variables:
        refusal = zig_refusal(argv)
        if refusal is not None:
            return refusal
        environment = tuple(sorted((*environment, *toolchain.variables)))
    if "PWD" in environ:
        environment = tuple(sorted((*environment, ("PWD", environ["PWD"]))))
    written = {_normal(path, directory) for path in command.outputs}
    for output in outputs:
        if _normal(output, directory) not in written:
            return LocalOnly(f"writes {output} besides its object")
    relative = tuple(_relative(path, directory) for path in command.outputs)
    return CompileUnit(command, toolchain, compiler, environment, directory, relative, provided)


def looks_like_compile(command: str) -> bool:
    """Tell whether a command may be a compile, at a glance."""
    return " -c " in command or command.endswith(" -c") or " -S " in command


def _normal(path: str, directory: str) -> str:
    return posixpath.normpath(posixpath.join(directory, path))


def _relative(path: str, directory: str) -> str:
    return posixpath.relpath(path, directory) if posixpath.isabs(path) else path
