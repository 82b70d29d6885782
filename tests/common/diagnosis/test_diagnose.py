"""Several causes in one output: which come first, which are left out, what stays the same."""

from __future__ import annotations

import time

import pytest

from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import Category, LogInput, Phase
from cyxmake_common.diagnosis.rules import rules_with_examples


def _causes(text: str, exit_status: int | None = 1) -> list[tuple[Category, str]]:
    return [(d.category, d.rule) for d in diagnose(LogInput(text, exit_status))]


def test_the_first_error_comes_first_and_each_cause_once() -> None:
    """Two units without the same header and one without another are two causes."""
    text = (
        "a.c:1:10: fatal error: zlib.h: No such file or directory\ncompilation terminated.\n"
        "b.c:7:10: fatal error: pcap.h: No such file or directory\n"
        "c.c:2:10: fatal error: zlib.h: No such file or directory\n"
        "make: *** [Makefile:3: a.o] Error 1\n"
    )
    found = diagnose(LogInput(text, 2))
    assert [(d.facts.header, d.count) for d in found] == [("zlib.h", 2), ("pcap.h", 1)]
    assert found[0].lines == (1, 4)
    assert found[1].lines == (3,)


def test_what_follows_from_an_error_is_left_out() -> None:
    """A compiler that lost its way complains to the end of the file: one cause."""
    text = (
        "a.cc:3:1: error: expected ';' before 'int'\n"
        "a.cc:4:1: error: 'x' was not declared in this scope\n"
        "a.cc:9:1: error: expected '}' at end of input\n"
        "b.cc:1:1: error: 'y' was not declared in this scope\n"
    )
    found = diagnose(LogInput(text, 1))
    assert [(d.facts.file, d.facts.line) for d in found] == [("a.cc", 3), ("b.cc", 1)]


def test_a_full_disk_explains_the_rest() -> None:
    """Errors of a compiler whose output was cut off are not causes."""
    text = (
        "a.cc:3:1: error: unexpected end of file\n"
        "cc1plus: fatal error: error writing to /tmp/ccx.s: No space left on device\n"
    )
    assert [c for c, _ in _causes(text)] == [Category.DISK_FULL]


def test_nothing_is_said_of_what_no_rule_knows() -> None:
    """Success, noise and a bare failure of make have no cause to name."""
    assert _causes("[1/2] Building C object a.o\n[2/2] Linking C executable app\n", 0) == []
    assert _causes("make[1]: *** [Makefile:3: all] Error 1\nmake: *** [all] Error 2\n") == []
    assert _causes("collect2: error: ld returned 1 exit status\n") == []


def test_a_fingerprint_outlives_paths_lines_and_numbers() -> None:
    """The same cause on another machine has the same name; another cause has another."""

    def name(text: str) -> str:
        return diagnose(LogInput(text, 1))[0].fingerprint

    here = name("/home/ann/p/a.c:3:10: fatal error: zlib.h: No such file or directory")
    there = name("C:/work/q/b.c:99:1: fatal error: zlib.h: No such file or directory")
    other = name("/home/ann/p/a.c:3:10: fatal error: png.h: No such file or directory")
    assert here == there != other
    first = name("/home/ann/p/a.cc:3:1: error: expected ';' before 'int'")
    second = name("/srv/ci/7/a.cc:30:11: error: expected ';' before 'int'")
    assert first == second


def test_lines_keep_their_numbers_under_colours_and_prefixes() -> None:
    """What a terminal or a CI service adds is looked through; line numbers stay."""
    text = (
        "2026-01-02T03:04:05.678Z one\n"
        "2026-01-02T03:04:05.679Z \x1b[1ma.c:1:10:\x1b[m \x1b[31mfatal error: \x1b[mzlib.h: "
        "No such file or directory\n"
    )
    (found,) = diagnose(LogInput(text, 1, phase=Phase.COMPILE))
    assert (found.facts.header, found.lines) == ("zlib.h", (2,))


@pytest.mark.parametrize(
    "text",
    [
        "a.c:1:10: schwerwiegender Fehler: zlib.h: Datei oder Verzeichnis nicht gefunden",
        "a.c:1:10: erreur fatale: zlib.h : Aucun fichier ou dossier de ce type",
        "a.c:1:10: 致命错误：zlib.h：没有那个文件或目录".replace("h：", "h: "),
    ],
)
def test_other_languages_are_read(text: str) -> None:
    """A compiler that speaks German, French or Chinese misses the same header."""
    (found,) = diagnose(LogInput(text, 1))
    assert (found.category, found.facts.header) == (Category.MISSING_HEADER, "zlib.h")


def test_a_long_log_is_read_in_time() -> None:
    """Every example many times over, and a line without end, take seconds."""
    examples = "\n".join(t for _, ex in rules_with_examples() for t in ex.positive)
    text = (examples + "\nnoise /a/b/c.o -I/x \n") * (400_000 // len(examples)) + "a:" * 500_000
    assert diagnose(LogInput(text, 1))


@pytest.mark.parametrize("at", [0, 60_000, 119_999], ids=["begin", "middle", "end"])
def test_ten_megabytes_are_read_within_a_second(at: int) -> None:
    """The one complaint of a very long log is found wherever it stands, with its line number."""
    line = "cc -O2 -Iinclude -DNDEBUG -c -o objects/module_of_something_1234.o src/module.c  # made"
    lines = [line] * 120_000
    lines[at] = "src/a.c:1:10: fatal error: zlib.h: No such file or directory"
    text = "\n".join(lines)
    assert len(text) > 10_000_000
    diagnose(LogInput("warm"))
    begun = time.process_time()
    (found,) = diagnose(LogInput(text, 1))
    assert time.process_time() - begun < 1.0
    assert (found.facts.header, found.lines[0]) == ("zlib.h", at + 1)


_NOISE = {
    "what follows": (
        "CMake Error: frob is not good\n"
        "make: *** No targets specified and no makefile found.  Stop.\n"
    ),
    "said on the way": (
        "fatal: not a git repository (or any of the parent directories): .git\n"
        "ERROR: frobnication of the gizmo failed\n"
    ),
    "a warning": "npm WARN EBADENGINE Unsupported engine {\nnpm ERR! code 1\n",
    "what a check asked": "-- Could NOT find Doxygen (missing: DOXYGEN_EXECUTABLE)\n",
    "quoted code": '   12 |   return "Connection refused";\n',
    "an echoed command": 'gcc -DTEXT="fatal error: x.h: No such file or directory" -o a.o -c a.c\n',
    "the installer's": "debconf: (Can't locate Term/ReadLine.pm in @INC (you may need it))\n",
    "only that it failed": "ERROR: Failed building wheel for foo\nninja: build stopped.\n",
    "after what nobody understands": (
        "error: the gizmo is not frobnicated\n\n\n\n\n\n\n\n"
        "error: could not open file 'data/words.txt'\n"
    ),
}


@pytest.mark.parametrize("kind", list(_NOISE))
def test_noise_is_no_cause(kind: str) -> None:
    """What builds say that go on, or that failed before, names nothing."""
    text = _NOISE[kind]
    if kind == "what a check asked":
        text += "CMake Error at cmake/foo.cmake:3 (message):\n  Frobnication is needed\n"
    assert _causes(text) == []


@pytest.mark.parametrize(
    ("noise", "category"),
    [
        ("WARNING: Retrying (Retry(total=4)) after connection broken by 'Read timed out.'\n", None),
        ("/bin/sh: 1: git: not found\n", None),
        (
            "Performing C SOURCE FILE Test HAVE_PTHREAD failed with the following output:\n"
            "src.c:(.text+0x2d): undefined reference to `pthread_create'\n"
            "Source file was:\n#include <pthread.h>\n",
            None,
        ),
        ("conftest.c:20:10: fatal error: foo.h: No such file or directory\n", None),
        ("a.c:5:3: error: 'ENOMEM' undeclared (first use in this function)\n", "code_error"),
    ],
)
def test_the_cause_is_found_behind_noise(noise: str, category: str | None) -> None:
    """What is tried again, asked by a check or only named in code hides no error of a compiler."""
    text = noise + "src/b.c:7:3: error: expected ';' before 'return'\n"
    (found, *more) = diagnose(LogInput(text, 1))
    assert found.category is Category.CODE_ERROR
    assert (found.facts.file == "a.c") is (category is not None)
    assert not {d.category for d in more} - {Category.CODE_ERROR}


def test_facts_that_stand_around_an_error_are_read() -> None:
    """The place of an error whose rule names none, and the host that was asked."""
    crash = "src/glew.c:16159:21: internal compiler error: Segmentation fault\n"
    (found,) = diagnose(LogInput(crash, 1))
    assert (found.facts.file, found.facts.line) == ("src/glew.c", 16159)
    away = "Cloning https://git.example.org/a/b.git\nfatal: early EOF\n"
    (found,) = diagnose(LogInput(away, 1))
    assert found.facts.host == "git.example.org"
