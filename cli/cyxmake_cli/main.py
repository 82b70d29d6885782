"""The command line `cyxmake`: finds the command, runs it, turns errors into one line and a status.

Knows nothing of what commands do; a command's module is imported only when it is called, which
keeps `--help` and a build without work fast.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Final

import click

from cyxmake_common.program import run_program

_YOUNG: Final = 50_000
_PLUGINS: Final = "cyxmake.commands"
_COMPLETION: Final = "_CYXMAKE_COMPLETE"
_COMMANDS: Final = {
    "agent": "Have agents build, repair and look around, side by side.",
    "ai": "Show, choose and ask language models.",
    "audit": "Show or export what was done, and who allowed it.",
    "auto": "Build until it works.",
    "build": "Build a project with its own build system.",
    "cache": "Show, verify or clear what this machine keeps for builds.",
    "cc": "Run one compiler on the cluster.",
    "clean": "Remove what builds made, and nothing else.",
    "completion": "Print what teaches a shell to complete.",
    "config": "Show and change settings.",
    "coordinator": "Start, stop and look at a coordinator on this machine.",
    "create": "Make a new project from a description.",
    "dbuild": "Build a project on the cluster.",
    "doctor": "Check everything that builds rest on.",
    "explain": "Say why something was rebuilt, missed the cache, or ran where it did.",
    "graph": "Show which files need which.",
    "discover": "Look for coordinators on the local network.",
    "history": "Show the builds of a project.",
    "init": "Find out what a repository is.",
    "install": "Install what a project builds.",
    "launcher": "Send the compiles of any build tool to the cluster.",
    "layer": "Get packages for a project without installing them.",
    "login": "Remember the cluster that a token belongs to.",
    "logs": "Print what a build said.",
    "packages": "Use the package managers of this machine.",
    "permissions": "Show what is asked about, and take back answers.",
    "plugin": "Show what other packages bring.",
    "repl": "Hold a conversation: slash commands and plain English.",
    "replay": "Run an action that failed again, exactly as it was.",
    "say": "Do what a sentence says.",
    "status": "Show the project here, and the cluster.",
    "test": "Run a project's own tests.",
    "tools": "Show the programs of this machine that builds use.",
    "workers": "Show, drain and remove the cluster's workers.",
    "undo": "Take back what fixes changed.",
}
"""Command name (and module name in `commands`) to its line in the help."""


class _LazyGroup(click.Group):
    summaries: Final = _COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *_of_plugins()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return _plugin_command(cmd_name)
        module = importlib.import_module(f"cyxmake_cli.commands.{cmd_name}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name}: not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take one argument of several words for plain English; say what a wrong one is near to."""
        if args[0] not in _COMMANDS and len(args[0].split()) > 1:
            return "say", self.get_command(ctx, "say"), args
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS, 3)
            raise click.UsageError(
                error.format_message() + (f" Did you mean {' or '.join(near)}?" if near else ""),
                ctx,
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))
        if brought := _of_plugins():
            with formatter.section("Commands of plug-ins"):
                formatter.write_dl([(name, "") for name in brought])


def _of_plugins() -> list[str]:
    from cyxmake_cli.plugins.present import may_be_present

    if not may_be_present(_PLUGINS):
        return []
    from cyxmake_cli.plugins.load import Group, names

    return [name for name in names(Group.COMMAND) if name not in _COMMANDS]


def _plugin_command(name: str) -> click.Command | None:
    if name not in _of_plugins():
        return None
    from cyxmake_cli.plugins.load import Group, load
    from cyxmake_common.errors import ConfigError

    plugin = next(one for one in load(Group.COMMAND) if one.name == name)
    if plugin.problem:
        raise ConfigError(plugin.warning, next_step="correct or uninstall that package")
    found: click.Command = plugin.value
    return found


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"cyxmake {version('cyxmake')}")
        ctx.exit()


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Examples: cyxmake init   |   cyxmake build   |   cyxmake dbuild -C path/to/project"
    '   |   cyxmake "build in release mode"',
    invoke_without_command=True,
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the version and exit.",
)  # fmt: skip
@click.option("--no-ai", is_flag=True, help="Ask no language model, whatever is started.")
@click.pass_context
def cyxmake(ctx: click.Context, no_ai: bool) -> int | None:
    """Turn a team's machines into one build machine.

    Without a command, on a terminal: a conversation.
    """
    if no_ai:
        os.environ["CYXMAKE_AI_ENABLED"] = "false"  # whatever is started from here hears it, too
    if ctx.invoked_subcommand is not None:
        return None
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.exceptions.NoArgsIsHelpError(ctx)
    from cyxmake_cli.commands.repl import command

    status: int = ctx.invoke(command)
    return status


def main() -> None:
    """Run the command line and exit with an ExitStatus."""
    # A build makes very many objects and few cycles; by default the collector looks through the
    # young ones every 700 allocations, which is a tenth of a cache hit's time.
    gc.set_threshold(_YOUNG, 20, 20)
    if _COMPLETION in os.environ:
        importlib.import_module("cyxmake_cli.completion")  # it knows one more shell than click does
    run_program(cyxmake, "cyxmake")


if __name__ == "__main__":
    main()
