"""A split command is exactly what the shell would have run; everything else is refused."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.shell import split_command

# Weighted towards what quoting is made of.
PIECES = st.sampled_from(
    [
        *("a", "b c", "'", '"', "\\", " ", "\t", "$", "$X", "`", "#", "~", "=", "*", "?", "[", "]"),
        *("{", "}", "!", "%", "^", "\\\n", "\n", "&", ";", "|", "<", ">", "(", ")", "''", '""'),
        *("'a b'", '"a b"', "\\ ", "\\'", '\\"', "\\\\", "-DX=", "/", ".", ",", ":", "@", "é"),
    ]
)


def as_shell(text: str, cwd: Path) -> list[str] | None:
    """Return the arguments that /bin/sh passes on, or None when it refuses."""
    done = subprocess.run(
        ["/bin/sh", "-c", text],
        check=False,
        capture_output=True,
        cwd=cwd,
        env={"PATH": "/nowhere", "HOME": "/home/x", "X": "expanded"},
        timeout=10,
    )
    if done.returncode != 0 or done.stderr:
        return None
    return [word.decode() for word in done.stdout.split(b"\0")[:-1]]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PIECES, max_size=14).map("".join))
@example("a\\\nb")
@example("''#x")
@example("'a'~ b~ c=~")
@example('"\\a\\$\\`\\"\\\\"')
def test_agrees_with_sh(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever is accepted is what the real shell makes of it."""
    command = f"printf '%s\\0' {text}"
    words = split_command(command)
    if isinstance(words, LocalOnly):
        return
    assert words[:2] == ["printf", "%s\\0"]
    expected = as_shell(command, tmp_path_factory.getbasetemp())
    assert (words[2:] or [""]) == expected


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1))
def test_quoted_words_come_back(words: list[str]) -> None:
    """Words quoted for a shell are accepted and come back unchanged."""
    assert split_command(shlex.join(["cc", *words])) == ["cc", *words]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cc a.c && strip a", "list"),
        ("cc a.c | cat", "pipe"),
        ("cc a.c > log", "redirection"),
        ("cc $FLAGS a.c", "expansion"),
        ('cc "-DX=$Y" a.c', "expansion"),
        ("cc `flags` a.c", "substitution"),
        ("cc *.c", "pattern"),
        ("cc a?.c", "pattern"),
        ("cc [ab].c", "pattern"),
        ("cc {a,b}.c", "brace"),
        ("cc ~/a.c", "home"),
        ("cc a.c # why", "comment"),
        ("LANG=C cc a.c", "assignment"),
        ("cc 'a.c", "quote"),
        ("cc a.c\ncc b.c", "lines"),
        ("cc a.c\\", "backslash"),
        ("if cc a.c", "reserved"),
        ("(cc a.c)", "subshell"),
        ("cc a\0b", "NUL"),
        ("", "empty"),
        ("   ", "empty"),
    ],
)
def test_refusals_say_why(text: str, reason: str) -> None:
    """What only a shell can run is refused, with the construct named."""
    refusal = split_command(text)
    assert isinstance(refusal, LocalOnly)
    assert reason in refusal.reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  cc   -c\ta.c ", ["cc", "-c", "a.c"]),
        ("cc -DX=1 a#b a~ -o x.o", ["cc", "-DX=1", "a#b", "a~", "-o", "x.o"]),
        (r"cc -DV=\"1.0\" '-DN=\"a b\"'", ["cc", '-DV="1.0"', r"-DN=\"a b\""]),
        (r'cc "a\"b\c\\d"', ["cc", r'a"b\c\d']),
        ("'FOO=x' a", ["FOO=x", "a"]),
        ("cc '' \"\"", ["cc", "", ""]),
        ("'if' x", ["if", "x"]),
        ("cc é", ["cc", "é"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    """Blanks, quotes and backslashes cut words as sh does."""
    assert split_command(text) == words
