"""Depfiles and /showIncludes lines."""

from __future__ import annotations

import pytest

from cyxmake_cli.ninja.depfile import parse_depfile, parse_show_includes
from cyxmake_cli.ninja.errors import DepfileError


@pytest.mark.parametrize(
    ("text", "outputs", "inputs"),
    [
        (b"build/ninja.o: ninja.cc ninja.h eval_env.h manifest_parser.h\n",
         ["build/ninja.o"], ["ninja.cc", "ninja.h", "eval_env.h", "manifest_parser.h"]),
        (b" \\\n  out: in\n", ["out"], ["in"]),
        (b"foo.o: \\\n  bar.h baz.h\n", ["foo.o"], ["bar.h", "baz.h"]),
        (b"foo.o: \\\r\n  bar.h baz.h\r\n", ["foo.o"], ["bar.h", "baz.h"]),
        (b"foo.o:\\\n  bar.h \\\n  \\\n", ["foo.o"], ["bar.h"]),
        (b"a\\ bc\\ def:   a\\ b c d", ["a bc def"], ["a b", "c", "d"]),
        (b"a\\ b\\#c.h: \\\\\\\\\\  \\\\\\\\ \\\\share\\info\\\\#1",
         ["a b#c.h"], ["\\\\ ", "\\\\\\\\", "\\\\share\\info\\#1"]),
        (b"\\!\\@\\#$$\\%\\^\\&\\[\\]\\\\:", ["\\!\\@#$\\%\\^\\&\\[\\]\\\\"], []),
        (b"c\\:\\gcc\\x86_64-w64-mingw32\\include\\stddef.o: c:\\gcc\\include\\stddef.h \n",
         ["c:\\gcc\\x86_64-w64-mingw32\\include\\stddef.o"], ["c:\\gcc\\include\\stddef.h"]),
        (b"foo1\\: x\nfoo1\\:\nfoo1\\:\r\n", ["foo1\\"], ["x"]),
        (b"C:/Program\\ Files\\ (x86)/Microsoft\\ crtdefs.h: en@quot.header~ t+t-x!=1 []\n",
         ["C:/Program Files (x86)/Microsoft crtdefs.h"],
         ["en@quot.header~", "t+t-x!=1", "[]"]),
        (b"foo foo: x y z", ["foo"], ["x", "y", "z"]),
        (b"foo bar: x y\nfoo: z\nbar: y\n", ["foo", "bar"], ["x", "y", "z"]),
        (b"foo: x y\ny:\nx:\n", ["foo"], ["x", "y"]),
        (b"foo : x\n", ["foo"], ["x"]),
        (b"./out/../foo.o: ./a//b.h\n", ["foo.o"], ["a/b.h"]),
        (b"", [], []),
        ("é.o: ü.h\n".encode(), ["é.o"], ["ü.h"]),
    ],
)  # fmt: skip
def test_depfiles_are_read_as_compilers_write_them(
    text: bytes, outputs: list[str], inputs: list[str]
) -> None:
    """Escapes, continuations, several targets, Windows drives, phony header targets."""
    assert parse_depfile(text) == (outputs, inputs)


def test_a_header_with_inputs_of_its_own_is_refused() -> None:
    """Chains of rules in one depfile make no sense for a single output."""
    with pytest.raises(DepfileError, match="inputs may not also have inputs"):
        parse_depfile(b"foo: x y\nx: z\n")


def test_text_without_a_rule_is_refused() -> None:
    """A depfile that names no target is broken."""
    with pytest.raises(DepfileError, match="expected ':' in depfile"):
        parse_depfile(b"foo.o foo.c\n")


def test_show_includes_lines_are_taken_out() -> None:
    """Headers are collected, system headers dropped, the echoed source name hidden."""
    output = (
        b"foo.cc\r\n"
        b"Note: including file:  b.h\r\n"
        b"Note: including file: c:\\Program Files\\x.h\r\n"
        b"Note: including file: ./sub//a.h\n"
        b"cl: warning\r\n"
    )
    assert parse_show_includes(output) == (["b.h", "sub/a.h"], b"cl: warning\n")


def test_show_includes_prefix_can_be_localised() -> None:
    """The prefix comes from msvc_deps_prefix where the compiler speaks another language."""
    assert parse_show_includes(b"Hinweis: x.h\n", b"Hinweis: ") == (["x.h"], b"")
