"""Scripts around compilers: what is read is what a real shell executes, and the rest is refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.wrappers import ScriptCall, read_script

ARGUMENTS = ["-c", "a b.c", "-DX='1'", '-DY="$Z"', "", "*", "-o", "x.o"]

PLAIN = [
    '#!/bin/sh\nexec {program} "$@"\n',
    "#!/bin/sh\n# a comment, 'quotes' and $(all)\n\n  exec {program} -O2 -DA=1 \"$@\"",
    '#! /bin/bash -e\nset -u\nREAL={program}\nexec "$REAL" "$@"\n',
    '#!/bin/dash\nFLAGS="-O2"\nD=/usr/include\nexec {program} $FLAGS -I$D -I"${{D}}/x" "$@"\n',
    '#!/usr/bin/sh\n{program} "$@"\n# the end\n',
    '#!/bin/sh\nexec {program} "$@" -Wno-foo \'a b\' "c\\"d" e\\ f\n',
    '#!/bin/sh\nexec\t{program} ${{1+"$@"}}\n',
    '#!/bin/sh\nA=\'-DA=1\'\nB=$A\nexec {program} "$B$A" "$@"\n',
    '#!/bin/sh\nexec "{program}" -DS=\'"text"\' a#b x~ "$@" #\n',
]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return a program that prints its arguments, each ended by a zero."""
    path = tmp_path / "print-arguments"
    path.write_text('#!/bin/sh\nprintf "%s\\0" "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("text", PLAIN)
def test_the_shell_executes_what_was_read(text: str, program: Path, tmp_path: Path) -> None:
    """The words are those that the program gets from the script's own shell."""
    script = tmp_path / "gcc"
    script.write_text(text.format(program=program))
    script.chmod(0o755)
    call = read_script(script.read_bytes(), os.environ)
    if text.endswith("#\n"):
        # A comment behind the call: allowed nowhere but on lines of its own.
        assert isinstance(call, LocalOnly)
        return
    assert isinstance(call, ScriptCall), call
    ran = subprocess.run([script, *ARGUMENTS], capture_output=True, check=True)
    assert ran.stdout.decode().split("\0")[:-1] == call.argv(ARGUMENTS)[1:]
    assert call.argv(ARGUMENTS)[0] == str(program)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('exec gcc "$@"', "does not name its shell"),
        ('#!/usr/bin/env bash\nexec gcc "$@"', "looked up"),
        ('#!/usr/bin/python3\nexec gcc "$@"', "written for /usr/bin/python3"),
        ('#!/bin/sh -x\nexec gcc "$@"', "called with -x"),
        ('#!/bin/sh\r\nexec gcc "$@"\r\n', "written for"),
        ('#!/bin/sh\nif true; then exec gcc "$@"; fi', "does more than call"),
        ('#!/bin/sh\nset -x\nexec gcc "$@"', "does more than call"),
        ('#!/bin/sh\nexport A=1\nexec gcc "$@"', "does more than call"),
        ('#!/bin/sh\nA=1 exec gcc "$@"', "an expansion"),
        ('#!/bin/sh\nA= gcc\nexec gcc "$@"', "not plain"),
        ('#!/bin/sh\nA=$(pwd)\nexec gcc "$@"', "an expansion"),
        ('#!/bin/sh\nA="-a -b"\nexec gcc $A "$@"', "not plain"),
        ('#!/bin/sh\nHOME=/x\nexec gcc "$@"', "changes the variable HOME"),
        ('#!/bin/sh\nPATH=/x\nexec gcc "$@"', "changes the variable PATH"),
        ('#!/bin/sh\nCPATH=/x\nexec gcc "$@"', "changes the variable CPATH"),
        ('#!/bin/sh\nexec $CC "$@"', "depends on $CC"),
        ('#!/bin/sh\nexec gcc $1 "$@"', "an expansion"),
        ("#!/bin/sh\nexec gcc $@", "does more than call"),
        ("#!/bin/sh\nexec gcc '\"$@\"'", "does more than call"),
        ('#!/bin/sh\nexec gcc "$@" "$@"', "does more than call"),
        ('#!/bin/sh\nexec gcc "$@" | cat', "a pipe"),
        ('#!/bin/sh\nexec gcc "$@" 2>/dev/null', "a redirection"),
        ('#!/bin/sh\nexec gcc *.c "$@"', "a file name pattern"),
        ('#!/bin/sh\nexec -a cc gcc "$@"', "by name"),
        ('#!/bin/sh\nexec ./gcc "$@"', "wherever it runs"),
        ('#!/bin/sh\nexec "$@"', "by name"),
        ('#!/bin/sh\nexec gcc \\\n"$@"', "does more than call"),
        ('#!/bin/sh\nexec gcc "$@"\necho done', "goes on"),
        ("#!/bin/sh\nA=1\nexec gcc '$A' \"$@\"", "quotes a variable"),
        ("#!/bin/sh\n# nothing\n", "calls nothing"),
        ("#!/bin/sh\n#" + "x" * 70_000, "too long"),
    ],
)
def test_what_a_text_does_not_show_is_refused(text: str, reason: str) -> None:
    """Conditions, substitutions, changed variables, pipes, other shells."""
    read = read_script(text.encode(), {"PATH": "/bin", "CPATH": "/usr"})
    assert isinstance(read, LocalOnly), read
    assert reason in read.reason


@pytest.mark.parametrize("name", ["BASH_ENV", "SHELLOPTS", "BASH_FUNC_exec%%"])
def test_variables_that_change_shells(name: str) -> None:
    """With them, even a plain script may do anything."""
    read = read_script(b'#!/bin/bash\nexec gcc "$@"\n', {name: "x"})
    assert isinstance(read, LocalOnly)
    assert name in read.reason
