"""Templates of commands filled in, and lines that may mean several things.

Knows no modifiers and no grammar.
"""

from __future__ import annotations

import re
from typing import Final

from cyxmake_cli.repl.intents.model import Argv
from cyxmake_cli.repl.intents.words import number, pattern


def filled(template: str, match: re.Match[str]) -> Argv:
    """Return the command of a row, for what its pattern matched."""
    groups: dict[str, str] = {}
    for name, text in match.groupdict().items():
        if text:
            groups.setdefault(name.rstrip("0123456789"), text)
    if "n" in groups:
        groups["n"] = str(number(groups["n"]))
    if "type" in groups:
        groups["type"] = groups["type"].lower()
    words: list[str] = []
    optional = re.sub(
        r" ?\[([^\]]*\{(\w+)\}[^\]]*)\]", lambda m: f" {m[1]}" if m[2] in groups else "", template
    )
    for word in optional.split():
        if word == "{names}":
            words += re.split(r",? and |, ?| ", groups["names"])
        else:
            words.append(re.sub(r"\{(\w+)\}", lambda m: groups[m[1]], word))
    return tuple(words)


AMBIGUOUS: Final[tuple[tuple[re.Pattern[str], str, tuple[str, ...]], ...]] = tuple(
    (pattern(f"^(?:{text})$"), question, commands)
    for text, question, commands in (
        (r"(?:delete|remove|wipe|erase|purge|drop|clear|trash|scrap|discard|get rid of|throw away|throw out|dump|nuke|ditch|destroy)(?: (?:it|this|that|them|everything|all(?: of it)?|stuff|things))?", "what is to go", ("clean", "cache clear")),
        (r"(?:check|verify|validate|examine)(?: (?:it|this|that|them|the project))?", "what is to be checked", ("test", "doctor", "config validate")),
        (r"(?:start|go|run|do|launch|execute|begin)(?: (?:it|this|something|everything))?", "what is to be started", ("build", "test", "coordinator start")),
        (r"(?:stop|end|halt|kill|abort|cancel)(?: (?:it|this|that|everything))?", "what is to be stopped", ("coordinator stop",)),
        (r"(?:set ?up|prepare|get ready|configure)(?: (?:it|this|everything|the project))?", "how far", ("init", "doctor", "build")),
        (r"(?:reset|start over|begin again|start again from zero|(?:reset|restore|refresh) (?:it|everything|this|all|the project|all of it))", "how much is to be made anew", ("clean", "build --clean-first", "cache clear")),
    )
)  # fmt: skip
"""Lines that may mean several things: the question that is asked back, and what may be meant."""
