"""Tells lines apart: complaints, what only wraps one, remarks on the way, probes, quoted code.

Knows no rule; the lines are comparable already (`text.py`).
"""

from __future__ import annotations

import re
from typing import Final

_REMARK: Final = re.compile(
    r"\s*(?:-- |[Cc]hecking (?!.*\berror: )|\+ |\$ |#\d+ |=> |Step \d+/\d+ :|---> |> \["
    r"|DEPRECATION: |cargo::?(?!warning=)\w"
    r"|debconf: |dpkg-preconfigure: |invoke-rc\.d: |ERROR: ld\.so: object "
    r"|\[ ?\d+%\] |\[(?:INFO|WARNING|WARN|DEBUG|info|warn|debug)\]|npm (?:WARN|warn|notice|info) "
    r"|gyp (?:info|WARN|verb) |= help: "
    r"|(?:Run-time|Build-time|Native|Found|Dependency|Program|Library|Header|Compiler for|Has "
    r"|Checking |Fetching value|Looking for)\b[^\n]*: (?:YES|NO)\b"
    r"|(?:\S+: ){0,3}(?:[Ww]arning|WARNING|[Nn]ote|NOTE|NOTICE|INFO|DEBUG|hint|help|W)\b[: ]"
    r"|(?:\S*/)?(?:[\w-]+-)?(?:gcc|g\+\+|clang(?:\+\+)?|cc|c\+\+|ld|ar|libtool)"
    r"(?:-\d+)?(?: [^:\n]*)? -\w)"
)
_COMPLAINT: Final = re.compile(
    r"\s*(?:\[(?:ERROR|FATAL|error)\] (?=\S)|(?:ERROR|FATAL|FAILURE|CMake Error)\b"
    r"|(?:[^\s:]+: ){0,3}(?:[Ff]atal |[Ss]yntax |internal compiler |[Ll]inker )?[Ee]rror\b ?:"
    r"|(?:[^\s:]+: ){0,2}(?:fatal|FATAL|E|panic): |\S+: \*\*\* (?!\[)|(?:npm|gyp) (?:ERR!|error) \w"
    r"|\S+(?::\d+|\(\d[\d,]*\)) ?:(?:\d+:)? (?:fatal )?error\b|[Ff]ailed to |[Uu]nable to "
    r"|(?:[A-Z]\w+)?(?:Error|Exception): )"
)
_WRAPPER: Final = re.compile(
    r"error: (?:subprocess-exited|metadata-generation|could not compile|failed to run custom build|"
    r"command '|legacy-install|linking with|failed to compile|process didn't exit)"
    r"|ERROR: (?:Failed building|Could not build wheels|Failed to build|Command errored|executor "
    r"failed|process \"|failed to (?:solve|build))|FAILED: |FAILURE: Build|exit(?:ed)?(?: with)? "
    r"(?:code|status)|returned (?:a )?non-zero|\bError \d+$|[Ff]ailed with (?:exit|return)"
    r"|errors? (?:generated|occurred)|code (?:ELIFECYCLE|1)\b|errno 1$|Execution failed for task"
    r"|Failed to execute goal|process completed|See also|failed executing|build failed"
    r"|[Ff]ailed to run custom build|Error installing|gem native extension"
    r"|failed to (?:get `|load source)|gyp ERR! (?:build|stack|System|cwd|node|command|not ok)"
    r"|npm (?:ERR!|error) (?:path|command|A complete|errno|Exit|Failed at|This is|There is)"
    r"|Building wheel|Traceback|oe_runmake failed|ExecutionError\(|Logfile of failure"
)
_AGAIN: Final = re.compile(r"(?i:\bretry(?:ing)?\b|will try again|tries remaining|attempt \d)")
_PROBE: Final = re.compile(
    r"\s*(?:configure:\d+: (?!error)|(?:\S*/)?(?:conftest\d*|CheckSymbolExists|CheckFunctionExists"
    r"|CheckIncludeFiles?|CheckTypeSize|CheckPrototypeExists)\.(?:c|cc|cpp|cxx|o)\b"
    r"|(?:\S*/)?meson-private/tmp\w+/testfile\.\w+|(?:\S*/)?CMakeScratch/\S+/src\.c\w*:)"
    r"|.*/(?:conftest|ccT\w+): "
)
PROBE_MARKS: Final = (
    "configure:",
    "conftest",
    "failed with the following output",
    "testfile.",
    "src.c",
)
"""One of these stands wherever checks tell what they tried."""
_PROBE_BEGINS: Final = re.compile(
    r"\s*(?:(?:Performing|Determining|Checking|Detecting|Compiling)\b.*"
    r" (?:failed with the following output|file .* failed\.)"
    r"|configure:\d+: (?:checking |(?:\S*/)?[\w-]*(?:cc|\+\+|clang)\s))"
)
_PROBE_ENDS: Final = re.compile(r"\s*(?:Source file was:|configure:\d+: (?:result|error|\$\? = 0))")
_COMPILER_FAILED: Final = re.compile(
    r"compiler cannot create executables|is not able to compile a simple test|cannot run C compiled"
    r"|can not compile programs|compiler identification is unknown"
)
_IDLE_TOOL: Final = re.compile(
    r"(?:\b(?:sh|bash|dash|make(?:\[\d+\])?)|line \d+|: \d+): (?:git|svn|hg|lsb_release|tput|clear"
    r"|stty|hostname|ldconfig|ccache|dot|doxygen|sudo|tty|locale|which|lscpu|nvidia-smi|nproc): "
)
_QUOTED: Final = re.compile(r"\s*\d+ \|(?: |$)")
_UNKNOWN_WORD: Final = re.compile(
    r"\S+:\d+:(?:\d+:)? (?:fatal )?(?:error|warning|note): [^\n]*?"
    r"(?:undeclared|was not declared|does not name|is not a member|undefined|redefined|redefinition"
    r"|previous (?:definition|declaration)|has no member|no member named)"
)


def is_remark(line: str) -> bool:
    """Tell whether a line is no complaint: a check's progress, a warning, an echoed command."""
    return _REMARK.match(line) is not None


def is_complaint(line: str) -> bool:
    """Tell whether a tool says here why it fails, and not only that another one did."""
    return (
        _COMPLAINT.match(line) is not None
        and _WRAPPER.search(line) is None
        and _REMARK.match(line) is None
    )


def is_tried_again(line: str) -> bool:
    """Tell whether the tool says that it will do this once more."""
    return _AGAIN.search(line) is not None


def probed(lines: list[str]) -> frozenset[int]:
    """Return the indices of what checks printed while they failed, as logs of checks keep it.

    Where the compiler itself does not work, a check's failure is the cause.
    """
    if any(_COMPILER_FAILED.search(line) for line in lines):
        return frozenset()
    found: set[int] = set()
    inside = False
    for number, line in enumerate(lines):
        if _PROBE_BEGINS.match(line):
            inside = True
        elif _PROBE_ENDS.match(line):
            inside = False
        if inside or _PROBE.match(line):
            found.add(number)
    return frozenset(found)


def is_idle(line: str) -> bool:
    """Tell whether a tool is missing that builds ask for and then do without."""
    return _IDLE_TOOL.search(line) is not None


def is_quoted_code(line: str) -> bool:
    """Tell whether a compiler shows source here: its words are nobody's message."""
    return _QUOTED.match(line) is not None


def is_about_a_word(line: str) -> bool:
    """Tell whether a compiler does not know a name: ENOMEM in code is no lack of memory."""
    return _UNKNOWN_WORD.match(line) is not None
