"""What tools write for programs is read like what they write for people."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cyxmake_common.diagnosis.cmake_records import cache_not_found, read_configure_log
from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import Category, Diagnosis, LogInput
from cyxmake_common.diagnosis.structured import read

_OUTPUTS = Path(__file__).parent / "outputs"  # recorded from the tools themselves


def _read(name: str) -> list[Diagnosis]:
    return diagnose(LogInput((_OUTPUTS / name).read_text("utf-8"), 1))


@pytest.mark.parametrize(
    ("name", "category", "facts"),
    [
        ("gcc-fatal.json", Category.MISSING_HEADER, {"header": "nothing/here.h", "line": 1}),
        ("gcc.json", Category.WARNING_AS_ERROR, {"option": "unused-variable", "line": 2}),
        ("clang.sarif", Category.CODE_ERROR, {"symbol": "prinf", "file": "/src/a.c", "line": 3}),
        ("cargo.jsonl", Category.MISSING_MODULE, {"ecosystem": "rust", "module": "serde"}),
        ("go-build.jsonl", Category.CODE_ERROR, {"file": "./main.go", "line": 3}),
        ("go-vet.json", Category.CODE_ERROR, {"file": "/src/go/main.go", "line": 3}),
        ("eslint.json", Category.CODE_ERROR, {"file": "/src/es/b.js", "line": 1}),
        ("tsc.txt", Category.MISSING_MODULE, {"module": "nothing-here", "line": 1}),
        ("junit.xml", Category.MISSING_MODULE, {"ecosystem": "python", "module": "nothing_here"}),
    ],
)
def test_each_format_gives_its_first_cause(
    name: str, category: Category, facts: dict[str, str | int]
) -> None:
    """Output recorded from a real tool names category, place and name."""
    first = _read(name)[0]
    known = first.facts.known()
    assert first.category is category
    assert {k: known.get(k) for k in facts} == facts


def test_what_a_compiler_proposes_comes_along() -> None:
    """gcc's and clang's fix-its arrive with the error that they belong to."""
    (gcc,) = [d for d in _read("gcc-fixit.json") if d.fixits]
    (fixit,) = gcc.fixits
    assert (fixit.text, fixit.start, fixit.end) == ("push_back", (2, 35), (2, 43))
    (clang,) = [d for d in _read("clang-fixits.txt") if d.fixits]
    (fixit,) = clang.fixits
    assert (fixit.file, fixit.text, fixit.start, fixit.end) == ("a.c", ";", (3, 43), (3, 43))


def test_text_around_and_damage_are_kept() -> None:
    """A cut JSON line is text; text between reports is read as ever."""
    whole = (_OUTPUTS / "gcc-fatal.json").read_text("utf-8")
    found = diagnose(LogInput("make: entering\n" + whole + "/usr/bin/ld: cannot find -lz\n", 1))
    assert {d.category for d in found} == {Category.MISSING_HEADER, Category.MISSING_LIBRARY}
    assert read(whole[: len(whole) // 2]) is None
    assert diagnose(LogInput(whole[: len(whole) // 2], 1)) == []


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_gcc_of_this_machine_is_read(tmp_path: Path) -> None:
    """A real compile with JSON diagnostics says the same as one without."""
    source = tmp_path / "a.c"
    source.write_text("#include <cyxmake/never/there.h>\n")
    argv = ["gcc", "-c", "a.c", "-o", "a.o"]
    outputs = [
        subprocess.run([*argv, *more], cwd=tmp_path, capture_output=True, text=True, check=False)
        for more in ([], ["-fdiagnostics-format=json"])
    ]
    if "unrecognized" in outputs[1].stderr:
        pytest.skip("a gcc without JSON diagnostics")
    plain, structured = (diagnose(LogInput(o.stderr, o.returncode)) for o in outputs)
    assert [(d.fingerprint, d.facts) for d in plain] == [
        (d.fingerprint, d.facts) for d in structured
    ]


def test_a_configure_log_tells_which_checks_failed() -> None:
    """CMake's own record names the check, its variable and why it failed."""
    checks = read_configure_log((_OUTPUTS / "CMakeConfigureLog.yaml").read_text("utf-8"))
    (failed,) = [check for check in checks if check.failed]
    assert (failed.kind, failed.variable) == ("try_compile", "HAVE_NOTHING")
    assert failed.description == "Looking for nothing/here.h"
    (cause,) = diagnose(LogInput(failed.output, failed.exit_code))
    assert cause.facts.header == "nothing/here.h"
    assert [check.variable for check in checks if check.kind == "find"] == ["FOO"]


def test_a_cache_reply_tells_what_was_not_found() -> None:
    """The file API's cache object lists searches that ended with -NOTFOUND."""
    reply = """{"kind": "cache", "entries": [
      {"name": "FOO_LIBRARY", "type": "FILEPATH", "value": "FOO_LIBRARY-NOTFOUND",
       "properties": [{"name": "HELPSTRING", "value": "Path to a library."}]},
      {"name": "BAR", "type": "BOOL", "value": "ON", "properties": []}]}"""
    assert cache_not_found(reply) == [("FOO_LIBRARY", "Path to a library.")]
    assert cache_not_found("no json") == []
