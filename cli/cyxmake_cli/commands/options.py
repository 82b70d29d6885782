"""Options that several commands share: one spelling, one meaning, one help text.

No command itself: `with_options` puts them on one, and hands over what was said as `Common`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from cyxmake_cli.building.screen import Screen
    from cyxmake_cli.llm.backend import Request
    from cyxmake_cli.safety.gate import Gate


@dataclass(frozen=True, slots=True)
class Common:
    """What was said with the shared options; those that a command has not are at their default."""

    directory: Path = Path()
    verbose: bool = False
    quiet: bool = False
    dry_run: bool = False
    colours: bool = True
    as_json: bool = False
    yes: bool = False
    no_ai: bool = False

    def screen(self) -> Screen:
        """Return the terminal as it was asked for."""
        from cyxmake_cli.building.screen import Look, Screen

        colours = self.colours and not os.environ.get("NO_COLOR")
        return Screen(Look(self.verbose, self.quiet, colours, self.as_json))

    def gate(self, screen: Screen, *roots: str) -> Gate:
        """Return the gate for a project with these directories."""
        from cyxmake_cli.safety.gate import Gate, bounds_of
        from cyxmake_cli.ui.ask import TerminalAsker

        return Gate(
            bounds_of(*roots),
            TerminalAsker(),
            lambda: datetime.now(UTC).isoformat(timespec="milliseconds"),
            yes=self.yes,
            dry_run=self.dry_run,
            show=screen.say,
        )


def tell_sent(name: str, request: Request) -> None:
    """Show what a language model elsewhere is sent."""
    click.echo(f"sent to {name}:", err=True)
    for message in request.messages:
        for line in message.text.split("\n"):
            click.echo(f"  {message.role.value}: {line}", err=True)


def let_write_settings(summary: str, *paths: Path) -> None:
    """Have the gate judge and write down a change of the user's own; raises Denied."""
    from cyxmake_cli.safety.permissions import Act, ActKind

    common = Common()
    places = tuple(os.path.abspath(path) for path in paths)  # noqa: PTH100 - links stay
    folders = tuple(os.path.dirname(place) for place in places)  # noqa: PTH120 - pure text
    act = Act(ActKind.WRITE_SETTINGS, summary, writes=places)
    common.gate(common.screen(), *folders).require(act)


def let_run_cluster(summary: str) -> None:
    """Have the gate write down what is done to a cluster; raises Denied."""
    from cyxmake_cli.safety.permissions import Act, ActKind

    common = Common()
    common.gate(common.screen(), str(Path.cwd())).require(Act(ActKind.RUN_CLUSTER, summary))


def coordinator_program(*words: str) -> int:
    """Run `cyxmake-coordinator` on this terminal, as this machine's administrator."""
    import asyncio
    import sys

    from cyxmake_common.execution.process import ProcessRequest, run_process

    # -P: a module of the project that stands here must not stand in for one of ours.
    argv = (sys.executable, "-P", "-m", "cyxmake_coordinator.main", *words)
    return asyncio.run(run_process(ProcessRequest(argv, console=True))).exit_code


_OPTIONS: Final[dict[str, Any]] = {
    "directory": click.option(
        "-C", "directory", type=click.Path(path_type=Path), default=Path(),
        help="The project (default: the current directory).",
    ),
    "verbose": click.option("-v", "--verbose", is_flag=True, help="Show each command that is run."),
    "quiet": click.option("-q", "--quiet", is_flag=True, help="Show only failures."),
    "dry_run": click.option(
        "-n", "--dry-run", is_flag=True, help="Show what would be done, and do nothing."
    ),
    "colours": click.option(
        "--color/--no-color", "colours", default=True, help="Whether tools may colour their output."
    ),
    "as_json": click.option(
        "--json", "as_json", is_flag=True,
        help="Print one JSON document on stdout; everything else goes to stderr.",
    ),
    "no_ai": click.option("--no-ai", is_flag=True, help="Ask no language model."),
    "yes": click.option(
        "-y", "--yes", is_flag=True, help="Say yes to everything that is no danger."
    ),
}  # fmt: skip


BUILD_DIR: Final = click.option(
    "--build-dir", help="Where the project builds (default: as its build system has it)."
)
SYSTEM: Final = click.option(
    "--system", help="Build system, where the project has several: cmake, cargo, npm, ..."
)
_WANTED: Final[dict[str, Any]] = {
    "targets": click.argument("targets", nargs=-1),
    "type": click.option(
        "--type", type=click.Choice(["debug", "release", "relwithdebinfo", "minsizerel"]),
        help="Build type; without it the project's own.",
    ),
    "build_dir": BUILD_DIR,
    "jobs": click.option("-j", "--jobs", type=click.IntRange(1, 10_000), help="Jobs at a time."),
    "system": SYSTEM,
    "options": click.option(
        "--option", "options", multiple=True, metavar="OPT",
        help="Handed to the tool that configures, or builds where nothing is configured;"
        " repeatable.",
    ),
    "local_only": click.option(
        "--local/--cluster", "local_only", default=None, help="Use no cluster at all."
    ),
}  # fmt: skip


def with_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put shared options on a command; its first argument is then a `Common`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def called(**given: Any) -> Any:
            said = {name: given.pop(name) for name in names}
            return command(Common(**said), **given)

        return _put(_OPTIONS, names, called)

    return decorate


def with_wanted(verb: str, *without: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put the options of whatever builds on a command, `without` some of them.

    It stands below `with_options`: after the `Common`, the command gets what is `Wanted`.
    """
    names = [name for name in _WANTED if name not in without]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def called(common: Common, **given: Any) -> Any:
            from cyxmake_cli.commands.local_build import Wanted
            from cyxmake_cli.systems.model import Verb

            said = {name: given.pop(name) for name in names}
            return command(common, Wanted(Verb(verb), **said), **given)

        return _put(_WANTED, names, called)

    return decorate


def _put(
    table: Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]],
    names: Sequence[str],
    command: Callable[..., Any],
) -> Callable[..., Any]:
    for name in reversed(names):
        command = table[name](command)
    return command
