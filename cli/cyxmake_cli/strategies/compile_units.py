"""Strategy compile-units: each plain compile becomes one action, everything else stays local.

Knows no files and no cluster: an edge's facts go in, a unit or the reason to stay local comes out.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_common.toolchain.environment import relevant_environment
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.shell import split_command

NOT_A_COMPILE: Final = LocalOnly("not a compile")


@dataclass(frozen=True, slots=True)
class EdgeFacts:
    """What a planner may know of an edge: its command string and what stands around it."""

    command: str
    outputs: tuple[str, ...]
    uses_console: bool = False
    has_rspfile: bool = False


@dataclass(frozen=True, slots=True)
class CompileUnit:
    """One compile that the cluster can do: `directory` is absolute, output paths relative to it."""

    command: CompileCommand
    environment: tuple[tuple[str, str], ...]
    directory: str
    outputs: tuple[str, ...]

    @property
    def source(self) -> str:
        """Return the main source's absolute path, as spelled."""
        return posixpath.join(self.directory, self.command.source)


def plan_edge(
    edge: EdgeFacts, directory: str, environ: Mapping[str, str]
) -> CompileUnit | LocalOnly:
    """Return the unit of an edge that runs in `directory`, or why it has to run locally."""
    if edge.uses_console:
        return LocalOnly("uses the terminal")
    argv = split_command(edge.command)
    if isinstance(argv, LocalOnly):
        return NOT_A_COMPILE if not _mentions_compile(edge.command) else argv
    if not _mentions_compile(edge.command):
        return NOT_A_COMPILE
    command = parse_compile(argv)
    if isinstance(command, LocalOnly):
        return command
    if edge.has_rspfile:
        return LocalOnly("reads a response file")
    environment = relevant_environment(command.kind, environ)
    if isinstance(environment, LocalOnly):
        return environment
    written = {posixpath.normpath(posixpath.join(directory, path)) for path in command.outputs}
    for output in edge.outputs:
        if posixpath.normpath(posixpath.join(directory, output)) not in written:
            return LocalOnly(f"writes {output} besides its object")
    return CompileUnit(
        command,
        environment,
        directory,
        tuple(_relative(path, directory) for path in command.outputs),
    )


def _mentions_compile(command: str) -> bool:
    return " -c " in command or command.endswith(" -c") or " -S " in command


def _relative(path: str, directory: str) -> str:
    return posixpath.relpath(path, directory) if posixpath.isabs(path) else path
