"""Reads what CMake records of its checks: the configure log and the file API's cache reply.

Knows no rule. The log is YAML, but always written in the same plain form, so no YAML library is
asked for; what does not have that form is passed over.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

_EVENT: Final = re.compile(r"^  -\s*$", re.MULTILINE)
_SCALAR: Final = r"^    {indent}{key}: \"?(.*?)\"?$"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that CMake tried while it configured."""

    kind: str
    """What was tried: try_compile, try_run, find, find_package ..."""
    description: str
    variable: str
    exit_code: int | None
    output: str

    @property
    def failed(self) -> bool:
        """Tell whether the compile or run that was tried did not succeed."""
        return self.exit_code not in (None, 0)


def read_configure_log(text: str) -> list[Check]:
    """Return the events of a CMakeConfigureLog.yaml, oldest first."""
    return [_check(event) for event in _EVENT.split(text)[1:]]


def cache_not_found(reply: str) -> list[tuple[str, str]]:
    """Return name and help of what a file API cache reply says was looked for in vain."""
    try:
        entries = json.loads(reply)["entries"]
        return [
            (entry["name"], next((p["value"] for p in entry["properties"]
                                  if p["name"] == "HELPSTRING"), ""))
            for entry in entries
            if entry["value"].endswith("-NOTFOUND")
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return []


def _check(event: str) -> Check:
    exit_code = _scalar(event, "exitCode", indent="  ")
    return Check(
        kind=(_scalar(event, "kind") or "").removesuffix("-v1").removesuffix("-v2"),
        description=_first_item(event, "checks"),
        variable=_scalar(event, "variable", indent="  ") or _scalar(event, "variable") or "",
        exit_code=int(exit_code) if exit_code and exit_code.lstrip("-").isdigit() else None,
        output=_block(event, "stdout"),
    )


def _scalar(event: str, key: str, indent: str = "") -> str | None:
    match = re.search(_SCALAR.format(indent=indent, key=key), event, re.MULTILINE)
    return match[1] if match else None


def _first_item(event: str, key: str) -> str:
    match = re.search(rf"^    {key}:\n      - \"(.*)\"$", event, re.MULTILINE)
    return match[1] if match else ""


def _block(event: str, key: str) -> str:
    match = re.search(rf"^      {key}: \|\n((?:        .*\n|\s*\n)*)", event, re.MULTILINE)
    return "\n".join(line[8:] for line in match[1].splitlines()) if match else ""
