"""Writes the comparison of the placement algorithms into docs/SCHEDULING.md.

Run `python -m cyxmake_coordinator.simulate.document` after a change to the scheduler.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cyxmake_coordinator.core.placement import ALGORITHMS
from cyxmake_coordinator.simulate.scenario import COMPARED, Scenario, compared_rows

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "SCHEDULING.md"
BEGIN: Final = "<!-- generated: begin -->"
END: Final = "<!-- generated: end -->"
SEEDS: Final = range(1, 6)
SCENARIOS: Final = (
    ("20 uneven machines of 8 slots, 3 users, 1,800 actions", 1_800),
    ("The same with 240 actions: most slots are idle", 240),
)


def tables() -> str:
    """Return the comparison in Markdown."""
    lines: list[str] = []
    for title, actions in SCENARIOS:
        scenarios = [
            Scenario(20, 8, uneven=True, actions=actions, users=3, seed=seed) for seed in SEEDS
        ]
        found = {name: [each.play(name) for each in scenarios] for name in ALGORITHMS}
        head = [cell.lower() for cell in COMPARED]
        lines += ["", f"{title}:", "", _row(head), _row(["---"] * len(head))]
        lines += [_row([f"`{name}`", *cells]) for name, *cells in compared_rows(found)]
    return "\n".join([*lines[1:], ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the tables between the marks."""
    text = DOCUMENT.read_text("utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{tables()}{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
