"""A gcc whose twin, made for another kind of machine, gives the same bytes: who it is, what for.

Knows no processes and no stores. Two gccs of one release for one target are twins whatever they run
on: an arm64 machine's own and an x86-64 machine's cross compiler, say. They differ in the text that
names who packed them, and in where they look for headers; the probes show whether in more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cyxmake_common.action import Properties
from cyxmake_common.digest import Digest
from cyxmake_common.stand_in import STAND_IN, with_text
from cyxmake_common.toolchain.arguments import is_cxx_driver, parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand, CompilerKind, Language
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.response import no_files
from cyxmake_common.toolchain.smoke import SmokeTest

NO_IDENT: Final = "-fno-ident"
_IDENT: Final = {NO_IDENT: False, "-Qn": False, "-fident": True, "-Qy": True}

_NEVER: Final = (
    "@", "-flto", "-fprofile", "--coverage", "-coverage", "-ftest-coverage", "-foffload",
    "-fopenacc", "-frecord-", "-fverbose-asm", "-fplugin", "-fdump", "-Wmissing-include-dirs",
    "-Wp,", "-H", "-fpreprocessed", "-fdirectives-only", "-fmodule",
)  # fmt: skip
"""What is read or written differently, or shows the options that a twin is given."""
_PROCESSOR: Final = ("-march=", "-mcpu=")
_SEARCHED: Final = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH")
_CXX: Final = frozenset((Language.CXX, Language.CXX_TEXT))
_CXX_SUFFIXES: Final = (".cc", ".cp", ".cxx", ".cpp", ".CPP", ".c++", ".C", ".ii")


@dataclass(frozen=True, slots=True)
class Twin:
    """One gcc: `text` is what it writes into `.comment`, `assembler` the version of its own one.

    `folders` hold its private headers; `searched` is, by language, everywhere that it looks for
    headers unasked, there or not. `one_library`: no option for a processor chooses other headers.
    `probes` are compiles that a twin must do alike before it does any other.
    """

    release: str
    target: str
    assembler: str
    text: str
    folders: tuple[str, ...]
    searched: Mapping[str, tuple[str, ...]]
    one_library: bool
    probes: tuple[SmokeTest, ...]

    @property
    def name(self) -> str:
        """Return what twins have in common."""
        return f"gcc {self.release} {self.target}, as {self.assembler}"

    @property
    def names(self) -> tuple[str, str]:
        """Return what a worker offers that has it: without the text, and with it."""
        return self.name, with_text(self.name, self.text)

    def properties(self, argv: Sequence[str], environment: Properties) -> Properties:
        """Return what an action says, so that a twin may do a compile; nothing where it may not."""
        command = parse_compile(argv, no_files, CompilerKind.GCC)
        if isinstance(command, LocalOnly) or not self._alike(command):
            return ()
        if any(name in _SEARCHED for name, _ in environment):
            return ()
        silent = command.language is Language.ASSEMBLER or not _has_ident(command.argv)
        return ((STAND_IN, self.name if silent else with_text(self.name, self.text)),)

    def _alike(self, command: CompileCommand) -> bool:
        flags = [
            flag
            for flag in command.search_flags
            if not (self.one_library and flag.startswith(_PROCESSOR))
        ]
        others = (flags, command.precompiled, command.provided, command.side_outputs)
        return (
            not any(others)
            and not any(word.startswith(_NEVER) for word in command.argv)
            and (language_of(command.argv) == "c++") is (command.language in _CXX)
        )

    def to_fields(self) -> dict[str, object]:
        """Return plain values, as JSON and msgpack take them."""
        return {
            "release": self.release,
            "target": self.target,
            "assembler": self.assembler,
            "text": self.text,
            "folders": list(self.folders),
            "searched": {name: list(paths) for name, paths in self.searched.items()},
            "one_library": self.one_library,
            "probes": [(test.arguments, test.output, str(test.digest)) for test in self.probes],
        }

    @staticmethod
    def from_fields(fields: Mapping[str, object]) -> Twin:
        """Undo `to_fields`; raises ValueError."""
        texts = {name: fields.get(name) for name in ("release", "target", "assembler", "text")}
        folders, searched, probes = (fields.get(n) for n in ("folders", "searched", "probes"))
        if not (
            all(isinstance(text, str) for text in texts.values())
            and isinstance(folders, list | tuple)
            and isinstance(searched, Mapping)
            and isinstance(probes, list | tuple)
        ):
            raise ValueError("not a gcc with twins")
        try:
            tests = tuple(
                SmokeTest(tuple(map(str, arguments)), str(output), Digest.parse(str(digest)))
                for arguments, output, digest in probes
            )
        except TypeError as error:
            raise ValueError(f"not a gcc with twins: {error}") from error
        return Twin(
            **{name: str(text) for name, text in texts.items()},
            folders=tuple(map(str, folders)),
            searched={str(name): tuple(map(str, paths)) for name, paths in searched.items()},
            one_library=fields.get("one_library") is True,
            probes=tests,
        )


def language_of(argv: Sequence[str]) -> str:
    """Return the language that a command compiles, `c` or `c++`: which headers it finds unasked.

    Holds for any command of one source, be it only preprocessed.
    """
    named = [value for word, value in pairwise(argv) if word == "-x"]
    named += [word[2:] for word in argv if word.startswith("-x") and len(word) > 2]
    if named:
        return "c++" if any(name.startswith("c++") for name in named) else "c"
    cxx = is_cxx_driver(argv[0]) or any(word.endswith(_CXX_SUFFIXES) for word in _inputs(argv))
    return "c++" if cxx else "c"


def _inputs(argv: Sequence[str]) -> Collection[str]:
    return [
        word
        for before, word in pairwise(argv)
        if not word.startswith("-") and before not in ("-o", "-MF", "-MT", "-MQ", "-I", "-D")
    ]


def _has_ident(argv: Sequence[str]) -> bool:
    last = next((word for word in reversed(argv) if word in _IDENT), "-fident")
    return _IDENT[last]
