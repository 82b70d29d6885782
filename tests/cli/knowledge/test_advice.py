"""One line below a failure says what it was and who has what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_cli.knowledge.advice import advice, sentence
from cyxmake_cli.knowledge.names import Manager
from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import LogInput


@pytest.mark.parametrize(
    ("log", "manager", "said"),
    [
        ("a.c:1:10: fatal error: openssl/ssl.h: No such file or directory", Manager.DNF,
         "the header openssl/ssl.h is missing; openssl-devel may have it (dnf)"),
        ("make: bison: No such file or directory", Manager.PACMAN,
         "the command bison is missing; bison may have it (pacman)"),
        ("ModuleNotFoundError: No module named 'yaml'", Manager.APT,
         "the Python module yaml is missing; PyYAML may have it (pip)"),
        ("a.c:1:10: fatal error: ../x.h: No such file or directory", Manager.APT,
         "the header ../x.h is missing; it is the project's own, so no package has it"),
        ("CMake Error at CMakeLists.txt:1:\n  CMake 3.99 or higher is required.  You are running "
         "version 3.25.1", Manager.APT, "cmake 3.99 is asked for, 3.25.1 is here"),
        ("cc1plus: out of memory allocating 65536 bytes", Manager.APT,
         "the machine ran out of memory; fewer jobs at a time (-j) need less"),
        ("a.c:1:1: error: expected ';' before 'x'", None,
         "code error: a.c:1:1: error: expected ';' before 'x'"),
    ],
)  # fmt: skip
def test_a_cause_is_told_in_one_line(log: str, manager: Manager | None, said: str) -> None:
    """What is missing, and the package by the name of this system's manager."""
    assert sentence(diagnose(LogInput(log, 1))[0], manager, None) == said


def test_a_header_of_the_tree_is_found_there(tmp_path: Path) -> None:
    """The project is looked through, so its own header is nobody's package."""
    (tmp_path / "src" / "util").mkdir(parents=True)
    (tmp_path / "src" / "util" / "log.h").write_text("")
    said = advice(
        b"a.c:1:10: fatal error: util/log.h: No such file or directory\n", 1, tmp_path, tmp_path
    )
    assert said == (
        "the header util/log.h is missing; it is the project's own (src/util/log.h), "
        "so no package has it"
    )


def test_nothing_is_said_of_what_is_not_known(tmp_path: Path) -> None:
    """Output without a cause gets no advice."""
    assert advice(b"make: *** [all] Error 2\n", 2, tmp_path, tmp_path) is None
