"""Reads one compiler command line: a CompileCommand, or the reason why it must run here.

Knows no files and runs nothing. The rule behind every branch: what is not fully understood is never
sent, since a wrong object file costs more than a compile.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Final

from cyxmake_common.toolchain.compile_command import (
    Argument,
    CompileCommand,
    CompilerKind,
    Depfile,
    Language,
    SearchPath,
)
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.response import Reader, expand, no_files
from cyxmake_common.toolchain.tables import (
    ASSEMBLER_OK,
    BACKEND_OK,
    FRONTEND_OK,
    FRONTEND_VALUES,
    PROVIDED_SPECS,
    Option,
    Role,
    look_up,
)

_DRIVER: Final = re.compile(
    r"(?:[\w.+]+-)*(?P<name>gcc|g\+\+|cc|c\+\+|clang|clang\+\+)(?:-\d+(?:\.\d+)*)?\Z", re.ASCII
)
_SUFFIXES: Final = {
    **dict.fromkeys((".c",), Language.C),
    **dict.fromkeys((".cc", ".cp", ".cxx", ".cpp", ".CPP", ".c++", ".C"), Language.CXX),
    ".s": Language.ASSEMBLER,
    ".i": Language.C_TEXT,
    ".ii": Language.CXX_TEXT,
    **dict.fromkeys((".S", ".sx"), Language.ASSEMBLER_WITH_CPP),
}
_UNDOES_SIDE: Final = frozenset(
    (
        "-g0",
        "-ggdb0",
        "-gno-split-dwarf",
        "-gsplit-dwarf=single",
        "-fno-stack-usage",
        "-fno-test-coverage",
        "-fno-profile-arcs",
        "-emit-llvm",
    )
)
_DEBUG: Final = re.compile(r"-g(?:[123]|gdb[123]?|dwarf(?:-[345])?)?\Z")
_FRONTEND_ROLES: Final = {"-include": Role.FORCED, "-include-pch": Role.PRECOMPILED}
_LANGUAGES: Final = {language.value: language for language in Language}
_UNSENT_SUFFIXES: Final = {
    **dict.fromkeys((".h", ".hh", ".hpp", ".hxx", ".H", ".tcc"), "makes a precompiled header"),
    **dict.fromkeys((".m", ".mm", ".M", ".mi", ".mii"), "is Objective-C"),
    **dict.fromkeys((".cppm", ".ixx", ".cxxm", ".ccm", ".c++m"), "uses modules"),
    **dict.fromkeys((".o", ".obj", ".a", ".so", ".lo"), "has an input for the linker"),
}


def compiler_kind(program: str) -> CompilerKind | None:
    """Return the command line that a program's name promises; None when it is no C compiler."""
    match = _DRIVER.match(os.path.basename(program))  # noqa: PTH119 - pure text, on the hot path
    if match is None:
        return None
    return CompilerKind.CLANG if match["name"].startswith("clang") else CompilerKind.GCC


def is_cxx_driver(program: str) -> bool:
    """Tell whether a driver takes C sources as C++ (g++, clang++, c++)."""
    match = _DRIVER.match(os.path.basename(program))  # noqa: PTH119 - pure text, on the hot path
    return match is not None and match["name"].endswith("++")


def parse_compile(
    argv: Sequence[str], read: Reader = no_files, kind: CompilerKind | None = None
) -> CompileCommand | LocalOnly:
    """Read a command line; `kind` overrules the program's name (`cc` may be either compiler).

    `read` gives the bytes of response files by their path as spelled.
    """
    if not argv:
        return LocalOnly("the command is empty")
    named = compiler_kind(argv[0])
    if named is None:
        return LocalOnly(f"{argv[0]} is no known compiler")
    expanded = expand(argv[1:], read)
    if isinstance(expanded, LocalOnly):
        return expanded
    words, response_files = expanded
    parser = _Parser(kind or named)
    problem = parser.take_all(words)
    if problem is not None:
        return problem
    return parser.finish(tuple(argv), response_files)


class _Parser:
    """Collects what the options say; lives for one command line."""

    def __init__(self, kind: CompilerKind) -> None:
        self.kind = kind
        self.arguments: list[Argument] = []
        self.sources: list[tuple[str, str]] = []
        self.language = "none"
        self.modes: set[Role] = set()
        self.values: dict[Role, list[str]] = {}
        self.search_flags: list[str] = []
        self.macro_values: list[tuple[str, str]] = []
        self.assembler_search: list[str] = []
        self.suffixes: list[str] = []
        self.unfinished = ""
        self.deps: list[tuple[Role, str]] = []
        self.inner_deps: list[tuple[Role, str]] = []

    def take_all(self, words: Sequence[str]) -> LocalOnly | None:
        """Read every argument; stops at the first one that must not be sent."""
        position = 0
        while position < len(words):
            word = words[position]
            if not word.startswith("-") or word == "-":
                self.sources.append((word, self.language))
                self.arguments.append(Argument(None, "", word, (word,)))
                position += 1
                continue
            found = look_up(word)
            if found is None:
                return LocalOnly(f"unknown option {word}")
            option, value = found.option, found.value
            tokens: tuple[str, ...] = (word,)
            if option.role is Role.LOCAL:
                return LocalOnly(f"{word} {option.note}")
            if value is None:
                position += 1
                if position == len(words):
                    return LocalOnly(f"{word} has no value")
                value = words[position]
                tokens = (word, value)
            if problem := self._take(option, value, tokens):
                return problem
            position += 1
        return None

    def _take(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        role = option.role
        self.arguments.append(Argument(role, option.name, value, tokens))
        if handler := _HANDLERS.get(role):
            return handler(self, option, value, tokens)
        if role is not Role.PLAIN:
            self.values.setdefault(role, []).append(value)
        elif option.name in ("-D", "-U"):
            self._take_macro(option.name, value)
        return None

    def _take_macro(self, name: str, value: str) -> None:
        macro, equals, text = value.partition("=")
        if name == "-D" and equals:
            self.macro_values.append((macro, text))

    def take_mode(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        """-c, -S."""
        del value, tokens
        self.modes.add(option.role)
        return None

    def take_language(
        self, option: Option, value: str, tokens: tuple[str, ...]
    ) -> LocalOnly | None:
        """-x: holds for the inputs after it."""
        del option, tokens
        if value != "none" and value not in _LANGUAGES:
            return LocalOnly(f"-x {value} is not compiled remotely")
        self.language = value
        return None

    def take_search(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        """What changes the built-in include directories."""
        if value.startswith("native") and option.name in ("-march=", "-mcpu="):
            return LocalOnly(f"{tokens[0]} expands to this machine's processor")
        if option.role is Role.HEADER_ROOT and value.startswith("="):
            return LocalOnly("-isysroot with = is read differently by compilers")
        self.search_flags.extend(tokens)
        self.values.setdefault(option.role, []).append(value)
        return None

    def take_deps(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        """-MD, -MMD, -MF, -MT, -MQ, -MP."""
        del tokens
        self.deps.append((option.role, value))
        return None

    def take_side(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        """An option that makes one more file beside the output."""
        del value, tokens
        if option.note not in self.suffixes:
            self.suffixes.append(option.note)
        return None

    def take_frontend(
        self, option: Option, value: str, tokens: tuple[str, ...]
    ) -> LocalOnly | None:
        """-Xclang, -mllvm: a few values are known to touch no file."""
        del tokens
        if option.name != "-Xclang":
            known = BACKEND_OK.match(value) is not None
        elif self.unfinished:
            known = FRONTEND_VALUES[self.unfinished].match(value) is not None
            if role := _FRONTEND_ROLES.get(self.unfinished):
                self.values.setdefault(role, []).append(value)
            self.unfinished = ""
        else:
            known = value in FRONTEND_OK or value in FRONTEND_VALUES
            self.unfinished = value if value in FRONTEND_VALUES else ""
        return None if known else LocalOnly(f"{option.name} {value} is not known to be harmless")

    def take_profile(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        """-fprofile-use=FILE: gcc makes the file's name of more than this."""
        del option
        if self.kind is not CompilerKind.CLANG:
            return LocalOnly(f"{tokens[0]} reads a profile")
        self.values.setdefault(Role.INPUT, []).append(value)
        return None

    def take_native(self, option: Option, value: str, tokens: tuple[str, ...]) -> LocalOnly | None:
        """-march=native: understood where a file stands before it that says what it means."""
        del option, value
        if Role.PROVIDED in self.values:
            return None
        return LocalOnly(f"{tokens[0]} expands to this machine's processor")

    def take_assembler(
        self, option: Option, value: str, tokens: tuple[str, ...]
    ) -> LocalOnly | None:
        """-Wa,a,b: options for the assembler."""
        del option
        words = iter(value.split(","))
        for word in words:
            if word.startswith("-I"):
                self.assembler_search.append(word[2:] or next(words, ""))
            elif not ASSEMBLER_OK.match(word):
                return LocalOnly(f"{tokens[0]} is not known to be harmless")
        return None

    def take_preprocessor(
        self, option: Option, value: str, tokens: tuple[str, ...]
    ) -> LocalOnly | None:
        """-Wp,a,b: only macros and depfiles are understood."""
        del option
        words = iter(value.split(","))
        for word in words:
            if word in ("-MD", "-MMD"):
                role = Role.DEPS if word == "-MD" else Role.USER_DEPS
                self.inner_deps += ((role, ""), (Role.DEPS_FILE, next(words, "")))
            elif word in ("-MT", "-MQ"):
                self.inner_deps.append((Role.DEPS_TARGET, next(words, "")))
            elif word == "-MP":
                self.inner_deps.append((Role.DEPS_PHONY, ""))
            elif not word.startswith(("-D", "-U")) or len(word) == 2:
                return LocalOnly(f"{tokens[0]} is not known to be harmless")
            else:
                self._take_macro(word[:2], word[2:])
        return None

    def finish(
        self, argv: tuple[str, ...], response_files: list[str]
    ) -> CompileCommand | LocalOnly:
        """Put together what was read."""
        if self.unfinished:
            return LocalOnly(f"-Xclang {self.unfinished} has no value")
        source = self._source(argv[0])
        if isinstance(source, LocalOnly):
            return source
        path, language = source
        output = self._output(path)
        if isinstance(output, LocalOnly):
            return output
        depfile = self._depfile(path)
        if isinstance(depfile, LocalOnly):
            return depfile
        if language.is_text and (depfile or self._prepares()):
            return LocalOnly(f"{path} works on preprocessed text, with options for a preprocessor")
        if self.suffixes and (problem := self._side_problem()):
            return problem
        search = self._search()
        if isinstance(search, LocalOnly):
            return search
        return CompileCommand(
            argv=argv,
            arguments=tuple(self.arguments),
            compiler=argv[0],
            kind=self.kind,
            language=language,
            source=path,
            output=output,
            depfile=depfile,
            search=search,
            search_flags=tuple(self.search_flags),
            forced_includes=tuple(self.values.get(Role.FORCED, ())),
            precompiled=tuple(self.values.get(Role.PRECOMPILED, ())),
            macro_includes=tuple(self.values.get(Role.MACROS, ())),
            macro_values=tuple(self.macro_values),
            assembler_search=tuple(self.assembler_search),
            inputs=(*response_files, *self.values.get(Role.INPUT, ())),
            provided=tuple(PROVIDED_SPECS + name for name in self.values.get(Role.PROVIDED, ())),
            side_outputs=(
                # No compiler proper works on assembly: it notes no coverage, no stack and no calls.
                *(
                    self._beside(path, suffix)
                    for suffix in self.suffixes
                    if suffix == ".dwo" or not language.is_assembler
                ),
                *self.values.get(Role.SIDE_FILE, ()),
            ),
        )

    def _prepares(self) -> bool:
        """Tell whether a preprocessor would read or write something of its own."""
        roles = (Role.FORCED, Role.MACROS, Role.PRECOMPILED)
        return any(self.values.get(role) for role in roles) or any(
            argument.role is Role.PREPROCESSOR for argument in self.arguments
        )

    def _side_problem(self) -> LocalOnly | None:
        """Say when it can't be foretold which second outputs there will be."""
        options = {token for argument in self.arguments for token in argument.tokens}
        if ".dwo" in self.suffixes and Role.ASSEMBLE in self.modes:
            return LocalOnly("-S with -gsplit-dwarf leaves its second file in different places")
        for option in sorted(options):
            if option.startswith("-flto") or option in _UNDOES_SIDE:
                return LocalOnly(f"{option} may take away a second output")
        clang_splits = ".dwo" in self.suffixes and self.kind is CompilerKind.CLANG
        if clang_splits and not any(_DEBUG.match(option) for option in options):
            return LocalOnly("-gsplit-dwarf without -g: clang leaves the second output away")
        return None

    def _source(self, program: str) -> tuple[str, Language] | LocalOnly:
        if not self.modes:
            return LocalOnly("does not stop after compiling (no -c)")
        if len(self.sources) != 1:
            return LocalOnly(f"has {len(self.sources)} inputs, not one")
        path, named = self.sources[0]
        if path == "-":
            return LocalOnly("reads its source from standard input")
        suffix = os.path.splitext(path)[1]  # noqa: PTH122 - pure text, on the hot path
        if named != "none":
            return path, _LANGUAGES[named]
        language = _SUFFIXES.get(suffix)
        if language is None:
            return LocalOnly(f"{path} {_UNSENT_SUFFIXES.get(suffix, 'has an unknown suffix')}")
        if language is Language.C and is_cxx_driver(program):
            language = Language.CXX
        return path, language

    def _output(self, source: str) -> str | LocalOnly:
        given = self.values.get(Role.OUTPUT, [])
        if len(given) > 1:
            return LocalOnly("names several outputs")
        if not given:
            return _stem(source) + (".s" if Role.ASSEMBLE in self.modes else ".o")
        if given[0] in ("-", "", "/dev/null") or given[0].endswith("/"):
            return LocalOnly(f"its output {given[0]!r} is no file")
        return given[0]

    def _beside(self, source: str, suffix: str) -> str:
        """Name a second output: the output's name with another suffix, in the output's folder."""
        given = self.values.get(Role.OUTPUT)
        if not given:
            return _stem(source) + suffix
        return os.path.splitext(given[0])[0] + suffix  # noqa: PTH122 - keeps the spelling

    def _depfile(self, source: str) -> Depfile | LocalOnly | None:
        if self.deps and self.inner_deps:
            return LocalOnly("dependencies are asked for in two ways")
        deps = self.deps or self.inner_deps
        roles = {role for role, _ in deps}
        if not roles & {Role.DEPS, Role.USER_DEPS}:
            return LocalOnly("-MF without -MD writes no depfile") if deps else None
        if roles >= {Role.DEPS, Role.USER_DEPS}:
            return LocalOnly("both -MD and -MMD are given")
        files = [value for role, value in deps if role is Role.DEPS_FILE]
        if len(files) > 1 or any(path in ("-", "", "/dev/null") for path in files):
            return LocalOnly("its depfile is not one file")
        return Depfile(
            path=files[0] if files else self._beside(source, ".d"),
            system_headers=Role.DEPS in roles,
            targets=tuple(value for role, value in deps if role is Role.DEPS_TARGET),
            phony=Role.DEPS_PHONY in roles,
        )

    def _search(self) -> SearchPath | LocalOnly:
        roots = self.values.get(Role.HEADER_ROOT) or self.values.get(Role.SYSROOT) or [""]

        def rooted(role: Role) -> tuple[str, ...]:
            return tuple(_rooted(path, roots[-1]) for path in self.values.get(role, ()))

        return SearchPath(
            rooted(Role.QUOTE), rooted(Role.INCLUDE), rooted(Role.SYSTEM), rooted(Role.AFTER)
        )


_Handler = Callable[[_Parser, Option, str, tuple[str, ...]], LocalOnly | None]
_HANDLERS: Final[dict[Role, _Handler]] = {
    Role.COMPILE: _Parser.take_mode,
    Role.ASSEMBLE: _Parser.take_mode,
    Role.LANGUAGE: _Parser.take_language,
    Role.NATIVE: _Parser.take_native,
    Role.PROFILE: _Parser.take_profile,
    Role.SEARCH: _Parser.take_search,
    Role.SYSROOT: _Parser.take_search,
    Role.HEADER_ROOT: _Parser.take_search,
    Role.DEPS: _Parser.take_deps,
    Role.USER_DEPS: _Parser.take_deps,
    Role.DEPS_FILE: _Parser.take_deps,
    Role.DEPS_TARGET: _Parser.take_deps,
    Role.DEPS_PHONY: _Parser.take_deps,
    Role.SIDE: _Parser.take_side,
    Role.FRONTEND: _Parser.take_frontend,
    Role.ASSEMBLER: _Parser.take_assembler,
    Role.PREPROCESSOR: _Parser.take_preprocessor,
}


def _stem(source: str) -> str:
    """Return a source's name without folder and last suffix: what unnamed outputs are called."""
    return os.path.splitext(os.path.basename(source))[0]  # noqa: PTH119, PTH122 - pure text


def _rooted(path: str, root: str) -> str:
    """Replace a leading `=` or `$SYSROOT` by the root of system headers, as gcc does."""
    for mark in ("=", "$SYSROOT"):
        if path.startswith(mark):
            return root + path[len(mark) :]
    return path
