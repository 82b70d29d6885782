"""Where lines come from: a terminal with editing, one without, or a script on standard input.

Knows nothing of what is in them. The only place that knows the library for line editing, besides
the completer; it is imported when a terminal that can do it is there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from cyxmake_common.errors import ConfigError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

PROMPT: Final = "cyxmake> "
_CONTINUED: Final = "    ...> "
_PROMPT_MARK: Final = "\x1b]133;A\x07"
"""Tells terminals with shell integration that a prompt follows (OSC 133); others ignore it."""

_MOST_BYTES: Final = 1 << 20


class Lines(Protocol):
    """A source of lines."""

    interactive: bool
    """Whether a person writes them."""

    def read(self) -> str | None:
        """Return the next entry, None at the end; raises KeyboardInterrupt for Ctrl-C."""
        ...


class ScriptLines:
    """Lines of standard input, which commands then do not see."""

    interactive = False

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(0), encoding="utf-8", errors="replace")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)

    def read(self) -> str | None:
        """Return the next line, with those that a backslash joins to it."""
        return _joined(self._file.readline)


class PlainLines:
    """Lines of a terminal that cannot move its cursor (TERM=dumb): it edits them by itself."""

    interactive = True

    def read(self) -> str | None:
        """Return the next line, with those that a backslash joins to it."""
        prompts = iter((PROMPT,))

        def ask() -> str:
            sys.stdout.write(next(prompts, _CONTINUED))
            sys.stdout.flush()
            return sys.stdin.readline()

        found = _joined(ask)
        if found is None:
            sys.stdout.write("\n")
        return found


class TerminalLines:
    """Lines of a terminal: edited, completed, remembered."""

    interactive = True

    def __init__(self, history: Path, completer: Completer) -> None:
        self.path = history
        self._completer = completer
        self._session: PromptSession[str] = self._open()

    def _open(self) -> PromptSession[str]:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
        from prompt_toolkit.output.color_depth import ColorDepth

        plain = bool(os.environ.get("NO_COLOR"))
        return PromptSession(
            history=_history(self.path),
            completer=self._completer,
            complete_while_typing=False,
            auto_suggest=AutoSuggestFromHistory(),
            multiline=True,
            key_bindings=_keys(),
            prompt_continuation=lambda *_: _CONTINUED,
            enable_open_in_editor=True,
            color_depth=ColorDepth.DEPTH_1_BIT if plain else None,
        )

    def read(self) -> str | None:
        """Return the next entry: a line, or several."""
        from prompt_toolkit.formatted_text import FormattedText

        sys.stdout.write(_PROMPT_MARK)
        sys.stdout.flush()
        try:
            return self._session.prompt(FormattedText([("bold ansigreen", PROMPT)]))
        except EOFError:
            return None

    def forget(self) -> None:
        """Forget all lines, also those of earlier times."""
        self.path.unlink(missing_ok=True)
        self._session = self._open()

    def remembered(self) -> int:
        """Return how many lines are remembered."""
        return len(self._session.history.get_strings())


def open_lines(history: Path, completer: Completer | None) -> Lines:
    """Return the source that fits what standard input and output are; raises ConfigError."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return ScriptLines()
    if completer is None:
        return PlainLines()
    return TerminalLines(history, completer)


def can_edit() -> bool:
    """Tell whether the terminal can edit lines."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return terminal and os.environ.get("TERM", "").lower() not in ("dumb", "unknown", "")


def _joined(read: Callable[[], str]) -> str | None:
    found = ""
    while True:
        line = read()
        if not line:
            return found or None
        text = line.rstrip("\r\n")
        if not text.endswith("\\"):
            return found + text
        found += text[:-1] + " "


def _history(path: Path) -> FileHistory:
    from prompt_toolkit.history import FileHistory

    from cyxmake_cli.safety.audit import redacted

    class SecretFree(FileHistory):
        """A file of lines, without those that hold what looks like a secret."""

        def store_string(self, string: str) -> None:
            words = string.split()
            if list(redacted(words)) == words:
                super().store_string(string)

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        if path.stat().st_size > _MOST_BYTES:
            kept = path.read_bytes()[-_MOST_BYTES // 2 :]
            path.write_bytes(kept[kept.find(b"\n\n") + 1 :])
    except OSError as error:
        raise ConfigError(
            f"the history {path} cannot be written: {error.strerror}",
            next_step="make it writable, or name another place: CYXMAKE_STATE_DIR",
        ) from error
    return SecretFree(str(path))


def _keys() -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _newline(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
