"""Looks a question up in the tables: the command that answers it, where there is one.

Knows no grammar; a question is a whole line, or a whole clause.
"""

from __future__ import annotations

from cyxmake_cli.repl.intents.model import Known, Look, Unknown, not_offered, offered
from cyxmake_cli.repl.intents.orders import filled
from cyxmake_cli.repl.intents.questions import HELP, INDIRECT, QUESTIONS


def looked_up(text: str, known: Known) -> Look | Unknown | None:
    """Return what answers a question; None when it stands in no table."""
    text = INDIRECT.sub("", text)
    for row, template in QUESTIONS:
        if match := row.match(text):
            argv = filled(template, match)
            return Look((argv,)) if offered(argv, known) else not_offered(argv)
    for row in HELP:
        if (match := row.match(text)) and match["command"].lower() in known.commands:
            return Look(((match["command"].lower(), "--help"),))
    return None
