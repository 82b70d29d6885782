"""docs/COMMANDS.md: equal to the program, and right about what the JSON documents hold."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from cyxmake_cli.document import SCHEMAS, page
from support.processes import REPOSITORY, environment, python

_WORDS = {"tools": ("make",), "create": ("a C library", "--dry-run")}
"""What commands are told that are not about a project."""


def test_the_page_is_that_of_the_program() -> None:
    """Whoever changes a command writes the page anew: python -m cyxmake_cli.document."""
    assert (REPOSITORY / "docs/COMMANDS.md").read_text("utf-8") == page()


@pytest.mark.parametrize("name", SCHEMAS)
def test_documents_hold_what_the_page_says(name: str, tmp_path: Path) -> None:
    """Every key that a command prints stands in the page, and the other way round."""
    (tmp_path / "Makefile").write_text("all:\n\t@true\n")
    command = name.partition(",")[0]
    (tmp_path / "log").write_text("a.c:1:10: fatal error: pcap.h: No such file or directory\n")
    words = _WORDS.get(command, ("-C", str(tmp_path)))
    more = (str(tmp_path / "log"),) if command == "ai explain" else ()
    done = subprocess.run(
        python("cyxmake_cli.main", *command.split(), *words, *more, "--json"),
        env=environment(CYXMAKE_CONFIG_DIR=str(tmp_path / "c"), CYXMAKE_CACHE_DIR=str(tmp_path),
                        CYXMAKE_DATA_DIR=str(tmp_path), CYXMAKE_STATE_DIR=str(tmp_path)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert set(json.loads(done.stdout)) == set(SCHEMAS[name]), done.stderr
