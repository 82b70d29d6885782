"""Looks a question up in the tables: the command that answers it, where there is one.

Knows no grammar; a question is a whole line, or a whole clause.
"""

from __future__ import annotations

import re

from cyxmake_cli.repl.intents.model import Known, Look, Unclear, Unknown, not_offered, offered
from cyxmake_cli.repl.intents.orders import filled
from cyxmake_cli.repl.intents.questions import (
    ADVERBS,
    ASKED_WORDS,
    HELP,
    INDIRECT,
    QUESTIONS,
    TOPICS,
)


def looked_up(text: str, known: Known) -> Look | Unknown | None:
    """Return what answers a question; None when it stands in no table."""
    text = INDIRECT.sub("", text)
    plain = " ".join(ADVERBS.sub(" ", text).split())
    for row, template in QUESTIONS:
        if match := row.match(text) or row.match(plain):
            argv = filled(template, match)
            return Look((argv,)) if offered(argv, known) else not_offered(argv)
    for row in HELP:
        if (match := row.match(text)) and match["command"].lower() in known.commands:
            return Look(((match["command"].lower(), "--help"),))
    return None


def about(text: str, known: Known) -> Look | Unclear | None:
    """Return what shows the topic of a question; None where a word of it is not known."""
    words = {word.lower() for word in re.findall(r"[^\s,.?!]+", ADVERBS.sub(" ", text))}
    found, left = [], words - ASKED_WORDS
    for topic, command in TOPICS:
        argv = tuple(command.split())
        if topic & words and offered(argv, known):
            found.append(Look((argv,)))
            left -= topic
    if left or not found:
        return None
    return found[0] if len(found) == 1 else Unclear("what is it about", tuple(found))
