"""Proposes fixes of code that are certain: what the compiler itself proposes, a missing #include.

Looks at the project through `View` only, and changes nothing. It never changes what code means:
tests and declarations are left to people.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Final

from cyxmake_cli.recovery.fixes import AddFlags, Edit, EditFile, Fix, SetAside
from cyxmake_cli.recovery.propose_edits import build_files
from cyxmake_cli.recovery.view import View
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.diagnosis.model import Category, Diagnosis, FixIt

_TEST: Final = re.compile(
    r"(?:^|/)(?:tests?|testing|spec|specs)(?:/|$)|(?:^|/)test_|_test\.|\.test\."
)
_CXX: Final = re.compile(r"\.(?:cc|cpp|cxx|c\+\+|C|hh|hpp|hxx|H|ipp|tpp)$")


def is_test(path: str) -> bool:
    """Tell whether a file is part of the tests: those are never edited."""
    return _TEST.search(path) is not None


def fix_its(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """What a compiler proposes to write, in files of the project that are no tests."""
    by_file: dict[str, list[FixIt]] = {}
    for fixit in cause.fixits:
        place = view.place_of(fixit.file)
        if place is None or is_test(place):
            return
        by_file.setdefault(place, []).append(fixit)
    for place, fixits in by_file.items():
        edits = _edits(view.lines(place), fixits)
        if edits:
            yield EditFile(place, edits)


def _edits(lines: list[str], fixits: list[FixIt]) -> tuple[Edit, ...]:
    """Return fix-its as edits of whole lines; none where one spans lines or two overlap."""
    changed: dict[int, str] = {}
    edge: dict[int, int] = {}
    for fixit in sorted(set(fixits), key=lambda f: (f.start, f.end), reverse=True):
        (line, column), (last, end) = fixit.start, fixit.end
        if line != last or not 0 < line <= len(lines):
            return ()
        data = changed.get(line, lines[line - 1]).encode("utf-8", "surrogateescape")
        if end - 1 > min(len(data), edge.get(line, len(data))):
            return ()
        edge[line] = column - 1
        # Columns are bytes.
        text = data[: column - 1] + fixit.text.encode("utf-8", "surrogateescape") + data[end - 1 :]
        changed[line] = text.decode("utf-8", "surrogateescape")
    return tuple(Edit(n, lines[n - 1], new) for n, new in sorted(changed.items()))


def semicolon(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A statement whose semicolon the compiler misses before the next line gets it."""
    facts = cause.facts
    place, at = view.place_of(facts.file), facts.line or 0
    lines = view.lines(place) if place else []
    expected = re.search(r"expected (?:[^\n]*\bor )?[‘'\"];[’'\"] before", cause.evidence)
    if place is None or is_test(place) or expected is None or not 0 < at <= len(lines):
        return
    before = next((n for n in range(at - 1, 0, -1) if lines[n - 1].strip()), 0)
    line = lines[before - 1].rstrip() if before else ""
    if line and re.search(r"[\w)\]\"']$", line) and not line.lstrip().startswith(("#", "//", "*")):
        yield EditFile(place, (Edit(before, lines[before - 1], f"{line};"),))


def missing_include(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A name of the standard library gets the #include that declares it."""
    place = view.place_of(cause.facts.file)
    symbol = _symbol(cause)
    if place is None or not symbol:
        return
    language = "c++" if _CXX.search(place) else "c"
    headers = _headers_in(cause.evidence) or _declared_in(symbol, language)
    lines = view.lines(place)
    for header in headers[:2]:
        if any(
            re.match(rf"\s*#\s*include\s*[<\"]{re.escape(header)}[>\"]", line) for line in lines
        ):
            continue
        at = _first_include(lines)
        if at and not is_test(place):
            yield EditFile(
                place, (Edit(at, lines[at - 1], f"#include <{header}>\n{lines[at - 1]}"),)
            )


def _symbol(cause: Diagnosis) -> str:
    if cause.facts.symbol:
        return cause.facts.symbol
    match = re.search(r"[‘'\"`]((?:std::)?\w+)[’'\"`]", cause.evidence)
    return match[1] if match else ""


def _headers_in(evidence: str) -> list[str]:
    named = re.findall(
        r"#include <([\w./+]+)>|defined in header [‘'\"]<([\w./]+)>|include [‘'\"]<([\w./]+)>",
        evidence,
    )
    return [next(name for name in groups if name) for groups in named]


def _first_include(lines: list[str]) -> int:
    """Return the line before which an #include may stand: the first one, outside of conditions."""
    depth = 0
    guard = False
    for number, line in enumerate(lines, 1):
        word = re.match(r"\s*#\s*(\w+)", line)
        if word is None:
            continue
        match word[1]:
            case "include" if depth == 0 or (guard and depth == 1):
                return number
            case "ifndef" if depth == 0 and not guard:
                guard, depth = True, 1
            case "if" | "ifdef" | "ifndef":
                depth += 1
            case "endif":
                depth -= 1
            case _:
                pass
    return 1 if lines else 0


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, str]]:
    text = files(__package__).joinpath("data", "symbols.toml").read_text("utf-8")
    found = tomllib.loads(text)
    return {
        table: {name: key for key, names in rows.items() for name in names.split()}
        for table, rows in found.items()
    }


def _declared_in(symbol: str, language: str) -> list[str]:
    name = symbol.removeprefix("std::")
    tables = ("cxx", "c") if language == "c++" else ("c",)
    return [header for table in tables if (header := _table()[table].get(name))]


def symbol_library(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A symbol of a well-known library gets that library at the end of the link."""
    library = library_of(cause.facts.symbol or "")
    if library is None:
        return
    word = f"-l{library}"
    yield AddFlags(link=(word,))
    yield from _in_link_rules(word, view)


def library_of(symbol: str) -> str | None:
    """Return the library, as after -l, that has a symbol."""
    name = re.sub(r"@.*|\(.*", "", symbol)
    if known := _table()["library"].get(name):
        return known
    prefixes = _table()["prefix"]
    return next((library for p, library in prefixes.items() if name.startswith(p)), None)


_LINKS: Final = re.compile(
    r"^\t.*\$\((?:CC|CXX|LINK|LD)\).*-o\s|^\t.*\b(?:cc|gcc|g\+\+|clang)\b.*-o\s"
)


def _in_link_rules(word: str, view: View) -> Iterator[Fix]:
    """Edit rules of a Makefile that link, where no variable is at the end of the link."""
    if view.system is not SystemName.MAKE:
        return
    for place in build_files(view):
        edits = [
            Edit(number, line, f"{line.rstrip()} {word}")
            for number, line in enumerate(view.lines(place), 1)
            if _LINKS.search(line) and not re.search(r"\s-c\b", line)
        ]
        if 0 < len(edits) <= 5:
            yield EditFile(place, tuple(edits))


def symbol_source(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A symbol that an own source defines, which nobody links, gets that source linked."""
    found = _defining(cause, view)
    if len(found) != 1:
        return
    for place in build_files(view):
        yield from _named_in(place, found[0], view)


def stale_object(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """An object that lacks a symbol which its source defines is made anew: it is of another one."""
    symbol = _identifier(cause)
    build = view.inside(view.build) or "."
    for source in _defining(cause, view):
        stem = source.rpartition(".")[0]
        for name in (stem, f"{build}/{stem.rpartition('/')[2]}"):
            place = view.inside(f"{name}.o")
            text = view.text(place) if place and place not in view.tracked else None
            # What is optimised at the link may be packed: names do not show there.
            if place and text is not None and not re.search(rf"^BC|gnu\.lto|{symbol}", text):
                yield SetAside((place,))
                break


def _defining(cause: Diagnosis, view: View) -> list[str]:
    """Return the project's own sources that seem to define an undefined symbol."""
    symbol = _identifier(cause)
    if not symbol or cause.category is not Category.UNDEFINED_SYMBOL:
        return []
    defines = re.compile(rf"^[A-Za-z_][\w\s*:<>,&]*\b{symbol}\s*\([^;]*$", re.MULTILINE)
    sources = [f for f in view.files if re.search(r"\.(?:c|cc|cpp|cxx)$", f) and not is_test(f)]
    return [f for f in sources if (t := view.text(f)) and symbol in t and defines.search(t)]


def _identifier(cause: Diagnosis) -> str:
    """Return the bare name of a symbol, without scope and arguments; empty: it has none."""
    symbol = re.sub(r"\(.*", "", cause.facts.symbol or "").rsplit("::", 1)[-1]
    return symbol if re.fullmatch(r"\w+", symbol) else ""


def _named_in(place: str, source: str, view: View) -> Iterator[Fix]:
    """Add a source beside a sibling that a build file names, in the sibling's own way."""
    folder = place.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    if not source.startswith(prefix):
        return
    name = source.removeprefix(prefix)
    stem, _, ending = name.rpartition(".")
    lines = view.lines(place)
    text = "\n".join(lines)
    if re.search(rf"(?<![\w/.-]){re.escape(stem)}\.(?:o|{re.escape(ending)})\b", text):
        return
    siblings = [
        f.removeprefix(prefix) for f in view.files
        if f.startswith(prefix) and f.endswith(f".{ending}") and f != source
    ]  # fmt: skip
    for sibling in siblings:
        other = sibling.rpartition(".")[0]
        for suffix in (ending, "o"):
            quoted = re.compile(rf"(['\"]?)(?<![\w/.-]){re.escape(other)}\.{suffix}\1(?![\w.-])")
            for number, line in enumerate(lines, 1):
                match = quoted.search(line)
                if match is None or re.match(rf"\s*{re.escape(other)}\.o\s*:", line):
                    continue
                comma = "," if view.system is SystemName.MESON else ""
                mine = f"{match[1]}{stem}.{suffix}{match[1]}"
                new = f"{line[: match.end()]}{comma} {mine}{line[match.end() :]}"
                yield EditFile(place, (Edit(number, line, new),))
                break
