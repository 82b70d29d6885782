"""Breaks the lines of a depfile as its compiler would, so that it can be moved to another root.

Knows no files. A compiler wraps a depfile by the length of the names in it; when the project's root
is replaced by another of a different length, the same names must be wrapped anew to be the bytes
that the compiler would have written there. Whether a compiler is known this well is not assumed but
asked: `layout_of` tells which rule gives back the very bytes at hand, or None.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

ROOT_MARK: Final = b"\0root\0"
"""Stands for the root in a template; no file name can hold a NUL."""

_WORD: Final = re.compile(rb"(?:\\.|[^\s\\])+", re.DOTALL)
_PLAIN: Final = re.compile(rb"[\w/.+,@%-]+\Z")


class Layout(StrEnum):
    """Whose rule for breaking lines."""

    GCC = "gcc"
    CLANG = "clang"


def layout_of(depfile: bytes) -> Layout | None:
    """Return the layout under which a depfile is laid out again to the very same bytes."""
    for layout in Layout:
        if lay_out(depfile, layout) == depfile:
            return layout
    return None


def template(depfile: bytes, root: str) -> bytes | None:
    """Return a depfile with the root marked; None when the root cannot be told from other text.

    It begins a path, or stands in a target as CMake has it there (see toolchain.normalise).
    """
    name = root.encode("utf-8", "surrogateescape")
    if not _PLAIN.match(name) or ROOT_MARK in depfile:
        return None
    before = rb"(?:\A|(?<=\s)(?<!\\\s)" + (rb"|(?<=\.dir))" if root.count("/") > 1 else rb")")
    root_before_slash = re.escape(name) + rb"(?=/)"
    marked = re.sub(before + root_before_slash, lambda _: ROOT_MARK, depfile)
    # Within another path it may be there by chance.
    return None if re.search(root_before_slash, marked) else marked


def fill(marked: bytes, root: str, layout: Layout) -> bytes | None:
    """Return the depfile of a template for a project at `root`; None when it needs escaping."""
    name = root.encode("utf-8", "surrogateescape")
    if not _PLAIN.match(name):
        return None
    return lay_out(marked.replace(ROOT_MARK, name), layout)


def lay_out(depfile: bytes, layout: Layout) -> bytes:
    """Join the broken lines of a depfile and break them by a compiler's rule."""
    joined = depfile.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    breaker = _break_gcc if layout is Layout.GCC else _break_clang
    lines = joined.removesuffix(b"\n").split(b"\n")
    return b"".join(breaker(line) if line.strip() else b"\n" for line in lines)


def _split(line: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the targets (the last with its colon) and the prerequisites of one rule."""
    words = _WORD.findall(line)
    for number, word in enumerate(words):
        if word.endswith(b":"):
            return words[: number + 1], words[number + 1 :]
    return [], words


def _break_gcc(line: bytes) -> bytes:
    """Lay out a rule as libcpp's `make_write` does: at most 72 columns, one space to go on."""
    targets, files = _split(line)
    text, column = bytearray(), 0
    for word in (*targets, *files):
        size = len(word)
        # A target's colon is written after the decision about its line.
        counted = size - 1 if targets and word is targets[-1] else size
        if column:
            if column + counted > 72:
                text += b" \\\n"
                column = 0
            column += 1
            text += b" "
        column += size
        text += word
    return bytes(text) + b"\n"


def _break_clang(line: bytes) -> bytes:
    """Lay out a rule as clang's DependencyFileGenerator does: 75 columns, two spaces to go on."""
    targets, files = _split(line)
    text, column = bytearray(), 0
    for word in targets:
        size = len(word) - (word is targets[-1])
        if column == 0:
            column = size
        elif column + size + 2 > 75:
            column = size + 2
            text += b" \\\n  "
        else:
            column += size + 1
            text += b" "
        text += word
    column += 1
    for word in files:
        if column + len(word) + 1 + 2 > 75:
            text += b" \\\n "
            column = 2
        text += b" " + word
        column += len(word) + 1
    return bytes(text) + b"\n"
