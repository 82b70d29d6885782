"""Which compiles are exact on Windows, and what is mended in what they leave."""

from __future__ import annotations

import pytest

from cyxmake_worker.sandbox.windows_rules import (
    DEPFILE,
    mended_depfile,
    refusal,
    shows_drive,
    with_depfile,
)

ZIG = ("/opt/zig.exe", "clang")
PLAIN = ("-target", "x86_64-linux-gnu", "-O2", "-I/home/u/inc", "-DX=1", "-c", "a.c", "-o", "a.o")


def test_a_plain_compile_runs_there() -> None:
    """With a depfile of its own, or with ours."""
    assert refusal((*ZIG, *PLAIN)) == ""
    assert refusal((*ZIG, "-MD", "-MF", "a.d", *PLAIN)) == ""
    assert refusal(("/opt/zig.exe", "cc", "-g0", *PLAIN)) == ""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((*ZIG, "-g", *PLAIN), "-g is not proven"),
        ((*ZIG, "-flto", *PLAIN), "-flto is not proven"),
        ((*ZIG, "--coverage", *PLAIN), "--coverage is not proven"),
        ((*ZIG, "-save-temps", *PLAIN), "-save-temps is not proven"),
        ((*ZIG, "-MMD", *PLAIN), "-MMD is not proven"),
        ((*ZIG, "-MD", *PLAIN), "without -MF"),
        ((*ZIG, "@list", *PLAIN), "response files"),
        ((*ZIG, *PLAIN, "b.c"), "only one source"),
        ((*ZIG, "-c", "a.S", "-o", "a.o"), "only one source"),
        ((*ZIG, "-S", "a.c", "-o", "a.s"), "-S is not proven"),
        (("/opt/zig.exe", "cc", *PLAIN), "without -g0"),
        (("/bin/tool", "-c", "a.c"), "proven there"),
        (("/bin/tool",), "proven there"),
    ],
)
def test_what_is_not_proven_does_not(words: tuple[str, ...], reason: str) -> None:
    """Everything that no rule names is refused, with the word."""
    assert reason in refusal(words)


def test_a_depfile_is_always_written() -> None:
    """Ours is asked for only where the command has none."""
    command, place = with_depfile((*ZIG, *PLAIN))
    assert (place, command[:5]) == (DEPFILE, (*ZIG, "-MD", "-MF", DEPFILE))
    own = (*ZIG, "-MD", "-MFout/a.d", *PLAIN)
    assert with_depfile(own) == (own, "out/a.d")


def test_a_depfile_is_mended() -> None:
    """Lines and separators become the client's; escapes and continuations stay."""
    data = b"a.o: ..\\a.c \\\r\n  \\home\\u\\b\\ c.h $$x \\#y\r\n"
    assert mended_depfile(data) == b"a.o: ../a.c \\\n  /home/u/b\\ c.h $$x \\#y\n"


def test_a_drive_is_seen_in_any_spelling() -> None:
    """A path on our drive in an output means that the place got into it."""
    assert shows_drive(b"..X:\\home", "X")
    assert shows_drive(b"x:/home", "X")
    assert not shows_drive(b"Y:/home X: /home", "X")
