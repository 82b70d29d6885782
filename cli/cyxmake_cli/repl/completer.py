"""Completes slash commands, their options and values, and paths, as the command table has them.

Knows no command: click is asked what may follow, as a shell would ask it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import click
from click.shell_completion import ShellComplete, split_arg_string
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from cyxmake_cli.repl.slash import Own, SlashTable

_FILES = ("file", "dir")


class TableCompleter(Completer):
    """Completes lines of the conversation; `targets` names what the project here builds."""

    def __init__(
        self, root: click.Command, table: SlashTable, targets: Callable[[], Iterable[str]]
    ) -> None:
        self._click = ShellComplete(root, {}, "cyxmake", "_CYXMAKE_COMPLETE")
        self._table = table
        self._targets = targets
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Yield what may stand at the cursor."""
        line = document.current_line_before_cursor.lstrip()
        if not line.startswith("/"):
            if "/" in (word := line.rpartition(" ")[2]):  # a path in plain English
                yield from self._path(word, complete_event)
            return
        words = split_arg_string(line[1:])
        incomplete = "" if not words or line[-1:].isspace() else words.pop()
        if not words:
            yield from self._names(incomplete)
        else:
            yield from self._arguments(words, incomplete, complete_event)

    def _names(self, incomplete: str) -> Iterator[Completion]:
        for name, text in self._table.names().items():
            if name.startswith(incomplete.lower()):
                yield Completion(name, -len(incomplete), display=f"/{name}", display_meta=text)

    def _arguments(
        self, words: list[str], incomplete: str, event: CompleteEvent
    ) -> Iterator[Completion]:
        name = self._table.aliases.get(words[0], words[0])
        if name == Own.HELP:
            yield from self._names(incomplete)
            return
        try:
            items = self._click.get_completions([name, *words[1:]], incomplete)
        except click.ClickException:
            return
        kinds = {item.type for item in items}
        if kinds & set(_FILES):
            yield from self._path(incomplete, event)
            return
        for item in items:
            yield Completion(str(item.value), -len(incomplete), display_meta=item.help or "")
        if not items and not incomplete.startswith("-"):
            for target in sorted(self._targets()):
                if target.startswith(incomplete):
                    yield Completion(target, -len(incomplete), display_meta="target")
            yield from self._path(incomplete, event)

    def _path(self, word: str, event: CompleteEvent) -> Iterator[Completion]:
        for found in self._paths.get_completions(Document(word, len(word)), event):
            # Folders end in a slash, so that their files can follow.
            slash = "/" if found.display_text.endswith("/") else ""
            yield Completion(found.text + slash, found.start_position, display=found.display)
