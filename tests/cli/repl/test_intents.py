"""Plain English: lines written before the rules, each with the one thing it may mean."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import click
import pytest

from cyxmake_cli.main import cyxmake
from cyxmake_cli.repl.intents.model import (
    Known,
    Look,
    Meaning,
    Nothing,
    Plan,
    Tell,
    Unclear,
    Unknown,
    reads_only,
)
from cyxmake_cli.repl.intents.read import read
from cyxmake_cli.repl.intents.rows import options
from cyxmake_cli.repl.intents.text import data

COMMANDS = frozenset(cyxmake.list_commands(click.Context(cyxmake)))


def lines(name: str) -> list[tuple[str, str, str]]:
    """Return what was run before, what is meant, and the line, from a file."""
    text = (Path(__file__).parent / name).read_text("utf-8")
    rows = [row for row in text.splitlines() if row and not row.startswith("#")]
    found = [tuple(part.strip() for part in re.split(r" \| ", row, maxsplit=2)) for row in rows]
    return [(row[0], row[1], row[2]) for row in found]


@cache
def meant(line: str, before: str = "-") -> Meaning:
    """Read a line after a command that went well."""
    return read(line, Known(COMMANDS, () if before == "-" else tuple(shlex.split(before))))


def said(meaning: Meaning) -> tuple[str, list[tuple[str, ...]]]:
    """Return a meaning's kind and its commands."""
    match meaning:
        case Plan(steps):
            return "do", [step.argv for step in steps]
        case Look(commands):
            return "look", list(commands)
        case Tell(_, commands):
            return "tell", list(commands)
        case Nothing():
            return "nothing", []
        case Unclear():
            return "unclear", []
        case Unknown():
            return "unknown", []


def canonical(argv: tuple[str, ...]) -> tuple[object, ...]:
    """Return a command as click understands it: the order of options does not count."""
    if argv[0].startswith("-") or "--help" in argv:
        return argv
    context, command = click.Context(cyxmake), cyxmake.get_command(click.Context(cyxmake), argv[0])
    path, rest = [argv[0]], list(argv[1:])
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        path.append(rest[0])
        command = command.get_command(context, rest.pop(0))
    assert command is not None, argv
    params = command.make_context(path[-1], rest, resilient_parsing=False).params
    return (*path, *sorted((name, repr(value)) for name, value in params.items()))


def wrong(rows: list[tuple[str, str, str]]) -> list[str]:
    """Return the lines that are not taken for what is meant, with what they are taken for.

    What is meant may be one of several, with ` || ` between; `tell:` is any answer in words.
    """
    found = []
    for before, wanted, line in rows:
        got = said(meant(line, before))
        if not any(_same(one, *got) for one in wanted.split(" || ")):
            found.append(f"{line!r}: {wanted!r}, taken for {got[0]}: {got[1]}")
    return found


def _same(wanted: str, got_kind: str, got: list[tuple[str, ...]]) -> bool:
    kind, _, rest = wanted.partition(":")
    commands = [tuple(shlex.split(part)) for part in rest.split(" ; ")] if rest.strip() else []
    if kind != got_kind:
        return False
    return not commands or [canonical(a) for a in commands] == [canonical(a) for a in got]


FILES = {
    "lines.txt": 80, "sealed.txt": 60, "sealed2.txt": 60, "sealed3.txt": 60, "sealed4.txt": 60,
    "sealed5.txt": 60, "tuned.txt": 370, "strangers.txt": 100, "strangers2.txt": 200,
    "fresh.txt": 1155,
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_lines_are_understood(name: str) -> None:
    """At least 95 of 100 lines are taken for exactly the command that is meant."""
    rows = lines(name)
    missed = wrong(rows)
    assert len(rows) == FILES[name]
    assert len(missed) <= len(rows) * 0.05, "\n".join(missed)


def test_no_question_starts_an_action() -> None:
    """What asks, or wishes to see something, is never a plan."""
    every = [row for name in FILES for row in lines(name)]
    asking = [row for row in every if row[1].startswith(("look", "tell"))]
    assert len(asking) >= 60
    assert not [line for before, _, line in asking if isinstance(meant(line, before), Plan)]


QUESTIONED = (
    "why did you {}?", "did you {}?", "what happens when I {}?", "how do I {}?", "should I {}?",
    "when did I {} last", "is it wise to {}", "what does it mean to {}?", "who told you to {}?",
    "what if I {}", "would it help to {}?", "where would it {}", "{}?", "have we {}",
)  # fmt: skip


@pytest.mark.parametrize("frame", QUESTIONED)
def test_any_instruction_put_as_a_question_starts_nothing(frame: str) -> None:
    """However an instruction is asked about, it is not carried out."""
    orders = [row for row in lines("lines.txt") if row[1].startswith("do: ")]
    taken = [(line, meant(frame.format(line))) for _, _, line in orders]
    assert not [line for line, meaning in taken if isinstance(meaning, Plan)]


@pytest.mark.parametrize("frame", ["don't {}", "never {}", "please do not {}", "you must not {}"])
def test_what_is_forbidden_is_not_done(frame: str) -> None:
    """An instruction turned into its opposite is no plan of that instruction."""
    for _, wanted, line in lines("lines.txt"):
        if wanted.startswith("do: ") and " and " not in line and "," not in line:
            meaning = meant(frame.format(line))
            assert not isinstance(meaning, Plan), (frame.format(line), meaning)


def test_statements_doubts_and_refusals_start_nothing() -> None:
    """Not every line with a verb of ours in it asks for something."""
    text = (Path(__file__).parent / "never.txt").read_text("utf-8")
    rows = [row for row in text.splitlines() if not row.startswith("#")]
    assert len(rows) > 300
    assert not [row for row in rows if isinstance(meant(row), Plan)]


@pytest.mark.parametrize(
    ("line", "done"),
    [
        ("looks fine, go ahead and do it for real", True),
        ("now really do it", True),
        ("looks fine", False),
        ("should I go ahead and do it for real?", False),
        ("don't do it for real", False),
        ("go ahead and do it for real tomorrow", False),
        ("I did it for real", False),
    ],
)
def test_what_a_dry_run_has_shown_is_done_when_told_so_alone(line: str, done: bool) -> None:
    """Only an order does it: no remark, no question, nothing that forbids or puts off."""
    meaning = meant(line, "clean --build-dir out --dry-run")
    assert (said(meaning) == ("do", [("clean", "--build-dir", "out")])) is done
    assert done or not isinstance(meaning, Plan)


def test_a_look_cannot_hold_what_acts() -> None:
    """Not even a mistake in the tables could make a question run something that changes things."""
    for argv in (("build",), ("clean",), ("cache", "clear"), ("config", "set", "a", "b"),
                 ("audit", "-o", "x"), ("workers", "drain", "w"), ("coordinator", "token"),
                 ("packages", "install", "x"), ("unheard-of",)):  # fmt: skip
        assert not reads_only(argv)
        with pytest.raises(ValueError, match="reading"):
            Look((argv,))
    assert reads_only(("clean", "--dry-run"))


def test_every_plan_is_a_command_that_exists() -> None:
    """Whatever a line is taken for, click accepts it."""
    for before, _, line in lines("lines.txt"):
        for argv in said(meant(line, before))[1]:
            canonical(argv)


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("biuld in release mode", "build in release mode"),
        ("build in relase mode", "build in release mode"),
        ("run the tets", "run the tests"),
        ("clena up", "clean up"),
        ("hwo many wrokers are there?", "how many workers are there?"),
        ("drain worker buidl", "drain worker buidl"),
        ("build target relaese", "build target relaese"),
    ],
)
def test_typing_errors_are_set_right_but_not_in_names(typed: str, right: str) -> None:
    """Where only one word can be meant; the plan that comes of it is shown in any case."""
    assert meant(typed) == meant(right)
    assert isinstance(meant(typed), Plan | Look)


def test_a_word_of_english_is_no_typing_error() -> None:
    """Near to a word of ours is not enough, where it is one itself."""
    for line in (
        "lean up",
        "sear the cache",
        "text it",
        "rest the project",
        "guild it",
        "bail out",
    ):
        assert not isinstance(meant(line), Plan), line


def test_unknown_lines_name_lines_that_are_understood() -> None:
    """Every suggestion made to somebody who was not understood is understood itself."""
    from cyxmake_cli.repl.intents.near import EXAMPLES

    meaning = meant("rebuild the tower of babel")
    assert isinstance(meaning, Unknown)
    assert meaning.near
    for example in EXAMPLES:
        taken = meant(example.replace("FILE", "a.h").replace("NAME", "anvil"))
        assert isinstance(taken, Plan | Look | Tell), (example, taken)


def test_the_tables_name_commands_and_options_that_exist() -> None:
    """Every command of a topic is one that click takes, every option one of its command."""
    for topic in data("topics")["topic"]:
        assert topic["say"]
        for command in topic.get("see", ()):
            canonical(tuple(command.split()))
    for option in options():
        said = {word for word in option.add.split() if word.startswith("-")}
        for name in option.of:
            assert said <= _options_of(name.split()), (name, said)


def _options_of(path: list[str]) -> set[str]:
    context = click.Context(cyxmake)
    command: click.Command | None = cyxmake
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(context, name)
    assert command is not None, path
    return {opt for param in command.params for opt in (*param.opts, *param.secondary_opts)}


def test_what_undoes_a_plan_is_what_undo_means() -> None:
    """Without a command for it, "undo that" takes back the last plan, if it can be taken back."""
    back = (("config", "set", "build.jobs", ""),)
    known = Known(COMMANDS - {"undo"}, undo=back)
    assert said(read("undo that", known)) == ("do", list(back))
    assert isinstance(read("undo that", Known(COMMANDS - {"undo"})), Unknown)


@pytest.mark.parametrize(
    "text", ["?", "", "   ", "build " * 200, "\x00\x1b[2J", "(((" * 50, "a" * 499, "what " * 99,
             "why did " * 60, "build in " * 50],
)  # fmt: skip
def test_no_line_is_too_odd(text: str) -> None:
    """Odd lines are refused, quickly, and never carried out."""
    assert not isinstance(meant(text), Plan | Look)
