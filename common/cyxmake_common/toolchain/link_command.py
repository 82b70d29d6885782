"""Reads the command line of a driver that links: a LinkCommand, or why it must run here.

Knows no files and runs nothing. It says which names the linker will look for and where; what these
names lead to is found by `link_inputs`. What is not fully understood is never sent.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_common.toolchain.arguments import compiler_kind
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.link_tables import (
    INERT,
    INERT_SEARCH,
    OBJECT,
    FoundOption,
    LinkRole,
    driver_option,
    linker_option,
)
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.response import Reader, expand, no_files
from cyxmake_common.toolchain.tables import ASSEMBLER_OK, BACKEND_OK, FRONTEND_OK, Role, look_up

_LINKERS: Final = frozenset(("bfd", "gold", "lld", "mold"))
_LATE: Final = ("-gsplit-dwarf", "-fstack-usage", "-fcallgraph-info", "-ftest-coverage")
"""Options that write one more file for each source, which in link-time optimisation is here."""


@dataclass(frozen=True, slots=True)
class LinkCommand:
    """A link of objects and libraries to one file.

    Paths are as spelled, relative ones to the working directory of the edge. `inputs` are files,
    `libraries` names that are searched in `search` and the linker's own directories; `scripts` and
    `read` are files, searched there as well; `needed_search` is where the libraries of shared
    libraries are. `linker` is what -fuse-ld names.
    """

    argv: tuple[str, ...]
    compiler: str
    kind: CompilerKind
    output: str
    inputs: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    needed_search: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    side_outputs: tuple[str, ...] = ()
    response_files: tuple[str, ...] = ()
    linker: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return every file that the command may write, the main output first."""
        return (self.output, *self.side_outputs)

    def __repr__(self) -> str:
        return f"<LinkCommand {self.kind.value} {len(self.inputs)} inputs -> {self.output}>"


def parse_link(
    argv: Sequence[str], read: Reader = no_files, kind: CompilerKind | None = None
) -> LinkCommand | LocalOnly:
    """Read a command line; `kind` overrules the program's name (`cc` may be either compiler).

    `read` gives the bytes of response files by their path as spelled.
    """
    named = compiler_kind(argv[0]) if argv else None
    if named is None:
        return LocalOnly(f"{argv[0] if argv else 'nothing'} is no known compiler")
    expanded = expand(argv[1:], read)
    if isinstance(expanded, LocalOnly):
        return expanded
    words, response_files = expanded
    parser = _Parser(kind or named)
    problem = parser.take_all(words)
    return problem or parser.finish(tuple(argv), tuple(response_files))


class _Parser:
    """Collects what the arguments say; lives for one command line."""

    def __init__(self, kind: CompilerKind) -> None:
        self.kind = kind
        self.values: dict[LinkRole, list[str]] = {}
        self.inputs: list[str] = []
        self.words: list[str | None] = []
        """What goes to the linker itself, in order; None stands for an argument of the driver."""
        self.late: list[str] = []
        self.optimises_late = False

    def take_all(self, words: Sequence[str]) -> LocalOnly | None:
        """Read every argument; stops at the first one that keeps the link here."""
        remaining = iter(words)
        for word in remaining:
            if not word.startswith("-") or word == "-":
                problem = self._take_input(word)
            elif found := driver_option(word):
                value = found.value if found.value is not None else next(remaining, None)
                problem = self._take(word, found, value)
            else:
                problem = self._take_inert(word, remaining)
            if problem is not None:
                return problem
        return self._take_words()

    def _take_input(self, word: str) -> LocalOnly | None:
        if OBJECT.search(word) is None:
            # A source, most likely: what is compiled here would need headers as well.
            return LocalOnly(f"has an input that is no object: {word}")
        self.inputs.append(word)
        self.words.append(None)
        return None

    def _take(self, word: str, found: FoundOption, value: str | None) -> LocalOnly | None:
        role = found.option.role
        if role is LinkRole.LOCAL:
            return LocalOnly(f"{word} {found.option.note}")
        if value is None:
            return LocalOnly(f"{word} has no value")
        if role is LinkRole.WORDS:
            self.words += value.split(",")
        elif role is LinkRole.WORD:
            self.words.append(value)
        else:
            self.values.setdefault(role, []).append(value)
            self.words.append(None)
        return None

    def _take_inert(self, word: str, remaining: Iterator[str]) -> LocalOnly | None:
        """Take an option of compiles, which drivers get when they link, too."""
        found = look_up(word)
        if found is None:
            return LocalOnly(f"unknown option {word}")
        role = found.option.role
        if role is Role.LOCAL:
            return LocalOnly(f"{word} {found.option.note}")
        value = found.value
        if value is None:
            value = next(remaining, None)
            if value is None:
                return LocalOnly(f"{word} has no value")
        self.optimises_late = self.optimises_late or word.startswith("-flto")
        if word.startswith(_LATE):
            self.late.append(word)
        match role:
            case Role.INPUT:
                self.values.setdefault(LinkRole.FILE, []).append(value)
            case Role.ASSEMBLER:
                if not all(ASSEMBLER_OK.match(part) for part in value.split(",")):
                    return LocalOnly(f"{word} is not known to be harmless")
            case Role.FRONTEND:
                known = FRONTEND_OK if found.option.name == "-Xclang" else None
                if not (value in known if known is not None else BACKEND_OK.match(value)):
                    return LocalOnly(f"{found.option.name} {value} is not known to be harmless")
            case Role.SEARCH:
                if not word.startswith(INERT_SEARCH):
                    return LocalOnly(f"{word} chooses other libraries")
            case Role.SIDE:
                pass
            case _ if role not in INERT:
                return LocalOnly(f"{word} is not known in a link")
        return None

    def _take_words(self) -> LocalOnly | None:
        """Read what the driver hands to the linker."""
        position = 0
        while position < len(self.words):
            word = self.words[position]
            position += 1
            if word is None:
                continue
            if not word.startswith("-"):
                if OBJECT.search(word) is None or not word:
                    return LocalOnly(f"hands {word!r} to the linker")
                self.inputs.append(word)
                continue
            found = linker_option(word)
            if found is None:
                return LocalOnly(f"unknown option {word} of the linker")
            if found.option.role is LinkRole.LOCAL:
                return LocalOnly(f"{word} {found.option.note}")
            value = found.value
            if value is None:
                value = self.words[position] if position < len(self.words) else None
                position += 1
                if value is None:
                    return LocalOnly(f"{word} has no value")
            self.values.setdefault(found.option.role, []).append(value)
        return None

    def finish(
        self, argv: tuple[str, ...], response_files: tuple[str, ...]
    ) -> LinkCommand | LocalOnly:
        """Put together what was read."""
        outputs = self.values.get(LinkRole.OUTPUT, [])
        if len(outputs) != 1 or outputs[0].endswith("/") or outputs[0] in ("-", "/dev/null"):
            return LocalOnly("its output is not one file")
        if not self.inputs:
            return LocalOnly("links no objects")
        if self.late and self.optimises_late:
            return LocalOnly(f"{self.late[0]} may write more files when it links")
        written = self.values.get(LinkRole.WRITES, [])
        if written and self.optimises_late:
            return LocalOnly("its side files name temporary ones")
        if any(path in ("-", "", "/dev/null", "/dev/stdout") for path in written):
            return LocalOnly("its side output is no file")
        linkers = self.values.get(LinkRole.LINKER, [""])
        if linkers[-1] and linkers[-1] not in _LINKERS:
            return LocalOnly(f"the linker {linkers[-1]} is not known")
        needed = self.values.get(LinkRole.NEEDED_SEARCH, ())
        return LinkCommand(
            argv=argv,
            compiler=argv[0],
            kind=self.kind,
            output=outputs[0],
            inputs=tuple(dict.fromkeys(self.inputs)),
            libraries=tuple(dict.fromkeys(self.values.get(LinkRole.LIBRARY, ()))),
            search=tuple(dict.fromkeys(self.values.get(LinkRole.SEARCH, ()))),
            needed_search=tuple(dict.fromkeys(p for text in needed for p in text.split(":") if p)),
            scripts=tuple(self.values.get(LinkRole.SCRIPT, ())),
            read=tuple(self.values.get(LinkRole.FILE, ())),
            side_outputs=tuple(posixpath.normpath(path) for path in written),
            response_files=response_files,
            linker=linkers[-1],
        )
