"""The canonical argument list of a compile, as the cache key has it.

Knows no files. Two checkouts of one project at different places give the same list; two lists are
never equal when the compiler could tell the commands apart.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from cyxmake_common.toolchain.compile_command import Argument, CompileCommand, CompilerKind
from cyxmake_common.toolchain.tables import TWO_WAYS, Role

TOKEN: Final = "{root}"  # noqa: S105 - a placeholder, no secret

RECORDS_COMMAND: Final = ("-frecord-", "-grecord-")
"""Options that put the command line into the object."""

# What may stand before a path inside one argument: after a letter or a slash it is another path.
_BEFORE: Final = r"(?:(?<=[=,:;\"'\s@(<])|\A)"
_AFTER: Final = r"(?=[/=,:;\"'\s)>\\]|\Z)"

_IN_OUTPUTS: Final = r"(?<=\.dir)"
"""CMake names an object `CMakeFiles/NAME.dir/` and the whole path of a source elsewhere."""

_NAMES_OUTPUT: Final = (Role.OUTPUT, Role.DEPS_FILE, Role.DEPS_TARGET)


def normalise(command: CompileCommand, root: str) -> tuple[str, ...]:
    """Return the arguments that reach the key.

    The project root becomes `{root}` wherever it begins a path; options that only change colours
    are dropped, and those for the linker where the compiler is silent about them (clang warns, so
    its output depends on them). Response files are replaced by what they hold.
    """
    result = [tokenise(command.compiler, root)]
    # clang writes every argument into the object when it is asked to record them.
    recorded = any(token.startswith(RECORDS_COMMAND) for token in command.argv)
    for argument in command.arguments:
        if argument.role is Role.COLOUR and not recorded:
            continue
        if argument.role is Role.LINK and not recorded and _is_silent(command, argument):
            continue
        if argument.role in _NAMES_OUTPUT:
            result += (argument.option, tokenise(argument.value, root, _inside(root)))
        elif argument.option in TWO_WAYS:
            # `-I x` and `-Ix` say the same.
            result += (argument.option, tokenise(argument.value, root))
        elif len(argument.tokens) == 1 and argument.value:
            result.append(argument.option + tokenise(argument.value, root))
        else:
            result.extend(tokenise(token, root) for token in argument.tokens)
    if _depends_on_place(command, root):
        result.append(f"{TOKEN}={root}")
    return tuple(result)


def tokenise(text: str, root: str, before: str = _BEFORE) -> str:
    """Replace the root by its token wherever it begins a path inside the text."""
    if "{root" in text:
        # What already looks like the token must not become equal to it.
        text = text.replace("{root", "{{root")
    if len(root) < 2 or root not in text:
        return text
    return _pattern(root, before).sub(TOKEN, text)


def _inside(root: str) -> str:
    # A root of one name may be met by chance.
    return f"(?:{_BEFORE}|{_IN_OUTPUTS})" if root.count("/") > 1 else _BEFORE


def _depends_on_place(command: CompileCommand, root: str) -> bool:
    """Tell whether the root's length or beginning decides what the command means.

    A map of a folder above the root leaves the root's end in the output. And gcc spells a system
    header by its real path where that is shorter: a relative folder then depends on the depth.
    """
    for argument in command.arguments:
        if argument.option.endswith("-prefix-map="):
            places = (at for at, sign in enumerate(argument.value) if sign == "=")
            if any(_is_above(argument.value[:at], root) for at in places):
                return True
    return command.kind is CompilerKind.GCC and any(
        len(root) < len(folder) and not folder.startswith("/")
        for folder in (*command.search.system, *command.search.after)
    )


def _is_above(folder: str, root: str) -> bool:
    return root.startswith(folder) and folder.rstrip("/") != root


def _is_silent(command: CompileCommand, argument: Argument) -> bool:
    return command.kind is CompilerKind.GCC and argument.option in ("-l", "-L", "-Wl,")


@lru_cache(maxsize=16)
def _pattern(root: str, before: str) -> re.Pattern[str]:
    return re.compile(before + re.escape(root.rstrip("/")) + _AFTER)
