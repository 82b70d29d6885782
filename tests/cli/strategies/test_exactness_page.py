"""docs/EXACTNESS.md names the reasons that the program gives."""

from __future__ import annotations

import re

import pytest

from support.processes import REPOSITORY

_PAGE = (REPOSITORY / "docs/EXACTNESS.md").read_text("utf-8").partition("| stays here |")[2]
_REASONS = [
    reason
    for line in _PAGE.splitlines()[2:]
    if line.startswith("| ")
    for reason in re.findall(r"`([^`]+)`", line.rsplit("|", 2)[1])
]
_SOURCES = "\n".join(
    path.read_text("utf-8")
    for folder in ("common/cyxmake_common/toolchain", "cli/cyxmake_cli")
    for path in sorted((REPOSITORY / folder).rglob("*.py"))
)


@pytest.mark.parametrize("reason", _REASONS)
def test_reason_is_given_by_the_program(reason: str) -> None:
    """A reason that is reworded is reworded on the page, too."""
    assert reason in _SOURCES


def test_page_has_reasons() -> None:
    """The table was found."""
    assert len(_REASONS) > 25
