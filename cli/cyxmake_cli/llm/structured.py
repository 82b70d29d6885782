"""Answers of a given form: what is asked for, and the check of what comes back.

Knows no provider: whatever one promises of its answers, they are checked here.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from cyxmake_cli.llm.backend import BadAnswer, Completion, Schema

Answer = TypeVar("Answer", bound=BaseModel)

_FENCE: Final = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?```\s*\Z", re.DOTALL)
_NOT_SENT: Final = ("title", "default", "$schema", "pattern", "format")


def schema_of(form: type[BaseModel]) -> Schema:
    """Return a form as every provider takes it: flat, all required, nothing else allowed."""
    found = form.model_json_schema()
    if "$defs" in found:
        raise TypeError(f"{form.__name__} has parts of its own; only flat forms are asked for")
    return _plain(found)


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key not in _NOT_SENT}
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    if isinstance(properties := kept.get("properties"), dict):
        kept["properties"] = {name: _plain(one) for name, one in properties.items()}
        kept["required"] = list(properties)
        kept["additionalProperties"] = False
    if isinstance(kept.get("items"), dict):
        kept["items"] = _plain(kept["items"])
    return kept


def read(form: type[Answer], completion: Completion) -> Answer:
    """Return an answer in its form; raises BadAnswer."""
    text = completion.text
    if fenced := _FENCE.match(text):
        text = fenced[1]
    try:
        return form.model_validate(json.loads(text, parse_constant=_no_constant))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "answer"
        raise BadAnswer(f"the answer has not the form asked for: {where}: {first['msg']}") from None
    except (ValueError, RecursionError):
        how = "was cut off" if completion.truncated else "is no JSON"
        raise BadAnswer(f"the answer {how}") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
