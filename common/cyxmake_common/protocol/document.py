"""Writes the message tables of docs/PROTOCOL.md from the models. `python -m` rewrites the page.

Knows nothing of the prose around the tables; it stays as it is between the two markers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cyxmake_common.digest import Digest
from cyxmake_common.protocol.kinds import MESSAGES
from cyxmake_common.protocol.messages import Channel, Message, Peer

BEGIN: Final = "<!-- messages: begin (python -m cyxmake_common.protocol.document) -->"
END: Final = "<!-- messages: end -->"
PAGE: Final = Path("docs/PROTOCOL.md")

_SCALARS: Final[dict[object, str]] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    bytes: "bytes",
    Digest: "digest",
    type(None): "nothing",
}


def tables() -> str:
    """Return the generated part: every message, then the records that they hold."""
    parts = []
    records: dict[str, type[BaseModel]] = {}
    for kind in MESSAGES.values():
        parts.append("\n".join(_message(kind)))
        _collect(kind, records)
    parts.append("### Records inside messages")
    parts += ["\n".join(_record(records[name])) for name in sorted(records)]
    return "\n\n".join(parts)


def rewrite(page: str) -> str:
    """Return the page with the generated part made anew; raises ValueError without markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page lacks its two markers")
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Rewrite the page named, by default docs/PROTOCOL.md; return the exit status."""
    path = Path(arguments[0]) if arguments else PAGE
    page = path.read_text(encoding="utf-8")
    path.write_text(rewrite(page), encoding="utf-8", newline="\n")
    return 0


def _message(kind: type[Message]) -> Iterator[str]:
    yield f"### {kind.type}"
    yield ""
    yield _sentence(kind)
    yield ""
    senders = "anyone" if kind.senders == frozenset(Peer) else _names(Peer, kind.senders)
    yield f"Sent by {senders}, on {_names(Channel, kind.channels)}."
    yield ""
    yield from _fields(kind)


def _record(kind: type[BaseModel]) -> Iterator[str]:
    yield f"#### {kind.__name__}"
    yield ""
    yield _sentence(kind)
    yield ""
    yield from _fields(kind)


def _sentence(kind: type[BaseModel]) -> str:
    return re.sub(r"\s+", " ", kind.__doc__ or "").strip()


def _names(order: type[Enum], chosen: frozenset[Peer] | frozenset[Channel]) -> str:
    return ", ".join(str(one.value) for one in order if one in chosen)


def _fields(kind: type[BaseModel]) -> Iterator[str]:
    if not kind.model_fields:
        yield "No fields."
        return
    yield "| field | type | default | |"
    yield "|---|---|---|---|"
    for name, field in kind.model_fields.items():
        note = "; ".join(part for part in (field.description, _limits(field.metadata)) if part)
        yield f"| `{name}` | {_type(field.annotation)} | {_default(field)} | {note} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if field.default_factory is not None:
        return "its defaults"
    if isinstance(value, Enum):
        value = value.value
    if value is None or value in ((), {}, "", b""):
        return "empty"
    return f"`{str(value).lower()}`"


def _limits(metadata: list[object]) -> str:
    words = []
    for rule in metadata:
        for attribute, word in (
            ("ge", "from"),
            ("le", "to"),
            ("min_length", "length from"),
            ("max_length", "length to"),
            ("pattern", "matches"),
        ):
            value = getattr(rule, attribute, None)
            if value is not None:
                shown = f"`{value}`" if isinstance(value, str) else _number(value)
                words.append(f"{word} {shown}")
    return " ".join(words)


def _number(value: object) -> str:
    return "2^63 - 1" if value == 2**63 - 1 else f"{value:,}".replace(",", " ")


def _type(annotation: object) -> str:
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if hasattr(annotation, "__metadata__"):
        return _type(get_args(annotation)[0])
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is tuple and arguments[-1:] == (...,):
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return f"[{', '.join(_type(one) for one in arguments)}]"
    if origin is dict:
        return f"map of {_type(arguments[0])} to {_type(arguments[1])}"
    if arguments:
        return " or ".join(_type(one) for one in arguments)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " / ".join(f"`{one.value}`" if one.value else "empty" for one in annotation)
    return f"[{getattr(annotation, '__name__', annotation)}](#{_anchor(annotation)})"


def _anchor(annotation: object) -> str:
    return getattr(annotation, "__name__", str(annotation)).lower()


def _collect(kind: type[BaseModel], into: dict[str, type[BaseModel]]) -> None:
    for field in kind.model_fields.values():
        for record in _records(field.annotation):
            if record.__name__ not in into:
                into[record.__name__] = record
                _collect(record, into)


def _records(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _records(argument)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
