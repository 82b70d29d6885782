"""Reads one command line of cl or clang-cl: an MsvcCommand, or the reason why it must run here.

Knows no files, no environment (cl also reads CL, _CL_ and INCLUDE) and runs nothing. The rule is
that of `arguments`: what is not fully understood is never sent.
"""

from __future__ import annotations

import json
import ntpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cyxmake_common.toolchain.compile_command import Argument, Language, SearchPath
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.msvc_tables import PASSED_ON, MsvcKind, look_up_msvc
from cyxmake_common.toolchain.response import Reader, no_files
from cyxmake_common.toolchain.tables import (
    BACKEND_OK,
    FRONTEND_OK,
    FRONTEND_VALUES,
    Found,
    Option,
    Role,
    look_up,
)
from cyxmake_common.toolchain.windows_words import expand_windows

_DRIVER: Final = re.compile(r"(?P<clang>clang-)?cl(?:-\d+)?(?:\.exe)?\Z", re.ASCII | re.IGNORECASE)
_SUFFIXES: Final = {
    ".c": Language.C,
    **dict.fromkeys((".cpp", ".cxx", ".cc", ".CPP", ".CXX"), Language.CXX),
}
_UNSENT_SUFFIXES: Final = {
    **dict.fromkeys((".ixx", ".cppm"), "uses modules"),
    **dict.fromkeys((".obj", ".o", ".lib", ".res", ".def"), "has an input for the linker"),
    **dict.fromkeys((".asm", ".s", ".S"), "is assembler, which this compiler doesn't read"),
}
_LANGUAGES: Final = {"c": Language.C, "p": Language.CXX}
_DEVICES: Final = frozenset(("nul", "con", "prn", "aux"))
_FROM_CLANG: Final = frozenset(
    (Role.PLAIN, Role.COLOUR, Role.SEARCH, Role.INPUT, Role.PROFILE, Role.LOCAL, Role.NATIVE)
)
"""What an option of clang may do beside those of cl."""


@dataclass(frozen=True, slots=True)
class MsvcCommand:
    """A plain compile of one source to one object by cl or clang-cl.

    Paths are as spelled. `shows_includes`: headers are listed on standard output; `dependencies` is
    the JSON file that lists them. `has_brepro`: the object holds no time; without it, two runs of
    the same compile on one machine differ already.
    """

    argv: tuple[str, ...]
    arguments: tuple[Argument, ...]
    compiler: str
    kind: MsvcKind
    language: Language
    source: str
    output: str
    shows_includes: bool = False
    has_brepro: bool = False
    dependencies: str | None = None
    search: SearchPath = field(default_factory=SearchPath)
    search_flags: tuple[str, ...] = ()
    forced_includes: tuple[str, ...] = ()
    macro_values: tuple[tuple[str, str], ...] = ()
    inputs: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return every file that the command writes, the object first."""
        return (self.output, self.dependencies) if self.dependencies else (self.output,)


@dataclass(frozen=True, slots=True)
class SourceDependencies:
    """What a file of `/sourceDependencies` says; `modules` names what was imported."""

    source: str
    includes: tuple[str, ...]
    precompiled: str
    modules: tuple[str, ...]


def msvc_kind(program: str) -> MsvcKind | None:
    """Return which compiler a program's name promises, in any case; None when it is neither."""
    match = _DRIVER.match(ntpath.basename(program))
    if match is None or (not match["clang"] and "-" in match[0]):
        return None
    return MsvcKind.CLANG_CL if match["clang"] else MsvcKind.CL


def parse_msvc(argv: Sequence[str], read: Reader = no_files) -> MsvcCommand | LocalOnly:
    """Read a command line; `read` gives the bytes of response files by their path as spelled."""
    if not argv:
        return LocalOnly("the command is empty")
    kind = msvc_kind(argv[0])
    if kind is None:
        return LocalOnly(f"{argv[0]} is no known compiler")
    expanded = expand_windows(argv[1:], read, nested=kind is MsvcKind.CLANG_CL)
    if isinstance(expanded, LocalOnly):
        return expanded
    words, response_files = expanded
    parser = _Parser(kind)
    return parser.take_all(words) or parser.finish(tuple(argv), response_files)


def parse_source_dependencies(data: bytes) -> SourceDependencies:
    """Read the JSON that `/sourceDependencies` writes; raises ValueError on anything else."""
    try:
        content = json.loads(data.decode("utf-8-sig"))["Data"]
        imported = [
            *content.get("ImportedModules", ()),
            *content.get("ImportedHeaderUnits", ()),
        ]
        found = SourceDependencies(
            source=content["Source"],
            includes=tuple(content["Includes"]),
            precompiled=content.get("PCH", ""),
            modules=tuple(
                item if isinstance(item, str) else item.get("Name") or item["Header"]
                for item in imported
            ),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a list of source dependencies: {error!r}") from error
    names = (found.source, *found.includes, found.precompiled, *found.modules)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("not a list of source dependencies: a name is no text")
    return found


class _Parser:
    """Collects what the options say; lives for one command line."""

    def __init__(self, kind: MsvcKind) -> None:
        self.kind = kind
        self.arguments: list[Argument] = []
        self.sources: list[tuple[str, Language | None]] = []
        self.language: Language | None = None
        self.values: dict[Role, list[str]] = {}
        self.search_flags: list[str] = []
        self.macro_values: list[tuple[str, str]] = []
        self.unfinished = ""
        self.has_brepro = False

    def take_all(self, words: Sequence[str]) -> LocalOnly | None:
        """Read every argument; stops at the first one that must not be sent."""
        position = 0
        while position < len(words):
            word = words[position]
            position += 1
            if word == "--" and self.kind is MsvcKind.CLANG_CL:
                for source in words[position:]:
                    self._take_source(source)
                return None
            if not word.startswith(("/", "-")) or word == "-":
                self._take_source(word)
                continue
            found = self._look_up(word)
            if found is None:
                return LocalOnly(f"unknown option {word}")
            option, value = found.option, found.value
            if option.role is Role.LOCAL:
                return LocalOnly(f"{word} {option.note}")
            if option.role is Role.LINK:
                rest = tuple(words[position:])
                self.arguments.append(Argument(Role.LINK, option.name, "", (word, *rest)))
                return None
            tokens: tuple[str, ...] = (word,)
            if value is None:
                if position == len(words):
                    return LocalOnly(f"{word} has no value")
                value = words[position]
                tokens = (word, value)
                position += 1
            if problem := self._take(option, value, tokens):
                return problem
        return None

    def _look_up(self, word: str) -> Found | None:
        found = look_up_msvc(word, self.kind)
        if found is None and self.kind is MsvcKind.CLANG_CL and PASSED_ON.match(word):
            found = look_up(word)
            if found and (found.value is None or found.option.role not in _FROM_CLANG):
                return None
        return found

    def _take_source(self, path: str) -> None:
        self.sources.append((path, None))
        self.arguments.append(Argument(None, "", path, (path,)))

    def _take(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        self.arguments.append(Argument(option.role, option.name, value, tokens))
        if handler := _HANDLERS.get(option.role):
            return handler(self, option, value, tokens)
        self.values.setdefault(option.role, []).append(value)
        return None

    def take_plain(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        """Only macros and /Brepro say something that is asked for later."""
        del tokens
        if option.name in ("/D", "-D"):
            # `#` stands for `=` where a shell would not let that through.
            macro, *text = re.split("[=#]", value, maxsplit=1)
            if text:
                self.macro_values.append((macro, text[0]))
        elif option.name in ("/Brepro", "/Brepro-"):
            self.has_brepro = option.name == "/Brepro"
        return None

    def take_language(
        self, option: Option, value: str, tokens: tuple[str, ...]
    ) -> LocalOnly | None:
        """/TC and /TP hold for all sources, /Tc and /Tp for the one they name."""
        del tokens
        language = _LANGUAGES[option.name[-1].lower()]
        if value:
            self.sources.append((value, language))
            return None
        if self.language not in (None, language):
            return LocalOnly("/TC and /TP are both given")
        self.language = language
        return None

    def take_search(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        """What changes the built-in include directories."""
        if value.startswith("native") and option.name in ("-march=", "-mcpu="):
            return LocalOnly(f"{tokens[0]} expands to this machine's processor")
        self.search_flags.extend(tokens)
        return None

    def take_native(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        """-march=native."""
        del option, value
        return LocalOnly(f"{tokens[0]} expands to this machine's processor")

    def take_input(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        """A file that clang reads: a profile, a sanitizer's list."""
        del option, tokens
        self.values.setdefault(Role.INPUT, []).append(value)
        return None

    def take_frontend(
        self, option: Option, value: str, tokens: tuple[str, ...]
    ) -> LocalOnly | None:
        """/clang:OPTION is read by clang's table; a few values of -Xclang and -mllvm are known."""
        if option.name == "/clang:":
            found = look_up(value) if value.startswith("-") else None
            if found is None:
                return LocalOnly(f"unknown option {tokens[0]}")
            if found.option.role is Role.LOCAL:
                return LocalOnly(f"{tokens[0]} {found.option.note}")
            if found.value is None or found.option.role not in _FROM_CLANG:
                return LocalOnly(f"{tokens[0]} is not known to be harmless")
            handler = _HANDLERS.get(found.option.role)
            return handler(self, found.option, found.value, tokens) if handler else None
        if option.name == "-mllvm":
            known = BACKEND_OK.match(value) is not None
        elif self.unfinished:
            known = FRONTEND_VALUES[self.unfinished].match(value) is not None
            self.unfinished = ""
        else:
            # Headers given to the inner compiler are not looked for in the way of cl.
            takes_value = value == "-target-feature"
            known = value in FRONTEND_OK or takes_value
            self.unfinished = value if takes_value else ""
        return None if known else LocalOnly(f"{option.name} {value} is not known to be harmless")

    def finish(self, argv: tuple[str, ...], response_files: list[str]) -> MsvcCommand | LocalOnly:
        """Put together what was read."""
        if self.unfinished:
            return LocalOnly(f"-Xclang {self.unfinished} has no value")
        source = self._source()
        if isinstance(source, LocalOnly):
            return source
        path, language = source
        output = self._output(path)
        if isinstance(output, LocalOnly):
            return output
        dependencies = self._dependencies()
        if isinstance(dependencies, LocalOnly):
            return dependencies
        return MsvcCommand(
            argv=argv,
            arguments=tuple(self.arguments),
            compiler=argv[0],
            kind=self.kind,
            language=language,
            source=path,
            output=output,
            shows_includes=Role.DEPS in self.values,
            has_brepro=self.has_brepro,
            dependencies=dependencies,
            search=SearchPath(
                bracket=tuple(self.values.get(Role.INCLUDE, ())),
                system=tuple(self.values.get(Role.SYSTEM, ())),
            ),
            search_flags=tuple(self.search_flags),
            forced_includes=tuple(self.values.get(Role.FORCED, ())),
            macro_values=tuple(self.macro_values),
            inputs=(*response_files, *self.values.get(Role.INPUT, ())),
        )

    def _source(self) -> tuple[str, Language] | LocalOnly:
        if Role.COMPILE not in self.values:
            return LocalOnly("does not stop after compiling (no /c)")
        if len(self.sources) != 1:
            return LocalOnly(f"has {len(self.sources)} inputs, not one")
        path, named = self.sources[0]
        if path == "-":
            return LocalOnly("reads its source from standard input")
        if any(character in path for character in "*?"):
            return LocalOnly(f"{path} may be several inputs, not one")
        if named and self.language not in (None, named):
            return LocalOnly("/TC or /TP contradicts the language of its source")
        suffix = ntpath.splitext(path)[1]
        language = named or self.language or _SUFFIXES.get(suffix)
        if language is None:
            return LocalOnly(f"{path} {_UNSENT_SUFFIXES.get(suffix, 'has an unknown suffix')}")
        return path, language

    def _output(self, source: str) -> str | LocalOnly:
        given = self.values.get(Role.OUTPUT, [])
        if len(given) > 1:
            return LocalOnly("names several outputs")
        stem = ntpath.splitext(ntpath.basename(source))[0]
        if not given:
            return f"{stem}.obj"
        path = given[0]
        if path.startswith(":"):
            if self.kind is MsvcKind.CLANG_CL or not path[1:]:
                return LocalOnly(f"/Fo{path} is read differently by versions of the compiler")
            path = path[1:]
        if path.endswith(("\\", "/")):
            return f"{path}{stem}.obj"
        base = ntpath.basename(path)
        if base in (".", "..", "-", "") or ntpath.splitext(base)[0].lower() in _DEVICES:
            return LocalOnly(f"its output {path!r} is no file")
        return path if ntpath.splitext(base)[1] else f"{path}.obj"

    def _dependencies(self) -> str | LocalOnly | None:
        """The value may name a folder that exists; only a name of a file excludes that."""
        given = self.values.get(Role.DEPS_FILE, [])
        if not given:
            return None
        if len(given) > 1 or not given[0].endswith(".json"):
            return LocalOnly("its dependencies are not one file")
        return given[0]


_Handler = Callable[[_Parser, Option, str, tuple[str, ...]], LocalOnly | None]
_HANDLERS: Final[dict[Role, _Handler]] = {
    Role.PLAIN: _Parser.take_plain,
    Role.LANGUAGE: _Parser.take_language,
    Role.SEARCH: _Parser.take_search,
    Role.NATIVE: _Parser.take_native,
    Role.INPUT: _Parser.take_input,
    Role.PROFILE: _Parser.take_input,
    Role.FRONTEND: _Parser.take_frontend,
}
