"""Finds what a source or header may read, from its bytes alone.

Knows no files and no macros: conditionals are ignored, so the answer is a superset of what any
compile of this file could ask for. A name in a comment costs a look-up; a name missed would cost a
wrong build.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Kind(IntEnum):
    """How a name is looked for."""

    QUOTE = 0
    """Beside the file first, then along the search path."""
    ANGLE = 1
    QUOTE_NEXT = 2
    ANGLE_NEXT = 3
    ASSEMBLER = 4
    """By the assembler: from the working directory, then along -I."""
    LINE = 5
    """Named by a line directive: gcc shows its text in messages. From the working directory."""

    @property
    def is_for_later(self) -> bool:
        """Tell whether it still means something when the text has been preprocessed."""
        return self in (Kind.ASSEMBLER, Kind.LINE)


@dataclass(frozen=True, slots=True)
class Directive:
    """One name that a file mentions.

    `probe` for `__has_include`: asked for, not read; `data` for `#embed` and `.incbin`: read, not
    scanned.
    """

    kind: Kind
    name: str
    probe: bool = False
    data: bool = False


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What one file mentions.

    `computed` are macros whose value names a file; `wrappers` are macros that ask `__has_include`
    for their argument; `opaque` are ways to read a file that can't be followed from here.
    """

    directives: tuple[Directive, ...] = ()
    computed: tuple[str, ...] = ()
    wrappers: tuple[str, ...] = ()
    opaque: tuple[str, ...] = ()
    uses_time: bool = False
    uses_timestamp: bool = False
    """It mentions the modification time of a file, which no variable freezes."""
    once: bool = False
    """It asks to be read once: gcc then takes a file of equal bytes and time for the same one."""
    names_itself: bool = False
    """It mentions `__FILE__` or its like: what it means may depend on where it stands."""
    names_caller: bool = False
    """It mentions `__builtin_FILE` or its like, which no preprocessor expands."""
    names_types: bool = False
    """It asks for the name of a type: clang names those without one by their place."""
    offloads: bool = False
    """It has code for another device, which clang names by device and inode of the file."""


EMPTY: Final = ScanResult()

# Blanks, comments and spliced lines, as they may stand between the parts of a directive.
_GAP: Final = rb"(?:[ \t\v\f]|/\*(?:[^*]|\*(?!/))*\*/|\\[ \t]*\r?\n)*"
_NAME: Final = rb"""(?:"([^"\n]*)"|<([^>\n]*)>"""
_DIRECTIVE: Final = re.compile(
    rb"#"
    + _GAP
    + rb"(?:(include_next|include|import|embed)"
    + _GAP
    + _NAME
    + rb"|([^\n]*))"
    # The keyword itself may be broken over two lines: then the whole file is joined and read again.
    + rb"|(i[a-z_]*|e[a-z]*|)\\[ \t]*\r?\n"
    + rb"|pragma"
    + _GAP
    + rb"GCC"
    + _GAP
    + rb"dependency"
    + _GAP
    + _NAME
    + rb"))"
)
_PROBE: Final = re.compile(
    rb"__has_(include_next|include|embed)(?:__)?"
    + _GAP
    + rb"(?:\("
    + _GAP
    + rb")?"
    + _NAME
    + rb"|(?<=[( \t])([A-Za-z_$][\w$]*)\s*\))"
)
_PROSE: Final = re.compile(rb"[A-Za-z_$][\w$]*[ \t]+[a-z]")
_TIME: Final = re.compile(rb"__(?:DATE|TIME|TIMESTAMP)__")


def _beginnings(name: str) -> str:
    return name if len(name) == 1 else f"{name[0]}(?:{_beginnings(name[1:])})?"


# A name of the file, or the first piece of one: `##` and spliced lines put pieces together. Where
# the first piece is one underscore, the next is looked for.
_ITSELF: Final = re.compile(
    rb"_(?<!\w_)(?:_?(?:%s)(?!\w)|_(?!\w)|(?=\s*(?:##|,\s*_\b)))"
    % "|".join(
        map(_beginnings, ("FILE__", "BASE_FILE__", "builtin_FILE", "builtin_source_location"))
    ).encode()
)
# The last piece, for a macro of the C library that puts underscores before it.
_ENDING: Final = re.compile(rb"(?<!\w)_?(?:BASE_)?FILE__(?!\w)")
_TYPES: Final = re.compile(rb"__(?:PRETTY_FUNCTION__|FUNCSIG__|builtin_dump_struct)")
_OFFLOAD: Final = re.compile(rb"omp\b[^\n]*\btarget\b")
_PRAGMA_ONCE: Final = re.compile(rb"pragma" + _GAP + rb"once")
_IMPORT: Final = re.compile(rb"#" + _GAP + rb"import")
_ADJACENT: Final = re.compile(rb'(?<!\\)"\s*"')
_INCBIN: Final = re.compile(rb'\.(incbin|include)\b[ \t]*(?:\\?"((?:[^"\\\n]|\\[^"\n])*)\\?")?')
# A directive whose literals have a macro between them: what it names can't be known from here.
_PIECES: Final = re.compile(
    rb"(?<![.\w#])(?:incbin|include[ \t]*\\\")"
    rb"|\.(?:i(?:n(?:c(?:b(?:i(?:n)?)?|l(?:u(?:d(?:e)?)?)?)?)?)?)\"\s*[A-Za-z_#]"
)
_LINE: Final = re.compile(rb'#[ \t]*(?:line\b|\d)[^"\n]*"((?:[^"\\\n]|\\.)+)"')
_ESCAPE: Final = re.compile(rb"\\(.)")
_SPLICE: Final = re.compile(rb"\\[ \t]*\r?\n")
_DIGRAPH: Final = re.compile(rb"(?:%:|\?\?=)(?=" + _GAP + rb"(?:include|import|embed))")
_TRIGRAPH_SLASH: Final = b"??/"
_KEYWORDS: Final = (b"include_next", b"import", b"embed")
_DEFINE_HEAD: Final = re.compile(rb"#[ \t]*define[ \t]+([A-Za-z_$][\w$]*)\(([^)\n]*)\)")
_MACRO: Final = re.compile(rb"[A-Za-z_$][\w$]*")


def scan(data: bytes) -> ScanResult:
    """Return everything that a file's bytes may lead to."""
    found = _Findings()
    if b"%:" in data or b"??=" in data:
        data = _DIGRAPH.sub(b"#", data)
    if _TRIGRAPH_SLASH in data:
        data = data.replace(_TRIGRAPH_SLASH, b"\\")
    if found.take_directives(data):
        found.take_directives(_SPLICE.sub(b"", data))
    if b"__has_include" in data or b"__has_embed" in data:
        found.take_probes(data)
    found.take_lines(data)
    if b"pch_preprocess" in data:
        found.opaque["#pragma GCC pch_preprocess"] = None
    if b".inc" in data:
        found.take_assembler(data)
        if b"asm" in data:
            # One statement of the assembler may stand in several literals.
            found.take_assembler(_ADJACENT.sub(b"", data))
    if b"asm" in data and _PIECES.search(data):
        found.opaque[".incbin"] = None
    uses_time = (b"__DATE__" in data or b"__TIME" in data) and _TIME.search(data) is not None
    caller = b"source_location" in data or b"builtin_FILE" in data
    itself = caller or names_file(data)
    # Where a pattern begins like half of the text, a word of it is looked for first.
    types = (b"__FUNC" in data or b"__PRETTY_FUNC" in data or b"dump_struct" in data) and (
        _TYPES.search(data) is not None
    )
    offloads = b"omp" in data and _OFFLOAD.search(data) is not None
    once = (
        b"_Pragma" in data
        or (b"once" in data and _PRAGMA_ONCE.search(data) is not None)
        or (b"import" in data and _IMPORT.search(data) is not None)
    )
    known = once or found.directives or found.computed or found.wrappers or found.opaque
    if not (known or uses_time or itself or types or offloads):
        return EMPTY
    return ScanResult(
        tuple(found.directives),
        tuple(found.computed),
        tuple(found.wrappers),
        tuple(found.opaque),
        uses_time,
        uses_time and b"__TIMESTAMP__" in data,
        once,
        itself,
        caller,
        types,
        offloads,
    )


def names_file(data: bytes) -> bool:
    """Tell whether a text may come to mention its own file's name."""
    return _ITSELF.search(data) is not None or (
        b"FILE__" in data and _ENDING.search(data) is not None
    )


class _Findings:
    """Collects in order, each thing once."""

    def __init__(self) -> None:
        self.directives: dict[Directive, None] = {}
        self.computed: dict[str, None] = {}
        self.wrappers: dict[str, None] = {}
        self.opaque: dict[str, None] = {}

    def take_directives(self, data: bytes) -> bool:
        """Find directives; True when one may be broken over lines so that it was not understood."""
        broken = False
        for match in _DIRECTIVE.finditer(data):
            word, quoted, angled, other, cut, noted, noted_angled = match.groups()
            if word is None:
                if cut is not None:
                    broken = broken or any(keyword.startswith(cut) for keyword in _KEYWORDS)
                else:
                    self._add(Kind.ANGLE if noted is None else Kind.QUOTE, noted or noted_angled)
                    # It compares times of files, which are others elsewhere.
                    self.opaque["#pragma GCC dependency"] = None
            elif other is not None:
                if _begins_line(data, match.start()):
                    broken = self._take_other(other) or broken
            else:
                kind = _kind(word, quoted is not None)
                self._add(kind, angled if quoted is None else quoted, data=word == b"embed")
        return broken

    def take_probes(self, data: bytes) -> None:
        """Find the names that `__has_include` and its like ask for."""
        for match in _PROBE.finditer(data):
            word, quoted, angled, other = match.groups()
            if other is None:
                name = angled if quoted is None else quoted
                self._add(_kind(word, quoted is not None), name, probe=True)
            elif (wrapper := _wrapper(data, match.start(), other)) is not None:
                self.wrappers[wrapper] = None
            else:
                self._take_computed(other)

    def take_assembler(self, data: bytes) -> None:
        """Find `.incbin` and `.include`, also inside of inline assembly."""
        for match in _INCBIN.finditer(data):
            name = match[2]
            if name and b"\\" in name:
                self.opaque[f".{match[1].decode()}"] = None  # the parameter of an assembler's macro
            elif name:
                self._add(Kind.ASSEMBLER, name, data=match[1] == b"incbin")
            elif match[1] == b"incbin":
                # A name that the preprocessor puts together can't be known from here.
                self.opaque[".incbin"] = None

    def take_lines(self, data: bytes) -> None:
        """Find the files that line directives name; `<built-in>` and directories are none."""
        for match in _LINE.finditer(data):
            name = _ESCAPE.sub(rb"\1", match[1])
            if _begins_line(data, match.start()) and name[:1] != b"<" and name[-1:] != b"/":
                self._add(Kind.LINE, name, data=True)

    def _take_other(self, text: bytes) -> bool:
        """Take what is neither quoted nor angled; True when the line goes on in the next one."""
        stripped = text.rstrip()
        if stripped.endswith(b"\\"):
            return True
        if not _PROSE.match(stripped):
            # Two plain words are a sentence in a comment, as in "#include this only once".
            self._take_computed(stripped)
        return False

    def _take_computed(self, text: bytes) -> None:
        if match := _MACRO.match(text):
            self.computed[match[0].decode("ascii")] = None

    def _add(self, kind: Kind, name: bytes, *, probe: bool = False, data: bool = False) -> None:
        if name:
            self.directives[Directive(kind, _text(name), probe, data)] = None


def _begins_line(data: bytes, position: int) -> bool:
    """Tell whether only blanks or the end of a comment stand before; in prose words do."""
    before = data[data.rfind(b"\n", 0, position) + 1 : position].strip()
    return not before or before.endswith((b"*/", b"\\"))


def _wrapper(data: bytes, position: int, argument: bytes) -> str | None:
    """Return the macro whose definition this is, when it hands its own parameter to the probe."""
    name = _MACRO.match(argument)
    head = _DEFINE_HEAD.match(data[data.rfind(b"#", 0, position) : position])
    if name is None or head is None:
        return None
    parameters = [parameter.strip() for parameter in head[2].split(b",")]
    known = name[0] in parameters or (name[0] == b"__VA_ARGS__" and b"..." in parameters)
    return head[1].decode("ascii") if known else None


def _kind(word: bytes, quoted: bool) -> Kind:
    if word == b"include_next":
        return Kind.QUOTE_NEXT if quoted else Kind.ANGLE_NEXT
    return Kind.QUOTE if quoted else Kind.ANGLE


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


_DEFINE: Final = re.compile(
    rb"#[ \t]*define[ \t]+([A-Za-z_$][\w$]*)(\([^)\n]*\))?[ \t]+(?:\\\r?\n[ \t]*)?([^\n]*)"
)
_VALUE: Final = re.compile(rb'(?:"([^"\n]+)"|<([^>\n]+)>|([A-Za-z_$][\w$]*))\s*(?:/[*/].*)?\Z')


def scan_calls(data: bytes, wrappers: tuple[str, ...]) -> tuple[Directive, ...]:
    """Return the names that a file passes to macros which wrap `__has_include`."""
    if not any(wrapper.encode() in data for wrapper in wrappers):
        return ()
    names = b"|".join(re.escape(wrapper.encode()) for wrapper in wrappers)
    pattern = re.compile(
        rb"\b(?:" + names + rb")" + _GAP + rb"\(" + _GAP + rb'(?:"([^"\n]+)"|<([^>\n]+)>)'
    )
    return tuple(
        Directive(Kind.ANGLE if match[1] is None else Kind.QUOTE, _text(match[1] or match[2]), True)
        for match in pattern.finditer(data)
    )


@dataclass(frozen=True, slots=True)
class Definition:
    """One value that a macro may have: a file's name, another macro, or something put together."""

    macro: str
    directive: Directive | None = None
    alias: str = ""
    opaque: bool = False


def scan_definitions(data: bytes) -> tuple[Definition, ...]:
    """Return the macros of a file whose value may name a file, for includes by macro."""
    found: dict[Definition, None] = {}
    for match in _DEFINE.finditer(data):
        macro = match[1].decode("ascii")
        if match[2] is not None:
            found[Definition(macro, opaque=True)] = None
        elif definition := definition_of(macro, match[3]):
            found[definition] = None
    return tuple(found)


def definition_of(macro: str, value: bytes) -> Definition | None:
    """Return what a macro's value means in an `#include`; None when it can't name a file."""
    value = value.strip()
    match = _VALUE.match(value)
    if match is None:
        return Definition(macro, opaque=True) if b"(" in value or b"##" in value else None
    if match[1] is not None:
        return Definition(macro, Directive(Kind.QUOTE, _text(match[1])))
    if match[2] is not None:
        return Definition(macro, Directive(Kind.ANGLE, _text(match[2])))
    return Definition(macro, alias=match[3].decode("ascii"))
