"""`cyxmake agent`: agents that build, repair and look around in a project, side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from cyxmake_common.errors import ExitStatus, ProjectError

_KINDS: Final = ("build", "fix", "explore")
_DIRECTORY: Final = click.option(
    "-C", "directory", type=click.Path(path_type=Path), default=Path(),
    help="The project (default: the current directory).",
)  # fmt: skip
_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    "agent",
    epilog="Examples: cyxmake agent spawn explore   |   cyxmake agent assign explore 'where is "
    "main'   |   cyxmake agent wait",
)
def command() -> None:
    """Have agents work in a project: build, fix (as `cyxmake auto`), explore.

    They live in a process of their own, one for each project, which the first `spawn` starts and
    which ends with the last agent, or when nothing went on for half an hour (docs/AGENTS.md).
    """


def _root(directory: Path) -> Path:
    if sys.platform == "win32":
        raise ProjectError("agents are not offered on Windows", next_step="use `cyxmake auto`")
    root = directory.absolute()
    if not root.is_dir():
        raise ProjectError(f"{root} is not a directory", next_step="name a project with -C")
    return root


def _tell(directory: Path, do: str, **facts: Any) -> Any:
    from cyxmake_cli.agents.client import tell

    return tell(_root(directory), do, **facts)


def _show(found: Any, as_json: bool, lines: Callable[[], list[str]]) -> None:
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines()))


def _agent_line(agent: dict[str, Any]) -> str:
    doing = f"task {agent['task']}" if agent["task"] else "idle"
    asks = f"; asks: {agent['asks']}" if agent["asks"] else ""
    return f"{agent['name']:<12} {agent['kind']:<8} {doing}{asks}"


def _task_line(task: dict[str, Any]) -> str:
    who = task["agent"] or f"any {task['kind']}"
    said = f": {task['summary']}" if task["summary"] else ""
    return f"{task['id']:>3} {task['state']:<8} {who:<12} {task['goal']!r}{said}"


@command.command("spawn", epilog="Example: cyxmake agent spawn fix --name mender --yes")
@click.argument("kind", type=click.Choice(_KINDS))
@_DIRECTORY
@click.option("--name", help="What it is called (default: its kind and a number).")
@click.option("-y", "--yes", is_flag=True,
              help="Say yes, for this agent, to everything that is no danger.")  # fmt: skip
@click.option("--model", is_flag=True,
              help="Have the configured language model choose its steps.")  # fmt: skip
@_JSON
def spawn(
    kind: str, directory: Path, name: str | None, yes: bool, model: bool, as_json: bool
) -> None:
    """Start an agent."""
    root = _root(directory)
    from cyxmake_cli.agents.client import start

    start(root)
    found = _tell(directory, "spawn", kind=kind, name=name, yes=yes, model=model)
    _show(found, as_json, lambda: [f"{found['name']} is at work in {root}"])


@command.command("list", epilog="Example: cyxmake agent list --json")
@_DIRECTORY
@_JSON
def show_list(directory: Path, as_json: bool) -> None:
    """Show the agents of a project."""
    found = _tell(directory, "list")
    _show(found, as_json, lambda: [_agent_line(agent) for agent in found])


@command.command("assign", epilog="Example: cyxmake agent assign build 'run the tests' --after 1")
@click.argument("to", metavar="AGENT|KIND")
@click.argument("goal")
@_DIRECTORY
@click.option("--priority", type=int, default=0, help="A higher one is done first.  [default: 0]")
@click.option("--after", "needs", type=int, multiple=True, metavar="TASK",
              help="Only when that task is done; repeatable.")  # fmt: skip
@click.option("--timeout", "seconds", type=click.FloatRange(0.1), help="Seconds it may take.")
@_JSON
def assign(
    to: str, goal: str, directory: Path, priority: int, needs: tuple[int, ...],
    seconds: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Give a task to an agent, or to any of a kind: GOAL says what.

    For build a goal that names tests runs them; fix does what `cyxmake auto` does; explore says
    where the words of the goal stand.
    """
    found = _tell(directory, "assign", to=to, goal=goal, priority=priority, needs=list(needs),
                  seconds=seconds)  # fmt: skip
    _show(found, as_json, lambda: [f"task {found['id']}"])


@command.command("status", epilog="Example: cyxmake agent status --json")
@_DIRECTORY
@_JSON
def status(directory: Path, as_json: bool) -> None:
    """Show agents, tasks, and what came of them."""
    found = _tell(directory, "status")
    _show(found, as_json, lambda: [*map(_agent_line, found["agents"]),
                                   *map(_task_line, found["tasks"])])  # fmt: skip


@command.command("send", epilog="Example: cyxmake agent send mender yes")
@click.argument("to", metavar="AGENT")
@click.argument("text")
@_DIRECTORY
def send(to: str, text: str, directory: Path) -> None:
    """Answer the question of an agent; where it has none, TEXT becomes a task of its own."""
    found = _tell(directory, "send", to=to, text=text)
    click.echo("answered" if found["letter"] is None else f"letter {found['letter']} is sent")


@command.command("wait", epilog="Example: cyxmake agent wait 1 2 --timeout 60")
@click.argument("tasks", nargs=-1, type=int)
@_DIRECTORY
@click.option("--timeout", "seconds", type=click.FloatRange(0), default=3600.0,
              help="Seconds at most.  [default: 3600]")  # fmt: skip
@_JSON
def wait(tasks: tuple[int, ...], directory: Path, seconds: float, as_json: bool) -> ExitStatus:
    """Wait until TASKS (default: all) have ended; asks you what agents ask, on a terminal.

    Exit status 1 when one failed or the time is over, 5 when a question needs a person.
    """
    from cyxmake_cli.agents.client import tell

    root = _root(directory)
    while True:
        found = tell(root, "wait", within=seconds + 30, tasks=list(tasks), seconds=seconds)
        asking = [agent for agent in found["agents"] if agent["asks"]]
        if not asking or all(
            task["state"] not in ("waiting", "running") for task in found["tasks"]
        ):
            break
        if not sys.stdin.isatty():
            break
        for agent in asking:
            said = click.prompt(f"{agent['name']} asks: {agent['asks']}", err=True)
            tell(root, "send", to=agent["name"], text=said)
    _show(found, as_json, lambda: [*map(_task_line, found["tasks"]),
                                   *(_agent_line(agent) for agent in asking)])  # fmt: skip
    if asking and found["in_time"]:
        return ExitStatus.DENIED
    good = all(task["state"] == "done" for task in found["tasks"])
    return ExitStatus.OK if good else ExitStatus.BUILD_FAILED


@command.command("stop", epilog="Example: cyxmake agent stop mender")
@click.argument("names", nargs=-1, metavar="[AGENT]...")
@_DIRECTORY
def stop(names: tuple[str, ...], directory: Path) -> None:
    """End agents with what they do now; without a name, all, and their process."""
    found = _tell(directory, "stop", names=list(names))
    click.echo(f"stopped: {', '.join(found['stopped']) or 'nobody was there'}")
