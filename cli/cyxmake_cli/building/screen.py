"""What a person sees of commands that run here: their output as it comes, and notes of ours.

Knows nothing of what runs. With JSON asked for, stdout is kept for the one document at the end:
everything else goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.ui.progress import strip_colours

_TAIL: Final = 1 << 20
_NO_COLOURS: Final = {
    "NO_COLOR": "1", "CLICOLOR": "0", "CLICOLOR_FORCE": "0", "CARGO_TERM_COLOR": "never",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """How much is shown, and how."""

    verbose: bool = False
    quiet: bool = False
    colours: bool = True
    as_json: bool = False


class Screen:
    """The terminal of one command; quiet, it holds output back until something fails."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self._held: list[tuple[int, bytes]] = []
        self._held_bytes = 0

    def __repr__(self) -> str:
        return f"<Screen {self.look} held={self._held_bytes}>"

    def heard(self, stream: int, data: bytes) -> None:
        """Show output of a tool: `stream` is 0 for stdout, 1 for stderr."""
        if self.look.quiet:
            self._held.append((stream, data))
            self._held_bytes += len(data)
            while self._held_bytes > _TAIL and len(self._held) > 1:
                self._held_bytes -= len(self._held.pop(0)[1])
            return
        self._show(stream, data)

    def release(self) -> None:
        """Show what was held back: something failed."""
        for stream, data in self._held:
            self._show(stream, data)
        self.forget()

    def forget(self) -> None:
        """Drop what was held back: all went well."""
        self._held.clear()
        self._held_bytes = 0

    def note(self, text: str) -> None:
        """Say something of ours, unless only failures are wanted."""
        if not self.look.quiet:
            self.say(text)

    def say(self, text: str) -> None:
        """Say something that is always wanted."""
        self._show(0, (text + "\n").encode("utf-8", "surrogateescape"))

    def document(self, value: object) -> None:
        """Print the JSON document of the command, if one was asked for."""
        if self.look.as_json:
            print(json.dumps(value, indent=2, ensure_ascii=False, default=str))  # noqa: T201

    def environment(self) -> dict[str, str]:
        """Return the variables that ask tools for the colours that are shown."""
        if self.look.colours:
            return {}
        return {
            "NO_COLOR": "1",
            "CLICOLOR": "0",
            "CLICOLOR_FORCE": "0",
            "CARGO_TERM_COLOR": "never",
        }

    def _show(self, stream: int, data: bytes) -> None:
        file = sys.stderr if stream or self.look.as_json else sys.stdout
        if not self.look.colours or (not file.isatty() and not _forced()):
            data = strip_colours(data)
        file.flush()
        file.buffer.write(data)
        file.flush()


def _forced() -> bool:
    return os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0")
