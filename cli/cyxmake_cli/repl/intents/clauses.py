"""Parts of a line to clauses, and each clause to what it asks for.

Knows the grammar between parts, and no word by itself (see data/commands.toml): a row of the table
that accounts for every word of a clause goes before a frame that takes words for targets.
"""

from __future__ import annotations

import re
from dataclasses import replace

from cyxmake_cli.repl.intents import near, rows
from cyxmake_cli.repl.intents.acts import Part, Speech, parts
from cyxmake_cli.repl.intents.assembling import assembled
from cyxmake_cli.repl.intents.framing import (
    Clause,
    Puzzled,
    framed,
    modified,
    without_condition,
)
from cyxmake_cli.repl.intents.lookup import looked_up
from cyxmake_cli.repl.intents.model import (
    Known,
    Meaning,
    Nothing,
    Plan,
    Step,
    Unclear,
    Unknown,
    doing,
    not_offered,
    offered,
)
from cyxmake_cli.repl.intents.text import words
from cyxmake_cli.repl.intents.verbs import begins
from cyxmake_cli.repl.intents.words import NEGATION


def instructions(text: str, known: Known) -> Meaning:
    """Return what an instruction asks for."""
    return carried(parts(text), text, known)


def carried(said: list[Part], text: str, known: Known) -> Meaning:
    """Return what the parts of a line ask for together."""
    if any(part.speech is Speech.CONDITION for part in said):
        # Some are options: "keep going if something fails".
        meant = [
            replace(p, speech=Speech.ORDER, starts=False) if p.speech is Speech.CONDITION else p
            for p in said
        ]
        joined = " ".join(_joined(meant))
        meaning = (
            _carried(meant, text, known) if without_condition(joined) else near.unknown(text, known)
        )
        if not isinstance(meaning, Unknown | Unclear):
            return meaning
    meaning = _carried(said, text, known)
    if isinstance(meaning, Unknown) and any(not part.starts for part in said):
        # What only comes along with an order, as a wish that is none, may go.
        fewer = [part for part in said if part.starts]
        if any(p.speech is Speech.ORDER for p in fewer) and any(
            p.wished for p in said if not p.starts
        ):
            other = _carried(fewer, text, known)
            return meaning if isinstance(other, Unknown) else other
    return meaning


def _carried(said: list[Part], text: str, known: Known) -> Meaning:
    texts = _joined(said)
    if not texts:
        return Nothing("nothing is done")
    try:
        rest = " ".join(texts[1:])
        opens = not re.search(r"build|compil|make", rest, re.IGNORECASE)
        clauses = [
            _clause(part, known, alone=len(texts) == 1, opens=opens and not n)
            for n, part in enumerate(texts)
        ]
        meaning = assembled(clauses, texts, text, known)
    except Puzzled as puzzled:
        meaning = puzzled.meaning
    unsure = isinstance(meaning, Unknown | Unclear)
    if unsure and len(said) > 1 and (row := _row_of_all(said)):
        meaning = doing(row.argv) if offered(row.argv, known) else not_offered(row.argv)
    if any(part.speech is Speech.CONDITION for part in said) and isinstance(meaning, Plan):
        return Unclear("no condition is waited for here: is it to be done now", (meaning,))
    return meaning


def _joined(said: list[Part]) -> list[str]:
    """Return the clauses: what begins with a verb, and what says more about it."""
    found: list[str] = []
    waiting = ""
    for part in said:
        if (part.speech is Speech.ORDER and part.starts) or (
            part.speech is Speech.FORBID and not found
        ):
            found.append(f"{waiting} {part.text}".strip())
            waiting = ""
        elif part.speech in (Speech.ORDER, Speech.FORBID):
            if found and not NEGATION.match(found[-1]):
                found[-1] += f" {part.text}"
            else:
                waiting = f"{waiting} {part.text}".strip()
    if (waiting and not found) or (waiting and NEGATION.match(found[-1])):
        found.append(waiting)
    elif waiting:
        found[-1] += f" {waiting}"
    return found


def _clause(text: str, known: Known, *, alone: bool, opens: bool) -> Clause:
    if not alone and (frame := modified(text)):
        return Clause(frame)
    row = _row_of(text)
    if row is not None and NEGATION.match(text) and not row.row.negative:
        row = None
    read: Clause | Puzzled
    try:
        read = framed(text, known, alone=alone, opens=opens)
    except Puzzled as puzzled:
        read = puzzled
    sure = (row is not None and not row.left) or (isinstance(read, Clause) and not read.loose)
    if not sure and (rows.shows(text) or not begins(text)) and (found := looked_up(text, known)):
        if isinstance(found, Unknown):
            raise Puzzled(found)
        return Clause(steps=tuple(Step(argv) for argv in found.commands))
    if row is not None and (isinstance(read, Puzzled) or read.loose or row.groups > 1):
        argv = row.argv
        if argv == ("undo",) and known.undo:
            return Clause(steps=tuple(Step(back) for back in known.undo))
        if not offered(argv, known):
            raise Puzzled(not_offered(argv))
        return Clause(steps=(Step(argv, row.undo),))
    if isinstance(read, Puzzled):
        raise read
    return read


def _row_of_all(said: list[Part]) -> rows.Fit | None:
    """Return the row that several parts speak for together: "w1 is mended, let it work again"."""
    if any(part.speech in (Speech.FORBID, Speech.CONDITION) for part in said):
        return None
    stated = " ".join(part.text for part in said if part.speech is Speech.STATE)
    text = " ".join(part.text for part in said if part.speech in (Speech.STATE, Speech.ORDER))
    said_beside = [p.text for p in said if p.wished and not p.starts]
    spare = rows.stems(" ".join(word.text for word in words(" ".join((stated, *said_beside)))))
    ordered = any(
        begins(p.text) and not rows.shows(p.text) for p in said if p.speech is Speech.ORDER
    )
    found = [fit for fit in rows.fits(text, spare=spare) if rows.acts(fit) or not ordered]
    return next((fit for fit in found if not fit.left), None)


def stated(said: list[Part], known: Known) -> Meaning | None:
    """Return what a statement asks for: "w1 may work again"; None for nearly all of them."""
    kinds = (Speech.STATE, Speech.FORBID)
    text = " ".join(part.text for part in said if part.speech in kinds)
    fit = next((fit for fit in rows.fits(text) if fit.row.stated and not fit.left), None)
    if fit is None:
        return None
    return Plan((Step(fit.argv, fit.undo),)) if offered(fit.argv, known) else not_offered(fit.argv)


def _row_of(text: str) -> rows.Fit | None:
    """Return the row that accounts for every word of a clause; where it only reads, for nearly all."""
    found = rows.fits(text)
    if begins(text) and not rows.shows(text):
        found = [fit for fit in found if rows.acts(fit)]
    best = next((fit for fit in found if not fit.left), None)
    if best is None:
        return next(
            (f for f in found if not rows.acts(f) and f.score >= 3 and len(f.left) == 1), None
        )
    rivals = [
        f for f in found if not f.left and f.score == best.score and f.argv[:2] != best.argv[:2]
    ]
    if rivals and (rows.acts(best) or rows.acts(rivals[0])) and rivals[0].groups == best.groups:
        choices = tuple(doing(fit.argv) for fit in (best, *rivals))
        raise Puzzled(Unclear("which of these is meant", choices))
    return best
