"""In which languages a repository is written: by ending, by name, and by content where in doubt.

Knows nothing of files but what it is given: names, sizes, and a way to read a beginning.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from cyxmake_cli.analysis.model import Language

_ENDINGS: Final[dict[str, str]] = {
    ending: language
    for language, endings in {
        "Ada": ".adb .ads",
        "Assembly": ".asm .s .nasm",
        "C": ".c",
        "C#": ".cs",
        "C++": ".cc .cpp .cxx .c++ .hh .hpp .hxx .h++ .ipp .tpp .inl .ixx .cppm",
        "CSS": ".css .scss .sass .less",
        "CUDA": ".cu .cuh",
        "Clojure": ".clj .cljs .cljc",
        "Cython": ".pyx .pxd",
        "D": ".di",
        "Dart": ".dart",
        "Elixir": ".ex .exs",
        "Erlang": ".erl .hrl",
        "Fortran": ".f .f90 .f95 .f03 .f08 .for",
        "GLSL": ".glsl .vert .frag .comp",
        "Go": ".go",
        "Groovy": ".groovy",
        "HTML": ".html .htm",
        "Haskell": ".hs .lhs",
        "Java": ".java",
        "JavaScript": ".js .mjs .cjs .jsx",
        "Julia": ".jl",
        "Kotlin": ".kt .kts",
        "Lua": ".lua",
        "Nim": ".nim",
        "OCaml": ".ml .mli",
        "Objective-C++": ".mm",
        "PHP": ".php",
        "PowerShell": ".ps1 .psm1",
        "Protocol Buffers": ".proto",
        "Python": ".py .pyi",
        "R": ".r",
        "Ruby": ".rb",
        "Rust": ".rs",
        "SQL": ".sql",
        "Scala": ".scala .sc",
        "Shell": ".sh .bash .zsh .ksh",
        "Swift": ".swift",
        "SystemVerilog": ".sv .svh",
        "Tcl": ".tcl",
        "TypeScript": ".tsx .mts .cts",
        "VHDL": ".vhd .vhdl",
        "Vala": ".vala",
        "Vue": ".vue",
        "Yacc": ".y .yy",
        "Lex": ".l .ll",
        "Zig": ".zig",
    }.items()
    for ending in endings.split()
}

Rule = tuple[re.Pattern[str], str]


def _rules(*rules: tuple[str, str]) -> tuple[Rule, ...]:
    return tuple((re.compile(pattern, re.MULTILINE), language) for pattern, language in rules)


_AMBIGUOUS: Final[dict[str, tuple[tuple[Rule, ...], str]]] = {
    ".h": (
        _rules(
            (r"^[ \t]*@(interface|protocol|property|class|end)\b|^#import\b", "Objective-C"),
            (
                r"^[ \t]*(template\s*<|namespace\s+[\w:]*\s*\{|using\s+(namespace|[\w:]+\s*=)"
                r"|class\s+\w+[\w\s]*[:{]|(public|private|protected)\s*:|constexpr\b|enum\s+class\b"
                r"|#\s*include\s*<(string|vector|map|memory|functional|utility|algorithm|iostream"
                r"|cstd\w+|string_view|optional|type_traits|unordered_map|set|array|atomic)>)"
                r"|\bstd::\w|\boperator\s*[=<>+\-*\[(]|\bnoexcept\b|\bnullptr\b",
                "C++",
            ),
        ),
        "C",
    ),
    ".d": (_rules((r"^[ \t]*(module|import)\s+[\w.]+(\s*:[^;]*)?;", "D"), (r"", "")), ""),
    ".inc": (_rules((r"<\?php", "PHP"), (r"^\s*#\s*(include|define|if)|;\s*$", "C++")), "Assembly"),
    ".m": (
        _rules(
            (r"^\s*(@(interface|implementation|import|end)|#import|#include)\b", "Objective-C"),
            (r"^\s*(function\b|%|end\b|classdef\b)", "MATLAB"),
        ),
        "MATLAB",
    ),
    ".pl": (
        _rules((r"^#!.*perl|^\s*(use\s+(strict|warnings|v?5)|my\s+[$@%]|sub\s+\w+)", "Perl"),
               (r"^\s*:-|^\w+\(.*\)\s*(:-|\.)", "Prolog")),
        "Perl",
    ),
    ".pm": (_rules((r"^\s*package\s+[\w:]+\s*;", "Perl")), "Perl"),
    ".ts": (_rules((r"\A\s*<(\?xml|!DOCTYPE TS|TS\b)", "")), "TypeScript"),
    ".v": (
        _rules((r"^\s*(module\s+\w+\s*[#(;]|`(timescale|include|define)\b|endmodule)", "Verilog"),
               (r"^\s*(Require\s+Import|Lemma|Theorem|Definition|Proof)\b", "Coq"),
               (r"^\s*(fn\s+\w+|module\s+\w+$|import\s+\w+$)", "V")),
        "Verilog",
    ),
    ".fs": (
        _rules((r"^\s*#version\s+\d|\bgl_\w+", "GLSL"), (r"^\s*(: \w+|\\ )", "Forth")), "F#"
    ),
    ".cls": (_rules((r"^\s*\\(ProvidesClass|NeedsTeXFormat)", "TeX")), "Visual Basic"),
    ".sc": (_rules((r"SynthDef|\.ar\(|\.kr\(", "SuperCollider")), "Scala"),
}  # fmt: skip
_NAMES: Final = {
    "CMakeLists.txt": "CMake", "meson.build": "Meson", "meson_options.txt": "Meson",
    "Makefile": "Make", "makefile": "Make", "GNUmakefile": "Make", "Makefile.am": "Make",
    "configure.ac": "M4", "BUILD": "Starlark", "BUILD.bazel": "Starlark", "WORKSPACE": "Starlark",
    "SConstruct": "Python", "SConscript": "Python", "Rakefile": "Ruby", "Gemfile": "Ruby",
    "Dockerfile": "Dockerfile",
}  # fmt: skip
_BUILD_ENDINGS: Final = {
    ".cmake": "CMake", ".mk": "Make", ".m4": "M4", ".bzl": "Starlark", ".gradle": "Groovy",
}  # fmt: skip
_SHEBANG: Final = re.compile(r"\A#!\s*\S*?/(?:env\s+(?:-S\s+)?)?(\w+?)[\d.]*(?:\s|\Z)")
_INTERPRETERS: Final = {
    "sh": "Shell", "bash": "Shell", "zsh": "Shell", "dash": "Shell", "ksh": "Shell",
    "python": "Python", "perl": "Perl", "ruby": "Ruby", "node": "JavaScript", "tclsh": "Tcl",
    "php": "PHP", "lua": "Lua", "awk": "Awk", "gawk": "Awk", "Rscript": "R", "pwsh": "PowerShell",
}  # fmt: skip
_LOOKED_AT: Final = 1 << 20
"""Files without an ending that are larger are no scripts."""


def language_of(path: str, head: Callable[[], str]) -> str:
    """Return the language of a file, empty for what is none; `head` reads its beginning."""
    name = path.rpartition("/")[2]
    if name in _NAMES:
        return _NAMES[name]
    stem, dot, ending = name.rpartition(".")
    ending = dot + ending
    if dot and stem:
        if ending == ".C":
            return "C++"
        ending = ending.lower()
        if ending in _AMBIGUOUS:
            rules, otherwise = _AMBIGUOUS[ending]
            text = head()
            return next((lang for rule, lang in rules if rule.search(text)), otherwise)
        return _ENDINGS.get(ending) or _BUILD_ENDINGS.get(ending, "")
    if dot:
        return ""
    match = _SHEBANG.match(head())
    return _INTERPRETERS.get(match[1], "") if match else ""


def count(sizes: Mapping[str, int], head: Callable[[str], str]) -> tuple[Language, ...]:
    """Return the languages, the one with most bytes first."""
    files: Counter[str] = Counter()
    volume: Counter[str] = Counter()
    for path, size in sizes.items():
        name = path.rpartition("/")[2]
        if "." not in name and size > _LOOKED_AT:
            continue
        if language := language_of(path, lambda path=path: head(path)):  # type: ignore[misc]
            files[language] += 1
            volume[language] += size
    plain = sum(path.endswith(".c") for path in sizes)
    if files["C++"] and not plain and files["C"]:
        # Headers that any compiler takes, in a project that has no C besides.
        files["C++"] += files.pop("C")
        volume["C++"] += volume.pop("C")
    ranked = sorted(files, key=lambda language: (-volume[language], language))
    return tuple(Language(name, files[name], volume[name]) for name in ranked)
