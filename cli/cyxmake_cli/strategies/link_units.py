"""Strategy compile-units, second half: links and static libraries as actions of their own.

Knows no files and no cluster. An edge's command shows whether it links; with the tools that it
names it becomes a unit, or the reason to stay local.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from cyxmake_cli.strategies.compile_units import NOT_A_COMPILE, EdgeFacts
from cyxmake_cli.strategies.places import refuse_own_places
from cyxmake_common.toolchain.archive_command import (
    ArchiveCommand,
    is_archiver,
    parse_archive,
)
from cyxmake_common.toolchain.arguments import compiler_kind
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.link_command import LinkCommand, parse_link
from cyxmake_common.toolchain.link_environment import link_environment
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.response import Reader, no_files
from cyxmake_common.toolchain.shell import split_chain
from cyxmake_common.toolchain.tool_tree import ToolTree

Linking = LinkCommand | ArchiveCommand


@dataclass(frozen=True, slots=True)
class LinkUnit:
    """One link that the cluster can do: `directory` is absolute, output paths relative to it."""

    command: Linking
    tools: ToolTree
    environment: tuple[tuple[str, str], ...]
    directory: str
    outputs: tuple[str, ...]

    @property
    def argv(self) -> tuple[str, ...]:
        """Return what a worker runs: several commands as the shell's list that they were."""
        if isinstance(self.command, LinkCommand):
            return self.command.argv
        argvs = self.command.argvs
        if len(argvs) == 1:
            return argvs[0]
        return ("/bin/sh", "-c", " && ".join(shlex.join(argv) for argv in argvs))

    @property
    def at_home(self) -> bool:
        """Tell whether the output must come home: who links with a thin archive looks into it."""
        return isinstance(self.command, ArchiveCommand) and self.command.is_thin


def split_link(edge: EdgeFacts) -> list[list[str]] | LocalOnly:
    """Return the commands of an edge that looks like a link, or why it stays local."""
    if edge.uses_console:
        return LocalOnly("uses the terminal")
    commands = split_chain(edge.command)
    if isinstance(commands, LocalOnly) or not commands:
        return NOT_A_COMPILE
    if not any(is_archiver(argv[0]) or compiler_kind(argv[0]) for argv in commands):
        return NOT_A_COMPILE
    return commands


def parse_linking(
    commands: list[list[str]], read: Reader = no_files, kind: CompilerKind | None = None
) -> Linking | LocalOnly:
    """Return what an edge's commands say; `kind` is the compiler's where it is known."""
    if is_archiver(commands[0][0]) or (len(commands) > 1 and is_archiver(commands[1][0])):
        return parse_archive(commands, read)
    if len(commands) != 1:
        return LocalOnly(f"runs {len(commands)} commands in one edge")
    return parse_link(commands[0], read, kind)


def plan_link(
    command: Linking,
    outputs: tuple[str, ...],
    directory: str,
    tools: ToolTree,
    environ: Mapping[str, str],
) -> LinkUnit | LocalOnly:
    """Return the unit of a link in `directory`.

    `outputs` are those that the build expects: a command that does not write all of them is not
    understood, and stays local.
    """
    environment = link_environment(environ, path=tools.captured.path)
    if isinstance(environment, LocalOnly):
        return environment
    own = command.outputs if isinstance(command, LinkCommand) else (command.output,)
    written = {_normal(path, directory) for path in own}
    if (refusal := refuse_own_places((f"{directory}/", *written))) is not None:
        return refusal
    for output in outputs:
        if _normal(output, directory) not in written:
            return LocalOnly(f"writes {output} besides what it links")
    relative = tuple(
        posixpath.relpath(path, directory) if posixpath.isabs(path) else path for path in own
    )
    return LinkUnit(command, tools, environment, directory, relative)


def _normal(path: str, directory: str) -> str:
    return posixpath.normpath(posixpath.join(directory, path))
