"""A Meson build directory that forgets what it found, and nothing else.

`meson setup --wipe` empties the directory, of what people keep there as well. Meson configures anew
just so where its own memory is gone; the options of before are then to be told again.
"""

from __future__ import annotations

import ast
import configparser
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_MEMORY: Final = "meson-private/coredata.dat"
_OPTIONS: Final = "meson-private/cmd_line.txt"
_FILES: Final = {"cross_file": "--cross-file", "native_file": "--native-file"}


def forget(build: Path) -> None:
    """Put what Meson remembers of a configuration out of its way; raises OSError."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        (build / _MEMORY).replace(build / f"{_MEMORY}.prev")


def options_before(build: Path, given: Sequence[str]) -> tuple[str, ...]:
    """Return the options that a directory was configured with, but for those that are given."""
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # as written
    try:
        parser.read_string((build / _OPTIONS).read_text("utf-8"))
    except (OSError, UnicodeError, configparser.Error):
        return ()
    options, properties = (
        dict(parser.items(name)) if parser.has_section(name) else {}
        for name in ("options", "properties")
    )
    found = [f"-D{name}={value}" for name, value in options.items() if not _is_given(name, given)]
    for name, value in properties.items():
        if name in _FILES and not any(word.startswith(_FILES[name]) for word in given):
            found += [word for file in _list(value) for word in (_FILES[name], file)]
    return tuple(found)


def _is_given(name: str, given: Sequence[str]) -> bool:
    """Tell whether an option is given in its own form: Meson refuses one that is told in both."""
    flag = f"--{name.replace('_', '-')}"
    return any(word == flag or word.startswith(f"{flag}=") for word in given)


def _list(value: str) -> list[str]:
    with contextlib.suppress(ValueError, SyntaxError):
        found = ast.literal_eval(value)
        if isinstance(found, list):
            return [word for word in found if isinstance(word, str)]
    return []
