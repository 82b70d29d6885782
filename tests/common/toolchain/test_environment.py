"""Which variables reach a remote compile (traps 33 and 34)."""

from __future__ import annotations

import pytest

from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.environment import relevant_environment
from cyxmake_common.toolchain.local import LocalOnly

LOCALES = ("C.utf8", "en_US.utf8", "de_DE.utf8", "en_US.iso88591")


def result(environ: dict[str, str]) -> dict[str, str]:
    """Return the variables of an environment that must be accepted."""
    found = relevant_environment(CompilerKind.GCC, environ, locales=LOCALES)
    assert not isinstance(found, LocalOnly), found
    assert list(found) == sorted(found)
    return dict(found)


def test_only_what_a_compiler_reads() -> None:
    """Search paths and the epoch go along; the rest of the caller's environment does not."""
    environ = {"CPATH": "/x", "SOURCE_DATE_EPOCH": "1", "HOME": "/h", "PATH": "/odd", "TERM": "x"}
    assert result(environ) == {
        "CPATH": "/x",
        "SOURCE_DATE_EPOCH": "1",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }


@pytest.mark.parametrize(
    "name", ["DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "GCC_COMPARE_DEBUG", "LD_PRELOAD"]
)
def test_what_makes_it_impossible(name: str) -> None:
    """A variable that writes files or swaps programs keeps the compile here."""
    refusal = relevant_environment(CompilerKind.GCC, {name: "x"})
    assert isinstance(refusal, LocalOnly)
    assert name in refusal.reason


@pytest.mark.parametrize(
    ("environ", "locale"),
    [
        ({}, None),
        ({"LANG": "C"}, None),
        ({"LANG": "C.UTF-8"}, "C.UTF-8"),
        ({"LANG": "en_US.UTF-8"}, "C.UTF-8"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, None),
        ({"LANG": "C", "LC_CTYPE": "en_US.utf8"}, "C.UTF-8"),
        ({"LANG": "en_US.UTF-8", "LC_CTYPE": "C"}, None),
        ({"LANG": "fr_FR.UTF-8"}, None),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "en_US:en"}, "C.UTF-8"),
    ],
)
def test_locales(environ: dict[str, str], locale: str | None) -> None:
    """Only the quotes depend on the locale; one that is not installed means C."""
    assert result(environ).get("LC_ALL") == locale


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"LANG": "de_DE.UTF-8"}, "language"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "de"}, "language"),
        ({"LANG": "en_US.ISO-8859-1"}, "character set"),
    ],
)
def test_translated_messages_stay_here(environ: dict[str, str], reason: str) -> None:
    """Messages that a worker has no texts for are made here."""
    refusal = relevant_environment(CompilerKind.GCC, environ, locales=LOCALES)
    assert isinstance(refusal, LocalOnly)
    assert reason in refusal.reason


def test_without_knowledge_locales_are_believed() -> None:
    """Who does not know the installed locales takes the named one to be there."""
    found = relevant_environment(CompilerKind.CLANG, {"LANG": "en_US.UTF-8"})
    assert ("LC_ALL", "C.UTF-8") in found if not isinstance(found, LocalOnly) else False
