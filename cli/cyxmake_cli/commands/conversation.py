"""What `repl` and `say` share: the command table, the project here, and the gate of plans.

No command itself.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cyxmake_cli.llm.router import Models
    from cyxmake_cli.repl.context import Context, Facts
    from cyxmake_cli.repl.intents.model import Argv, Known, Look, Plan
    from cyxmake_cli.repl.speech import Speech
    from cyxmake_cli.safety.gate import Asker, Gate


def commands(root: click.Command) -> Mapping[str, str]:
    """Return the commands of the command line, each with its line in the help."""
    summaries: Mapping[str, str] = getattr(root, "summaries", {})
    assert isinstance(root, click.Group)
    names = root.list_commands(click.Context(root))  # those of plug-ins, too
    return {name: summaries.get(name, "of a plug-in") for name in names}


def facts(root: click.Command) -> Facts:
    """Return what plain English may rely on here."""
    from cyxmake_cli.repl.context import Facts

    return Facts(frozenset(commands(root)), frozenset(targets()))


def targets() -> list[str]:
    """Return the targets of the project here, as `cyxmake init` found them."""
    from cyxmake_cli.building.own_folder import OwnFolder

    found = OwnFolder(Path.cwd()).read("cache.json").get("targets", [])
    return [str(t["name"]) for t in found if isinstance(t, dict) and "name" in t]


def before() -> Context:
    """Return the conversation that the last build here would have left."""
    from cyxmake_cli.building.history import builds
    from cyxmake_cli.building.own_folder import OwnFolder
    from cyxmake_cli.repl.context import Context

    done = builds(OwnFolder(Path.cwd()))
    if not done:
        return Context()
    last = done[-1].facts
    return Context(_argv(last), int(last.get("exit_code") or 0))


def _argv(last: Mapping[str, Any]) -> Argv:
    """Return the command of a build's record."""
    command = str(last.get("command", "build"))
    words = [command]
    kind, directory = last.get("type"), str(last.get("build_directory", ""))
    if kind and command != "dbuild":
        words += ["--type", str(kind)]
    place = os.path.relpath(directory) if directory else "build"
    if place not in ("build", ".", "target"):
        words += ["--build-dir", place]
    return (*words, *map(str, last.get("targets") or ()))


def speech(root: click.Command, *, yes: bool, no_ai: bool, dry_run: bool = False) -> Speech:
    """Return who answers plain English."""
    from cyxmake_cli.repl.plans import Plans
    from cyxmake_cli.repl.running import run_command
    from cyxmake_cli.repl.speech import Speech

    def gate(asker: Asker) -> Gate:
        return _gate(asker, yes=yes, dry_run=dry_run)

    plans = Plans(
        gate, run_command, click.echo, _undo_of, lambda argv: _takes_yes(root, argv), yes=yes
    )
    return Speech(plans, run_command, lambda: facts(root), None if no_ai else _guess)


def _guess(line: str, known: Known) -> Plan | Look | None:
    """Ask the language models that the user has, if any, what a line may mean."""
    from cyxmake_cli.commands.guessing import guess

    models = _models()
    return None if models is None else guess(line, known, models)


@functools.cache
def _models() -> Models | None:
    from cyxmake_cli.commands.options import tell_sent
    from cyxmake_cli.llm.open import open_models
    from cyxmake_cli.settings import load

    settings = load(Path.cwd()).settings.ai
    return open_models(settings, on_sent=tell_sent if settings.show_sent else None)


def _gate(asker: Asker, *, yes: bool, dry_run: bool) -> Gate:
    from cyxmake_cli.safety.gate import Gate, bounds_of

    return Gate(
        bounds_of(str(Path.cwd())),
        asker,
        lambda: datetime.now(UTC).isoformat(timespec="milliseconds"),
        yes=yes,
        dry_run=dry_run,
    )


def _takes_yes(root: click.Command, argv: Argv) -> bool:
    """Tell whether a command has the option --yes."""
    command: click.Command | None = root
    for word in argv:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    return command is not None and any("--yes" in one.opts for one in command.params)


def _undo_of(argv: Argv) -> Argv:
    """Return the command that sets a setting back to what the user's file says now."""
    if argv[:2] != ("config", "set") or len(argv) != 4 or argv[2].startswith("-"):
        return ()
    import tomllib

    from cyxmake_cli.settings import user_settings

    table, _, name = argv[2].partition(".")
    try:
        value = tomllib.loads(user_settings().read_text("utf-8")).get(table, {}).get(name)
    except FileNotFoundError:
        value = None
    except (OSError, ValueError, AttributeError):
        return ()
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return ("config", "set", argv[2], text)
