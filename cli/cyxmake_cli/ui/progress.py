"""Shows a running build: one updating line on a terminal, plain lines otherwise.

Knows nothing of where edges run; it hears of them as a driver's Listener. Output of tools is
printed whole and unmixed, above the line; without a terminal its colours are removed, as ninja
does.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cyxmake_cli.ui.tally import Tally

if TYPE_CHECKING:
    from cyxmake_cli.ninja.driver import EdgeResult
    from cyxmake_cli.ninja.graph import Edge

_ANSI: Final = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]|\x1b\]8;[^\x07\x1b]*(?:\x07|\x1b\\)")
_REDRAW_SECONDS: Final = 0.1


def strip_colours(output: bytes) -> bytes:
    """Remove terminal escapes from a tool's output."""
    return _ANSI.sub(b"", output) if b"\x1b" in output else output


class Progress:
    """The screen of one build."""

    def __init__(
        self, tally: Tally, now: Callable[[], float], *, verbose: bool, quiet: bool = False
    ) -> None:
        self._tally = tally
        self._now = now
        self._start = now()
        self._verbose = verbose
        self._quiet = quiet
        self._terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._colours = self._terminal or os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0")
        self._drawn = 0.0
        self._live = False

    def edge_started(self, edge: Edge) -> None:
        """Count a started edge."""
        self._tally.running += 1
        self._draw(edge)

    def edge_finished(self, edge: Edge, result: EdgeResult, output: bytes) -> None:
        """Count a finished edge and print what it said."""
        tally = self._tally
        tally.running -= 1
        tally.done += 1
        tally.seconds += result.seconds
        match result.where.value:
            case "cache":
                tally.cache_hits += 1
            case "remote":
                tally.remote += 1
                tally.workers[result.worker] += 1
                tally.healed += bool(result.reason)
            case _:
                tally.local += 1
                if result.reason:
                    tally.reasons[result.reason] += 1
        failed = result.exit_code != 0
        tally.failed += failed
        if not self._terminal or self._verbose:
            self._line(edge, result)
        else:
            self._draw(edge, force=failed or bool(output))
        if failed:
            self._write(
                f"FAILED: {' '.join(str(o.path) for o in edge.outputs)}\n{edge.command()}\n"
            )
        if output:
            self._output(output)

    def edges_skipped(self, edges: tuple[Edge, ...]) -> None:
        """Forget edges that a restat proved unnecessary."""
        self._tally.total -= sum(1 for edge in edges if not edge.is_phony)

    def note(self, text: str) -> None:
        """Print a line of ours above the progress line."""
        self._write(text + "\n")

    def close(self) -> None:
        """Leave the cursor on a fresh line."""
        self._clear()

    def _line(self, edge: Edge, result: EdgeResult) -> None:
        if self._quiet:
            return
        tally, text = self._tally, _describe(edge, verbose=self._verbose)
        place = result.worker if result.where.value == "remote" else result.where.value
        why = f": {result.reason}" if result.reason and self._verbose else ""
        why += f" ({result.detail})" if result.detail and self._verbose else ""
        self._write(f"[{tally.done}/{tally.total}] {text} [{place}{why}]\n")

    def _draw(self, edge: Edge, *, force: bool = False) -> None:
        if not self._terminal or self._quiet:
            return
        now = self._now()
        if not force and now - self._drawn < _REDRAW_SECONDS and self._live:
            return
        self._drawn, self._live = now, True
        from rich.cells import set_cell_size

        width = _width()
        text = f"{self._figures(now - self._start)} {_describe(edge, verbose=False)}"
        line = set_cell_size(text, width - 1) if len(text) >= width else text
        sys.stdout.write("\r" + line + "\x1b[K")
        sys.stdout.flush()

    def _figures(self, elapsed: float) -> str:
        tally = self._tally
        rate = tally.done / elapsed if elapsed > 0 else 0.0
        eta = tally.eta(elapsed)
        left = f" eta {eta:.0f}s" if eta is not None and elapsed > 1 else ""
        return (
            f"[{tally.done}/{tally.total}] {tally.running} running {rate:.1f}/s "
            f"cache {tally.cache_hits} remote {tally.remote} local {tally.local}{left}"
        )

    def _output(self, output: bytes) -> None:
        if not self._colours:
            output = strip_colours(output)
        self._clear()
        sys.stdout.flush()
        sys.stdout.buffer.write(output if output.endswith(b"\n") else output + b"\n")
        sys.stdout.flush()

    def _write(self, text: str) -> None:
        self._clear()
        sys.stdout.write(text)
        sys.stdout.flush()

    def _clear(self) -> None:
        if self._live:
            sys.stdout.write("\r\x1b[K")
            self._live = False


def _describe(edge: Edge, *, verbose: bool) -> str:
    description = edge.binding("description")
    return edge.command() if verbose or not description else description


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns
