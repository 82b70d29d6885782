"""What descriptions say: languages and kinds as a reader takes them, licences, names, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyxmake_cli.creation.model import Kind, Language, Licence
from cyxmake_cli.creation.offers import OFFERED, Chosen, decide
from cyxmake_cli.creation.understand import understand
from cyxmake_common.errors import UsageError


def _cases(name: str) -> Iterator[tuple[str, str]]:
    for line in Path(__file__).with_name(name).read_text("utf-8").splitlines():
        if not line.startswith("#"):
            wanted, _, text = line.rpartition(" | ")
            yield wanted, text


def _said(text: str) -> str:
    found = understand(text)
    return f"{found.language or '-'} {found.kind or '-'}"


@pytest.mark.parametrize("name", ["descriptions_open.txt", "descriptions_sealed.txt"])
def test_language_and_kind_are_those_that_a_reader_takes(name: str) -> None:
    """By one author: the sealed ones were read right before any rule was changed."""
    cases = list(_cases(name))
    assert len(cases) >= 30
    assert {text: _said(text) for _, text in cases} == {text: wanted for wanted, text in cases}


@pytest.mark.parametrize("name", ["descriptions_strangers.txt", "descriptions_fresh.txt"])
def test_what_strangers_wrote_is_read_too(name: str) -> None:
    """Any of the readings that are right will do; one of fifty may be missed."""
    cases = list(_cases(name))
    assert len(cases) >= 60
    missed = [text for wanted, text in cases if _said(text) not in wanted.split(" || ")]
    assert len(missed) <= len(cases) * 0.02, missed


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("a C tool, MIT", Licence.MIT),
        ("library under the Apache 2.0 license", Licence.APACHE),
        ("BSD-3-Clause python game", Licence.BSD),
        ("GPLv3 text editor", Licence.GPL),
        ("a proprietary go server", Licence.NONE),
        ("a tool that summits peaks", None),
    ],
)
def test_licences_are_read(text: str, licence: Licence | None) -> None:
    """By their usual names; a word that holds one's letters is none."""
    assert understand(text).licence is licence


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a small C++ command line tool that counts words, MIT", "counts-words"),
        ("a Rust library called ring-buffer", "ring-buffer"),
        ('Go web server named "Notes_2"', "notes-2"),
        ("hello world in C", None),
        ("a website for my bakery", "bakery-web"),
    ],
)
def test_a_name_is_found_in_the_words(text: str, name: str | None) -> None:
    """A given one as it is, otherwise out of what the project does."""
    assert understand(text).name == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a Kotlin library", "Kotlin: not offered"),
        ("python tool, AGPL", "AGPL: not offered"),
        ("a C library under LGPL-2.1", "LGPL-2.1: not offered"),
        ("C# desktop app", "C#: not offered"),
        ("a window in C", "c gui: not offered"),
        ("a rust gui", "rust gui: not offered"),
    ],
)
def test_what_is_not_offered_is_refused_with_what_is(text: str, says: str) -> None:
    """By its name, and never replaced by something else."""
    with pytest.raises(UsageError) as refused:
        decide(text, understand(text), Chosen())
    assert says in refused.value.message
    assert refused.value.next_step


def test_a_language_that_is_only_mentioned_does_not_stand_in_the_way() -> None:
    """Another that is offered is named as well, or chosen."""
    found = decide("a python tool that counts ruby files", understand("a python tool, ruby"),
                   Chosen())  # fmt: skip
    assert found.language is Language.PYTHON
    assert decide("kotlin", understand("kotlin"), Chosen(language=Language.JAVA)).language is (
        Language.JAVA
    )


def test_options_count_more_than_words() -> None:
    """Each of them, and what is said of nothing is told as assumed."""
    text = "a rust library, MIT"
    chosen = Chosen("my-game", Language.GO, Kind.GAME, Licence.GPL)
    found = decide(text, understand(text), chosen)
    assert (found.name, found.language, found.kind, found.licence, found.assumed) == (
        "my-game", Language.GO, Kind.GAME, Licence.GPL, (),
    )  # fmt: skip
    assert len(decide("fireworks", understand("fireworks"), Chosen()).assumed) == 3


@pytest.mark.parametrize("name", ["json", "test", "9lives", "a/b", "..", "x" * 41, "Ä", "class"])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    """Those that a language has taken as well."""
    with pytest.raises(UsageError):
        decide("a tool", understand("a tool"), Chosen(name=name))


@settings(max_examples=50)
@given(st.text(max_size=300))
def test_any_text_is_understood_or_refused(text: str) -> None:
    """Nothing that somebody may type is an error of ours, and a name is always a good one."""
    try:
        spec = decide(text, understand(text), Chosen())
    except UsageError:
        return
    assert (spec.language, spec.kind) in OFFERED
    assert spec.identifier.isidentifier()
    assert spec.description.isprintable()
