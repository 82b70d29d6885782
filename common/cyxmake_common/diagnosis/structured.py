"""Reads what tools write for programs, JSON and XML, as the text that they write for people.

Knows no rule: what comes out is read by the same rules as any output. Tolerant: text around and
between the structured parts is kept, damaged parts count as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from cyxmake_common.diagnosis.model import FixIt

_Json = dict[str, Any]
_Place = tuple[str | None, int | None]


@dataclass
class Reading:
    """Structured output as text, and the fix-its that it carried, each with its place."""

    text: str = ""
    fixits: list[tuple[_Place, FixIt]] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Add a line of text."""
        self.text += line.rstrip("\n") + "\n"


def read(text: str) -> Reading | None:
    """Read structured output; None for plain text."""
    reading = Reading()
    start = text.lstrip()
    if start.startswith("<") and "<testsuite" in start[:500]:
        return reading if _junit(reading, start) else None
    if not any(mark in text for mark in _MARKS):
        return None
    found = False
    for part in _parts(text):
        if isinstance(part, str):
            reading.say(part)
            continue
        reader = next((r for looks, r in _READERS if looks(part)), None)
        if reader is not None:
            reader(reading, part)
            found = True
    return reading if found else None


_MARKS: Final = (
    '"caret"', '"runs"', '"compiler-message"', '"build-output"', '"ruleId"', '"posn"', "fix-it:"
)  # fmt: skip


def _parts(text: str) -> Iterator[str | Any]:
    """Split output into JSON values that begin on a line of their own, and the lines between."""
    decoder = json.JSONDecoder()
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end]
        if line.lstrip()[:1] in ("{", "["):
            start = at + len(line) - len(line.lstrip())
            try:
                value, end = decoder.raw_decode(text, start)
            except ValueError:
                yield line
            else:
                yield value
        elif line.startswith("fix-it:"):
            yield {"fix-it": line}
        else:
            yield line
        at = end + 1 if text[end : end + 1] == "\n" else end


def _gcc(reading: Reading, reports: list[_Json]) -> None:
    for report in reports:
        places = report.get("locations") or [{}]
        caret = places[0].get("caret", {})
        file, line = caret.get("file"), caret.get("line")
        where = f"{file}:{line}:{caret.get('column', 1)}: " if file else ""
        option = f" [{report['option']}]" if report.get("option") else ""
        reading.say(f"{where}{report.get('kind')}: {report.get('message')}{option}")
        for fix in report.get("fixits", []):
            start, after = fix["start"], fix["next"]
            fixit = FixIt(
                start["file"],
                (start["line"], start["column"]),
                (after["line"], after["column"]),
                fix["string"],
                certain=report.get("kind") != "note",
            )
            reading.fixits.append(((file, line), fixit))
        _gcc(reading, report.get("children", []))


def _sarif(reading: Reading, log: _Json) -> None:
    for run in log.get("runs", []):
        for result in run.get("results", []):
            physical = (result.get("locations") or [{}])[0].get("physicalLocation", {})
            region = physical.get("region", {})
            file = _path(physical.get("artifactLocation", {}).get("uri", ""))
            line = region.get("startLine")
            level = result.get("level", "warning")
            code = str(result.get("ruleId", ""))
            message = result.get("message", {}).get("text", "")
            if code[:1] in "CL" and code.lstrip("CLNK").isdigit():
                reading.say(f"{file}({line}): {level} {code}: {message}")
            else:
                option = f" [{code}]" if code.startswith("-W") else ""
                where = f"{file}:{line}:{region.get('startColumn', 1)}: " if file else ""
                reading.say(f"{where}{level}: {message}{option}")
            for change in _sarif_changes(result):
                reading.fixits.append(((file, line), change))


def _sarif_changes(result: _Json) -> Iterator[FixIt]:
    for fix in result.get("fixes", []):
        for change in fix.get("artifactChanges", []):
            file = _path(change.get("artifactLocation", {}).get("uri", ""))
            for replacement in change.get("replacements", []):
                region = replacement["deletedRegion"]
                line, column = region["startLine"], region.get("startColumn", 1)
                yield FixIt(
                    file,
                    (line, column),
                    (region.get("endLine", line), region.get("endColumn", column)),
                    replacement.get("insertedContent", {}).get("text", ""),
                )


def _path(uri: str) -> str:
    return unquote(urlsplit(uri).path) if uri.startswith("file:") else unquote(uri)


def _cargo(reading: Reading, line: _Json) -> None:
    message = line.get("message")
    if line.get("reason") != "compiler-message" or not isinstance(message, dict):
        return
    reading.say(message.get("rendered") or f"{message.get('level')}: {message.get('message')}")
    main: _Json = next((s for s in message.get("spans", []) if s.get("is_primary")), {})
    place = (main.get("file_name"), main.get("line_start"))
    for child in message.get("children", []):
        for span in child.get("spans", []):
            if span.get("suggested_replacement") is not None:
                fixit = FixIt(
                    span["file_name"],
                    (span["line_start"], span["column_start"]),
                    (span["line_end"], span["column_end"]),
                    span["suggested_replacement"],
                    certain=span.get("suggestion_applicability") == "MachineApplicable",
                )
                reading.fixits.append((place, fixit))


def _go_build(reading: Reading, line: _Json) -> None:
    if line.get("Action") == "build-output":
        reading.say(str(line.get("Output", "")))


def _go_vet(reading: Reading, packages: _Json) -> None:
    for analyses in packages.values():
        for findings in analyses.values():
            for finding in findings if isinstance(findings, list) else []:
                reading.say(f"vet: {finding.get('posn')}: {finding.get('message')}")


def _eslint(reading: Reading, files: list[_Json]) -> None:
    for file in files:
        for message in file.get("messages", []):
            kind = "error" if message.get("severity") == 2 else "warning"
            place = f"{file.get('filePath')}:{message.get('line', 1)}:{message.get('column', 1)}"
            reading.say(f"{place}: {kind}: {message.get('message')} [{message.get('ruleId')}]")


def _clang_fixit(reading: Reading, part: _Json) -> None:
    """Read clang's `fix-it:"file":{3:43-3:43}:";"`, which follows the error it belongs to."""
    try:
        _, rest = part["fix-it"].split('"', 1)
        file, rest = rest.split('":{', 1)
        span, text = rest.split("}:", 1)
        start, end = (tuple(int(n) for n in end.split(":")) for end in span.split("-"))
        fixit = FixIt(file, (start[0], start[1]), (end[0], end[1]), json.loads(text))
    except (ValueError, IndexError):
        reading.say(part["fix-it"])
        return
    reading.fixits.append(((file, start[0]), fixit))


def _junit(reading: Reading, text: str) -> bool:
    try:
        # Made by the user's own test run; expat bounds what entities may grow to.
        root = ElementTree.fromstring(text)  # noqa: S314
    except ElementTree.ParseError:
        return False
    for case in root.iter("testcase"):
        for kind in ("failure", "error"):
            for problem in case.findall(kind):
                owner = case.get("file") or case.get("classname") or "tests"
                if kind == "error" and problem.text:
                    reading.say(problem.text)
                message = (problem.get("message") or "").split("\n")[0]
                reading.say(f"FAILED {owner}::{case.get('name')} - {message}")
    return True


def _is_list_with(key: str) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, list) and bool(v) and isinstance(v[0], dict) and key in v[0]


def _is_object_with(key: str) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, dict) and key in v


def _is_vet(value: Any) -> bool:
    return isinstance(value, dict) and any(
        isinstance(v, dict) and any(isinstance(f, list) for f in v.values()) for v in value.values()
    )


_READERS: Final[tuple[tuple[Callable[[Any], bool], Callable[[Reading, Any], None]], ...]] = (
    (_is_list_with("locations"), _gcc),
    (_is_object_with("runs"), _sarif),
    (_is_object_with("reason"), _cargo),
    (_is_object_with("ImportPath"), _go_build),
    (_is_list_with("messages"), _eslint),
    (_is_object_with("fix-it"), _clang_fixit),
    (_is_vet, _go_vet),
)
