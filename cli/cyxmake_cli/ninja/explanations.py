"""Collects why files are out of date, in the words of `ninja -d explain`.

Knows nothing of how that is found out.
"""

from __future__ import annotations

from cyxmake_cli.ninja.graph import Edge, Node


class Explanations:
    """Reasons by file, in the order in which they were found."""

    def __init__(self) -> None:
        self._reasons: dict[Node, list[str]] = {}
        self.lines: list[str] = []

    def __repr__(self) -> str:
        return f"Explanations({len(self.lines)} lines)"

    def add(self, node: Node, reason: str) -> None:
        """Note a reason."""
        self._reasons.setdefault(node, []).append(reason)
        self.lines.append(reason)

    def of_edge(self, edge: Edge) -> tuple[str, ...]:
        """Return every reason noted for an edge's outputs, without repeats."""
        found = [reason for node in edge.outputs for reason in self._reasons.get(node, ())]
        return tuple(dict.fromkeys(found))
