"""Slash commands: names, shorter names, mistakes, and lines that are commands without a slash."""

from __future__ import annotations

from cyxmake_cli.repl.intents.model import Argv
from cyxmake_cli.repl.slash import ALIASES, OWN, Call, Mistake, Own, SlashTable

COMMANDS = {"build": "Build.", "ai": "Models.", "auto": "Repair.", "repl": "", "history": "Builds."}
TABLE = SlashTable(COMMANDS)


def argv(line: str) -> Argv:
    """Return what a line calls."""
    call = TABLE.parse(line)
    assert isinstance(call, Call), call
    assert call.own is None
    return call.argv


def test_names_and_shorter_names() -> None:
    """A line is split as a shell would; a shorter name is the command's."""
    assert argv("build 'a b' --jobs 2") == ("build", "a b", "--jobs", "2")
    assert argv("B -n") == ("build", "-n")
    assert argv("recover") == ("auto",)
    assert argv("model") == ("ai", "list")
    assert argv("model use x") == ("ai", "use", "x")
    assert TABLE.parse("?") == Call(Own.HELP, ())
    assert TABLE.parse("") == Call(Own.HELP, ())


def test_what_is_not_there_is_not_offered() -> None:
    """Neither a missing command nor its shorter names are; the conversation is not in itself."""
    for name in ("test", "t", "w", "repl", "say"):
        assert isinstance(TABLE.parse(name), Mistake)
        assert name not in TABLE.names()
    assert SlashTable(COMMANDS | {"fix": ""}).parse("fix") == Call(None, ("fix",))


def test_mistakes_name_what_is_near() -> None:
    """A wrong name and a lost quote are told apart."""
    assert TABLE.parse("biuld") == Mistake("there is no /biuld; near: /build")
    assert TABLE.parse("zzz") == Mistake("there is no /zzz; /help lists them")
    assert "quotes" in str(TABLE.parse("build 'a"))


def test_a_command_with_an_option_needs_no_slash() -> None:
    """Plain English has no options; a line with one is a command."""
    assert TABLE.bare("build --jobs 2") == Call(None, ("build", "--jobs", "2"))
    assert TABLE.bare("exit") == Call(Own.EXIT, ())
    assert TABLE.bare("build it") is None
    assert TABLE.bare("make -j2") is None
    assert TABLE.bare("it's") is None


def test_shorter_names_are_no_commands_of_ours() -> None:
    """No shorter name hides another one, or a command of the conversation."""
    assert not set(ALIASES) & set(OWN)
    assert not set(ALIASES.values()) & set(ALIASES)
