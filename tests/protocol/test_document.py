"""docs/PROTOCOL.md says what the models say."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_common.protocol.document import BEGIN, END, main, rewrite, tables
from cyxmake_common.protocol.kinds import MESSAGES

PAGE = Path(__file__).parents[2] / "docs" / "PROTOCOL.md"


def test_the_page_is_up_to_date() -> None:
    """Changed a model? Run: python -m cyxmake_common.protocol.document."""
    page = PAGE.read_text(encoding="utf-8")
    assert rewrite(page) == page


def test_every_message_has_its_table() -> None:
    """No message is left out."""
    headings = [line[4:] for line in tables().splitlines() if line.startswith("### ")]
    assert headings[:-1] == list(MESSAGES)


def test_only_the_part_between_the_markers_is_written(tmp_path: Path) -> None:
    """Prose around it stays, and a page without markers is refused."""
    page = tmp_path / "page.md"
    page.write_text(f"before {BEGIN} old {END} after", encoding="utf-8")
    assert main([str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before {BEGIN}")
    assert text.endswith(f"{END} after")
    with pytest.raises(ValueError, match="markers"):
        rewrite("nothing")
