"""Reads scripts around compilers: the few that do nothing but call another program with more words.

Knows no files and no processes: text goes in, what the shell would execute comes out. A script that
could look at its arguments, at files or at the environment is refused with what it does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.shell import split_command

MAX_SCRIPT_BYTES: Final = 64 << 10

_SHELLS: Final = frozenset(f"{folder}/{name}" for folder in ("/bin", "/usr/bin") for name in
                           ("sh", "bash", "dash"))  # fmt: skip
_ENV: Final = frozenset(("/bin/env", "/usr/bin/env"))
_HARMLESS_OPTIONS: Final = frozenset(("-e", "-u", "-eu", "-ue"))
_CHANGING_VARIABLES: Final = (
    "BASH_ENV",
    "BASHOPTS",
    "BASH_XTRACEFD",
    "ENV",
    "POSIXLY_CORRECT",
    "SHELLOPTS",
)
"""Variables that make a shell read other files, trace, or work by other rules."""

_SHELLS_OWN: Final = re.compile(
    r"_|IFS|PATH|HOME|LANG|LC_\w+|TMPDIR|CDPATH|ENV|PS[0-4]|OPT(?:ARG|IND|ERR)|PPID|E?UID|GROUPS"
    r"|BASH\w*|SHELL\w*|SHLVL|POSIXLY_CORRECT|DIRSTACK|FUNC\w+|GLOB\w+|HIST\w+|IGNOREEOF|INPUTRC"
    r"|LINENO|LINES|COLUMNS|MAIL\w*|OLDPWD|PWD|PIPESTATUS|RANDOM|SRANDOM|REPLY|SECONDS|EPOCH\w+"
    r"|TIMEFORMAT|TMOUT|TERM|COMP\w+|COPROC|MAPFILE|READLINE\w+|EXECIGNORE|FIGNORE|FCEDIT|CHILD_MAX"
    r"|HOST\w+|OSTYPE|MACHTYPE|auto_resume|histchars"
)
"""Variables that shells read or set themselves: an assignment may do more than it says."""

_ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.ASCII)
_VARIABLE: Final = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)
_PLAIN_VALUE: Final = re.compile(r"[A-Za-z0-9_./+,:@%=-]+", re.ASCII)
"""Values that mean the same in quotes and without: nothing to split, nothing to expand."""

_BLANKS: Final = re.compile(r"[ \t]+")
_ARGUMENTS: Final = re.compile(r'(?<=[ \t])(?:"\$@"|\$\{1\+"\$@"\})(?=[ \t]|\Z)')


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """The one call that a script makes: words before and after the script's own arguments."""

    before: tuple[str, ...]
    after: tuple[str, ...] = ()

    def argv(self, arguments: Collection[str]) -> list[str]:
        """Return the argument list of the program that is called."""
        return [*self.before, *arguments, *self.after]


def read_script(data: bytes, environ: Mapping[str, str]) -> ScriptCall | LocalOnly:
    """Return what a script executes, or why that can't be told from its text."""
    if len(data) > MAX_SCRIPT_BYTES:
        return LocalOnly("it is too long to be a plain wrapper")
    text = data.decode("utf-8", "surrogateescape")
    first, _, rest = text.partition("\n")
    refusal = _unknown_shell(first, environ)
    if refusal is not None:
        return refusal
    variables: dict[str, str] = {}
    call: ScriptCall | None = None
    for raw in rest.split("\n"):
        line = raw.strip(" \t")
        if not line or line.startswith("#"):
            continue
        if call is not None:
            return LocalOnly(f"it goes on after its call: {line}")
        words = _BLANKS.split(line)
        if words[0] == "set" and len(words) == 2 and words[1] in _HARMLESS_OPTIONS:
            continue
        if (match := _ASSIGNMENT.fullmatch(line)) is not None:
            problem = _assign(match[1], match[2], variables, environ)
            if problem is not None:
                return problem
            continue
        read = _read_call(line, variables)
        if isinstance(read, LocalOnly):
            return read
        call = read
    return call or LocalOnly("it calls nothing")


def _unknown_shell(line: str, environ: Mapping[str, str]) -> LocalOnly | None:
    if not line.startswith("#!"):
        return LocalOnly("it does not name its shell")
    words = _BLANKS.split(line[2:].strip(" \t"))
    if len(words) > 1 and words[0] in _ENV:
        # What env finds in PATH could be anything; only the places below are known to be shells.
        return LocalOnly(f"its shell is looked up by {words[0]}")
    if words[0] not in _SHELLS:
        return LocalOnly(f"it is written for {words[0] or 'nothing'}")
    if len(words) > 2 or (len(words) == 2 and words[1] not in _HARMLESS_OPTIONS):
        return LocalOnly(f"its shell is called with {' '.join(words[1:])}")
    for name in environ:
        if name in _CHANGING_VARIABLES or name.startswith("BASH_FUNC_"):
            return LocalOnly(f"{name} is set: it changes what shells do")
    return None


def _assign(
    name: str, value: str, variables: dict[str, str], environ: Mapping[str, str]
) -> LocalOnly | None:
    """Note an assignment; what is in the environment would change for the compiler."""
    if name in environ or _SHELLS_OWN.fullmatch(name):
        return LocalOnly(f"it changes the variable {name}")
    words = _words(f".{value}", variables)  # the dot: what is glued to it is one word with it
    if isinstance(words, LocalOnly):
        return words
    if len(words) != 1 or _PLAIN_VALUE.fullmatch(words[0][1:]) is None:
        return LocalOnly(f"the value of {name} is not plain")
    variables[name] = words[0][1:]
    return None


def _read_call(line: str, variables: Mapping[str, str]) -> ScriptCall | LocalOnly:
    places = list(_ARGUMENTS.finditer(line))
    if len(places) != 1:
        return LocalOnly(f"it does more than call a program: {line}")
    before = _words(line[: places[0].start()], variables)
    after = _words(f"x{line[places[0].end() :]}", variables)
    if isinstance(before, LocalOnly):
        return before
    if isinstance(after, LocalOnly):
        return after
    called = [*before]
    if called and called[0] == "exec":
        del called[0]
    if not called or called[0].startswith("-"):
        return LocalOnly("it calls no program by name")
    if "/" in called[0] and not called[0].startswith("/"):
        return LocalOnly(f"it calls {called[0]}, wherever it runs")
    return ScriptCall(tuple(called), tuple(after)[1:])


def _words(text: str, variables: Mapping[str, str]) -> list[str] | LocalOnly:
    """Split into words as the shell does, with the variables put in."""
    if "$" in text:
        if "'" in text or "\\" in text:
            return LocalOnly("it quotes a variable")
        unknown = [m[0] for m in _VARIABLE.finditer(text) if (m[1] or m[2]) not in variables]
        if unknown:
            return LocalOnly(f"it depends on {unknown[0]}")
        text = _VARIABLE.sub(lambda match: variables[match[1] or match[2]], text)
    words = split_command(text)
    return LocalOnly(f"it {words.reason}") if isinstance(words, LocalOnly) else words
