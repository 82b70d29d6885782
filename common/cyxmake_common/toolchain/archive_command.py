"""Reads commands that make a static library: `rm -f X && ar qc X … && ranlib X` and its like.

Knows no files and runs nothing. What is not fully understood stays local.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.response import Reader, expand, no_files

_TOOL: Final = re.compile(
    r"(?:[\w.+]+-)*?(?P<name>(?:gcc-|llvm-)?(?:ar|ranlib))(?:-\d+(?:\.\d+)*)?\Z", re.ASCII
)
_KEYS: Final = re.compile(r"-?(?=[qrcsDTv]*[qr])(?![qrcsDTv]*q[qrcsDTv]*r)[qrcsDT]+\Z")
_REMOVERS: Final = (("rm", "-f"), ("cmake", "-E", "rm", "-f"), ("cmake", "-E", "remove", "-f"))


@dataclass(frozen=True, slots=True)
class ArchiveCommand:
    """One static library made anew, or added to where it is not removed first (`fresh`).

    `argvs` are the commands without the removal; paths are as spelled. `keys` are ar's letters.
    """

    argvs: tuple[tuple[str, ...], ...]
    output: str
    members: tuple[str, ...]
    keys: str
    fresh: bool
    response_files: tuple[str, ...] = ()

    @property
    def archiver(self) -> str:
        """Return the program that makes the archive, as spelled."""
        return self.argvs[0][0]

    @property
    def programs(self) -> tuple[str, ...]:
        """Return every program that is started, as spelled."""
        return tuple(dict.fromkeys(argv[0] for argv in self.argvs))

    @property
    def is_thin(self) -> bool:
        """Tell whether the archive only names its members."""
        return "T" in self.keys

    def __repr__(self) -> str:
        return f"<ArchiveCommand {len(self.members)} members -> {self.output}>"


def is_archiver(program: str) -> bool:
    """Tell whether a program's name is that of an `ar` or `ranlib`."""
    return _TOOL.match(posixpath.basename(program)) is not None


def parse_archive(
    commands: Sequence[Sequence[str]], read: Reader = no_files
) -> ArchiveCommand | LocalOnly:
    """Read the commands of one edge, split as the shell would."""
    remaining = [tuple(argv) for argv in commands]
    removed = _removed(remaining[0]) if remaining else None
    if removed is not None:
        del remaining[0]
    if not remaining or not _is(remaining[0][0], "ar"):
        return LocalOnly("makes no archive")
    made = _archive(remaining[0], read)
    if isinstance(made, LocalOnly):
        return made
    keys, output, members, response_files = made
    if removed is not None and _normal(removed) != _normal(output):
        return LocalOnly(f"removes {removed} but makes {output}")
    for argv in remaining[1:]:
        if not _is(argv[0], "ranlib") or [_normal(w) for w in argv[1:] if w != "-D"] != [
            _normal(output)
        ]:
            return LocalOnly(f"runs {argv[0]} after it made the archive")
    return ArchiveCommand(
        tuple(remaining), output, members, keys, removed is not None, response_files
    )


def _archive(
    argv: tuple[str, ...], read: Reader
) -> tuple[str, str, tuple[str, ...], tuple[str, ...]] | LocalOnly:
    expanded = expand(argv[1:], read)
    if isinstance(expanded, LocalOnly):
        return expanded
    words, response_files = expanded
    if len(words) < 2 or not _KEYS.match(words[0]):
        return LocalOnly(f"uses {argv[0]} in a way that is not known")
    keys, output, *members = words
    if any(word.startswith("-") for word in (output, *members)) or not members:
        return LocalOnly(f"uses {argv[0]} in a way that is not known")
    return keys.lstrip("-"), output, tuple(members), tuple(response_files)


def _removed(argv: tuple[str, ...]) -> str | None:
    """Return the one file that a command removes, None when it does something else."""
    named = (posixpath.basename(argv[0]), *argv[1:-1])
    return argv[-1] if named in _REMOVERS else None


def _is(program: str, name: str) -> bool:
    match = _TOOL.match(posixpath.basename(program))
    return match is not None and match["name"].removeprefix("gcc-").removeprefix("llvm-") == name


def _normal(path: str) -> str:
    return posixpath.normpath(path)
