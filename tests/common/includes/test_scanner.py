"""What the scanner finds in a file's bytes: a superset of what any compile asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyxmake_common.includes.scanner import (
    EMPTY,
    Definition,
    Directive,
    Kind,
    definition_of,
    names_file,
    scan,
    scan_calls,
    scan_definitions,
)

QUOTED, ANGLED = Directive(Kind.QUOTE, "a.h"), Directive(Kind.ANGLE, "a.h")


@pytest.mark.parametrize(
    ("text", "directives"),
    [
        ('#include "a.h"', [QUOTED]),
        ("#include <a.h>", [ANGLED]),
        ("  #\tinclude\t<a.h>", [ANGLED]),
        ('#include"a.h"', [QUOTED]),
        ("#include/**/<a.h>", [ANGLED]),
        ("/* x */ # /* y\n z */ include /* w */ <a.h> // v", [ANGLED]),
        ("#import <a.h>", [ANGLED]),
        ("#include_next <a.h>", [Directive(Kind.ANGLE_NEXT, "a.h")]),
        ('#include_next "a.h"', [Directive(Kind.QUOTE_NEXT, "a.h")]),
        ("#if 0\n#include <a.h>\n#endif", [ANGLED]),
        ("#\\\ninclude <a.h>", [ANGLED]),
        ("#include \\\r\n <a.h>", [ANGLED]),
        ("#inc\\\nlude <a.h>", [ANGLED]),
        ("#include <a\\\n.h>", [ANGLED]),
        ('#include \\\n\\\n"a.h"', [QUOTED]),
        ("%:include <a.h>", [ANGLED]),
        ("??=include <a.h>", [ANGLED]),
        ("#inc??/\nlude <a.h>", [ANGLED]),
        ('#embed "a.h" limit(3)', [Directive(Kind.QUOTE, "a.h", data=True)]),
        ("#if __has_include(<a.h>)", [Directive(Kind.ANGLE, "a.h", probe=True)]),
        ('#if __has_include ( "a.h" )', [Directive(Kind.QUOTE, "a.h", probe=True)]),
        ("#if __has_include__(<a.h>)", [Directive(Kind.ANGLE, "a.h", probe=True)]),
        ("#if __has_include_next(<a.h>)", [Directive(Kind.ANGLE_NEXT, "a.h", probe=True)]),
        ("#if __has_embed(<a.h>)", [Directive(Kind.ANGLE, "a.h", probe=True)]),
        ("#ifdef __has_include\n#elif defined(__has_include) && X", []),
        ('#pragma GCC dependency "a.h" note', [QUOTED]),
        ('asm(".incbin \\"a.h\\"");', [Directive(Kind.ASSEMBLER, "a.h", data=True)]),
        ('.incbin "a.h", 3, 4', [Directive(Kind.ASSEMBLER, "a.h", data=True)]),
        ('.include "a.h"', [Directive(Kind.ASSEMBLER, "a.h")]),
        ('#include ""', []),
        ("#includes <a.h>", []),
        ("#define include <a.h>", []),
        ("", []),
    ],
)
def test_directives(text: str, directives: list[Directive]) -> None:
    """Every way to name a file is found, whatever stands between."""
    assert list(scan(text.encode()).directives) == directives


@pytest.mark.parametrize(
    ("text", "macros"),
    [
        ("#include HEADER", ("HEADER",)),
        ("#include HEADER(x) // y", ("HEADER",)),
        ("#if __has_include(HEADER)", ("HEADER",)),
        (" *\n * use #include directive\n", ()),
        ("   #include this only once", ()),
        ("#include\n", ()),
    ],
)
def test_computed(text: str, macros: tuple[str, ...]) -> None:
    """Includes by macro are named; prose about includes is not mistaken for one (trap 22)."""
    assert scan(text.encode()).computed == macros


def test_wrapped_probe() -> None:
    """A macro that passes its parameter to __has_include is followed through its uses."""
    result = scan(b"#define HAS(x) (__has_include(x))\n#define NO(y) __has_include(z)\n")
    assert result.wrappers == ("HAS",)
    assert result.computed == ("z",)
    uses = scan_calls(b'#if HAS(<a.h>) || HAS ( "b.h" ) || XHAS(<c.h>)', ("HAS",))
    assert [use.name for use in uses] == ["a.h", "b.h"]
    assert all(use.probe for use in uses)
    assert scan_calls(b"nothing", ("HAS",)) == ()


def test_name_put_together_for_the_assembler_is_opaque() -> None:
    """A binary file whose name a macro makes can't be known (trap 24)."""
    assert scan(b'asm(".incbin " NAME);').opaque == (".incbin",)
    assert scan(b'asm(".incbin \\"" NAME "\\"");').opaque == (".incbin",)


@pytest.mark.parametrize(
    "text",
    [
        b'#define B "bin"\nasm(".inc" B " \\"data\\"");',
        b'#define REST "ncbin \\"data\\""\nasm(".i" REST);',
        b'#define REST "incbin \\"data\\""\nasm("." REST);',
        b'#define TEXT(x) #x\nasm("." TEXT(incbin) " \\"data\\"");',
    ],
)
def test_a_directive_of_the_assembler_in_pieces_is_opaque(text: bytes) -> None:
    """Where a macro stands between its literals nobody knows what file it names."""
    assert scan(text).opaque == (".incbin",)


def test_generated_includes_are_no_directive_in_pieces() -> None:
    """A program that writes `#include` lines, and speaks of asm, reads no file by them."""
    assert scan(b'/* asm */ puts("#include \\"a.h\\"");').opaque == ()


@pytest.mark.parametrize("macro", ["__DATE__", "__TIME__", "__TIMESTAMP__"])
def test_time(macro: str) -> None:
    """Macros of time are seen (trap 19), names that only begin like them are not."""
    assert scan(f"char *x = {macro};".encode()).uses_time
    assert not scan(b"__TIMESIZE __DATE __TIME_T_TYPE").uses_time


def test_nothing_is_one_value() -> None:
    """Files that mention nothing share one result."""
    assert scan(b"int x; /* include */ #define A 1\n") is EMPTY


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"a.h"', Definition("M", Directive(Kind.QUOTE, "a.h"))),
        ("<a.h> /* x */", Definition("M", Directive(Kind.ANGLE, "a.h"))),
        ("OTHER // x", Definition("M", alias="OTHER")),
        ("STR(a.h)", Definition("M", opaque=True)),
        ("A ## B", Definition("M", opaque=True)),
        ("1", None),
        ("", None),
        ("<a.h", None),
    ],
)
def test_definition_values(value: str, expected: Definition | None) -> None:
    """A macro's value is a file, another macro, something put together, or nothing of the kind."""
    assert definition_of("M", value.encode()) == expected


def test_definitions_of_a_file() -> None:
    """Values are collected from the whole file; function-like macros are opaque."""
    found = scan_definitions(b'#define A "a.h"\n # define B  A\n#define F(x) <x>\n#define N 1\n')
    assert found == (
        Definition("A", Directive(Kind.QUOTE, "a.h")),
        Definition("B", alias="A"),
        Definition("F", opaque=True),
    )


NAMES = st.text("abc./_-+ ", min_size=1, max_size=8)
GAPS = st.sampled_from(["", " ", "\t", "/* x */", "\\\n", " \\\r\n ", "/**/ /* \n */"])


@given(st.lists(st.tuples(NAMES, GAPS, GAPS, GAPS, st.booleans()), max_size=5), st.binary())
def test_no_directive_is_lost(parts: list[tuple[str, str, str, str, bool]], noise: bytes) -> None:
    """Whatever stands between the parts of a directive, and around it, its name is found."""
    text, names = b"", set()
    for name, before, middle, after, quoted in parts:
        named = f'"{name}"' if quoted else f"<{name}>"
        text += f"{before}#{middle}include{after}{named}\n".encode()
        names.add(Directive(Kind.QUOTE if quoted else Kind.ANGLE, name))
        text += noise.replace(b"\\", b"").replace(b"??", b"").replace(b"/*", b"") + b"\n"
    assert names <= set(scan(text).directives)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """No bytes make the scanner fail."""
    scan(data)
    scan_definitions(data)


def test_line_directives_name_files() -> None:
    """gcc shows lines of them; what is no file's name, or stands in the middle, is left out."""
    data = b'# 1 "a.y" 3 4\n #line 7 "d/b\\"q.y"\n# 1 "<built-in>"\n# 1 "/cwd//"\n'
    data += b'x # 1 "no"\n#line 9\n'
    named = [Directive(Kind.LINE, name, data=True) for name in ("a.y", 'd/b"q.y')]
    assert list(scan(data).directives) == named


@pytest.mark.parametrize(
    "data",
    [b'.incbin "\\name"', b'asm(".include \\"\\\\x\\"");', b'#pragma GCC pch_preprocess "x"'],
)
def test_what_can_not_be_followed(data: bytes) -> None:
    """The parameter of an assembler's macro is no file's name."""
    result = scan(data)
    assert result.opaque
    assert not result.directives


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("x = __FILE__;", True),
        ("x = CAT(__, FI ## LE__);", True),
        ("x = OF_THE_LIBRARY(FILE__);", True),
        ("x = MY_FILE__;", False),
        ("FILE *x;", False),
        ("x = file__;", False),
    ],
)
def test_a_text_that_may_come_to_name_its_file(text: str, named: bool) -> None:
    """Whole, in pieces, or as the piece to which a macro elsewhere gives the underscores."""
    assert names_file(text.encode()) is named
