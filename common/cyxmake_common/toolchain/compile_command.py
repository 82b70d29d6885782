"""What one compiler command line says, as frozen values: source, outputs, search path, arguments.

Knows neither files nor compilers; `arguments` makes these values, the cache key and the include
scanner read them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from cyxmake_common.toolchain.tables import Role


class CompilerKind(Enum):
    """Which of the two command lines a compiler understands."""

    GCC = "gcc"
    CLANG = "clang"


class Language(Enum):
    """The languages that are compiled remotely, by the names that -x takes."""

    C = "c"
    CXX = "c++"
    ASSEMBLER = "assembler"
    ASSEMBLER_WITH_CPP = "assembler-with-cpp"
    C_TEXT = "cpp-output"
    CXX_TEXT = "c++-cpp-output"

    @property
    def is_preprocessed(self) -> bool:
        """Tell whether `#include` means something in it."""
        return self is not Language.ASSEMBLER and not self.is_text

    @property
    def is_text(self) -> bool:
        """Tell whether it is what a preprocessor made."""
        return self in (Language.C_TEXT, Language.CXX_TEXT)

    @property
    def is_assembler(self) -> bool:
        """Tell whether no compiler proper works on it."""
        return self in (Language.ASSEMBLER, Language.ASSEMBLER_WITH_CPP)


@dataclass(frozen=True, slots=True)
class Argument:
    """One option with its value, or an input: `tokens` is how it stands in the list."""

    role: Role | None
    option: str
    value: str
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Depfile:
    """Where the compiler writes which files it read; `system_headers` is false for -MMD."""

    path: str
    system_headers: bool
    targets: tuple[str, ...] = ()
    phony: bool = False


@dataclass(frozen=True, slots=True)
class SearchPath:
    """Include directories by kind, in the order given, as spelled; without built-in ones."""

    quote: tuple[str, ...] = ()
    bracket: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CompileCommand:
    """A plain compile of one source to one object (or assembly) file.

    Paths are as spelled, relative ones to the working directory of the edge. `search_flags` are the
    options that change the compiler's built-in include directories; `inputs` are files read besides
    source and headers, `provided` such that exist on the worker only; `side_outputs` are files
    written besides output and depfile.
    """

    argv: tuple[str, ...]
    arguments: tuple[Argument, ...]
    compiler: str
    kind: CompilerKind
    language: Language
    source: str
    output: str
    depfile: Depfile | None = None
    search: SearchPath = field(default_factory=SearchPath)
    search_flags: tuple[str, ...] = ()
    forced_includes: tuple[str, ...] = ()
    precompiled: tuple[str, ...] = ()
    macro_includes: tuple[str, ...] = ()
    macro_values: tuple[tuple[str, str], ...] = ()
    assembler_search: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    provided: tuple[str, ...] = ()
    side_outputs: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return every file that the command may write, the main output first."""
        depfile = (self.depfile.path,) if self.depfile else ()
        return (self.output, *depfile, *self.side_outputs)

    @property
    def may_offload(self) -> bool:
        """Tell whether clang reads directives that make code for other devices."""
        return self.kind is CompilerKind.CLANG and any(
            word.startswith("-fopenmp") and word != "-fopenmp-simd" for word in self.argv
        )

    def __repr__(self) -> str:
        what = f"{self.kind.value} {self.language.value}"
        return f"<CompileCommand {what} {self.source} -> {self.output}>"
