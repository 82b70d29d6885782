"""Names that Windows cannot hold, or finds under another spelling."""

from __future__ import annotations

import pytest

from cyxmake_worker.windows_names import Spellings, clashing, mentioned, unsafe_name


@pytest.mark.parametrize(
    "name",
    ["aux", "AUX.h", "com1.txt", "lpt¹", "nul .c", "a:b", "a?", "b\\c", "end.", "end ", "\x01",
     "x" * 256],
)  # fmt: skip
def test_names_that_windows_cannot_hold(name: str) -> None:
    """Devices with any ending, letters with a meaning, ends that get lost, too many letters."""
    assert unsafe_name(name)


@pytest.mark.parametrize("name", ["auxiliary.h", "a.aux", "com10", "x.h", ".hidden", "ü" * 255])
def test_names_that_windows_can_hold(name: str) -> None:
    """What only looks like one of those is taken."""
    assert not unsafe_name(name)


def test_names_that_are_one_on_windows() -> None:
    """The second spelling is the one named; equal names are no clash."""
    assert clashing(["a.h", "b.h", "A.h"]) == "A.h"
    assert clashing(["straße", "STRASSE", "a.h"]) == "STRASSE"
    assert clashing(["a.h", "b.h"]) is None


def test_what_a_source_asks_for() -> None:
    """Includes of all kinds and questions for them, in branches that are not taken, too."""
    text = (
        b'#include "a.h"\n# include_next <sub/b.h>\n#if __has_include( <C.h>)\n#import "d"\n'
        b'#inclu\\\nde "e.h"\n#embed "f"\nint include; // "g.h"\n'
    )
    assert list(mentioned(text)) == ["a.h", "sub/b.h", "C.h", "d", "e.h", "f"]


def test_only_another_spelling_counts() -> None:
    """A name that is there, and one that is nowhere, are both found alike on every system."""
    known = Spellings(["Part.h", "sub", "other.h"])
    assert known.misspelt("sub/Part.h") is None
    assert known.misspelt("/sub/../none.h") is None
    assert known.misspelt("Sub/Part.h") == "Sub"
    assert known.misspelt_in(b'#include "none.h"\n#if __has_include("part.h")\n') == "part.h"
