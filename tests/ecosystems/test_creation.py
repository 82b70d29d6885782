"""Every pair of language and kind that `create` offers: made, built, tested and run here.

Run with `pytest -m ecosystems tests/ecosystems/test_creation.py`. Dependencies come from the
languages' own registries; a pair is skipped, with the reason, where its tools are not installed.
Windows open on a virtual display where there is `xvfb-run`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from cyxmake_cli.creation.model import Kind, Language
from cyxmake_cli.creation.offers import MAKINGS, OFFERED
from cyxmake_cli.systems.model import SystemName
from cyxmake_cli.systems.table import SYSTEMS
from support.processes import environment, python

pytestmark = [pytest.mark.ecosystems, pytest.mark.timeout(900)]

_RAN: Final = {
    SystemName.CMAKE: r"100% tests passed, 0 tests failed out of [1-9]",
    SystemName.CARGO: r"test result: ok\. [1-9]\d* passed",
    SystemName.GO: r"(?m)^ok\s",
    SystemName.PYTHON: r"Ran [1-9]\d* tests?",
    SystemName.NPM: r"(?m)^. pass [1-9]",
    SystemName.MAVEN: r"Tests run: [1-9]\d*, Failures: 0, Errors: 0",
}
_HOSTILE: Final = """It's a "test" \\ of $HOME & <tags>, */ and '''quotes''' {x} `y` @NAME@ %d"""


def _made(folder: Path, language: Language, kind: Kind, *more: str) -> tuple[Path, str]:
    """Make a project and return its place, and what its tools said."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n")
    place = folder / "wide-field"
    display = ["xvfb-run", "-a"] if kind is Kind.GUI and shutil.which("xvfb-run") else []
    done = subprocess.run(
        display
        + python(
            "cyxmake_cli.main", "create", _HOSTILE, "--language", language, "--kind", kind,
            "--name", "wide-field", "--dir", str(place), "--license", "MIT", "--yes", "--json",
            *more,
        ),
        env=environment(
            CYXMAKE_CONFIG_DIR=str(folder / "config"), GIT_CONFIG_GLOBAL=str(home / ".gitconfig")
        ),
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["problems"] == []
    assert document["test"]["status"] == "ok"
    return place, done.stderr


@pytest.mark.parametrize(
    ("language", "kind"), sorted(OFFERED), ids=lambda value: value.value.replace("+", "p")
)
def test_an_offered_pair_builds_and_its_tests_pass(
    language: Language, kind: Kind, tmp_path: Path
) -> None:
    """Whatever the description holds; and all that a build leaves is kept out of the repository."""
    making = MAKINGS[language]
    for group in SYSTEMS[making.system].tools:
        if not any(shutil.which(tool) for tool in group):
            pytest.skip(f"not installed: {' or '.join(group)}")
    place, said = _made(tmp_path, language, kind)
    assert re.search(_RAN[making.system], said), said[-3000:]
    if kind is Kind.GUI and shutil.which("xvfb-run"):
        assert not re.search(r"skipped=|Skipped: [1-9]", said), said[-3000:]
    listed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=place, capture_output=True, text=True, check=True
    )
    assert listed.stdout == ""
    if making.lock:
        assert (place / making.lock).is_file()
    if kind in _PLAYED:
        given, wanted = _PLAYED[kind]
        if (program := _program(place, language, kind)) is not None:
            done = subprocess.run(
                program, input=given, capture_output=True, text=True, check=True, cwd=place,
                env={**os.environ, "PYTHONPATH": "src"},
            )  # fmt: skip
            assert wanted in done.stdout


_PLAYED: Final = {
    Kind.EXECUTABLE: ("", "Hello, world!\n"),
    Kind.CLI: ("four words\non two\n", "2 4 18\n"),
    Kind.GAME: ("ssss\ndddddd\nwwww\n", "All coins in 14 moves!\n"),
}


def _program(place: Path, language: Language, kind: Kind) -> list[str] | None:
    """Return how a user starts what was built; None: it is for a browser."""
    match language:
        case Language.C | Language.CPP:
            return [str(place / "build/wide-field")]
        case Language.RUST:
            return [str(place / "target/debug/wide-field")]
        case Language.GO:
            return [str(place / "bin/wide-field")]
        case Language.PYTHON:
            return ["python3", "-m", "wide_field"]
        case Language.JAVA:
            return ["java", "-jar", "target/wide-field.jar"]
        case _ if kind is Kind.GAME:
            return None
        case Language.JAVASCRIPT:
            return ["node", "src/main.js"]
        case Language.TYPESCRIPT:
            return ["node", "dist/src/main.js"]
