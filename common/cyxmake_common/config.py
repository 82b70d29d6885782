"""Settings from files, environment and flags: read by schema, laid over each other, checked once.

Knows no program's settings: a schema (a pydantic model, or a dataclass with annotations that
pydantic understands) says which there are; one whose type is a schema itself is a table. Unknown
keys and wrong values are refused by name and place: a misspelt limit that is silently ignored is
found only when the disk is full.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_type_hints

from cyxmake_common.errors import ConfigError

M = TypeVar("M")

FlagValue = str | int | float | bool | None
Flags = Mapping[str, FlagValue]
"""Settings from the command line by key; None stands for a flag that was not given."""

_HEADER: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?\Z")
_KEY: Final = re.compile(r"\s*([\w.\"' -]+?)\s*=")

_CHECKERS: Final[dict[type, Any]] = {}
"""By schema: making one takes as long as a hundred uses, and an agent asks for each compile."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value as it was given, and where: `file:line`, a variable's name, `command line`."""

    value: object
    origin: str


Source = Mapping[str, Found]
"""What one place gives, by key; the keys of a table are written `table.key`."""


def keys_of(schema: type) -> tuple[str, ...]:
    """Return every key of a schema, in its order."""
    return tuple(key for key, _ in _leaves(schema))


def read_file(schema: type, path: Path) -> Source:
    """Read a TOML file; raises ConfigError."""
    try:
        text = path.read_text("utf-8")
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}", next_step="correct the file's syntax") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", next_step="check the path") from error
    found: dict[str, Found] = {}
    for key, value in _flat(values, _tables(schema)):
        line = line_of(text, key)
        found[key] = Found(value, f"{path}:{line}" if line else str(path))
    return _known(schema, found)


def lies_here(path: Path) -> bool:
    """Tell whether a file that may be there is; one in a directory closed to us is not."""
    try:
        return path.is_file()
    except PermissionError:
        return False


def read_environment(
    schema: type, environ: Mapping[str, str], prefix: str, besides: frozenset[str] = frozenset()
) -> Source:
    """Read the variables that begin with `prefix`; raises ConfigError for one that is no key.

    A schema of tables leaves those variables alone that begin with the name of none of them.
    `besides` are variables that look like settings and are none. An empty variable is not set.
    """
    tables = _tables(schema)
    families = {f"{prefix}{table.upper()}_": f"{table}." for table in tables} or {prefix: ""}
    found: dict[str, Found] = {}
    for name, value in environ.items():
        if not value or name in besides:
            continue
        for family, table in families.items():
            if name.startswith(family):
                found[table + name.removeprefix(family).lower()] = Found(value, name)
    return _known(schema, found)


def read_flags(schema: type, flags: Flags) -> Source:
    """Take what was given on the command line."""
    given = {key: Found(value, "command line") for key, value in flags.items() if value is not None}
    return _known(schema, given)


def validate(schema: type[M], *sources: Source) -> M:
    """Return the settings, each from the last source that has it; raises ConfigError."""
    merged: dict[str, Found] = {}
    for source in sources:
        merged.update(source)
    if not merged:
        return schema()  # importing pydantic takes longer than everything else here
    from pydantic import ValidationError

    try:
        return cast(M, _checker(schema).validate_python(_nested(merged)))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        words = [str(part) for part in first["loc"]]
        key = next((k for k in (".".join(words[:2]), *words[:1]) if k in merged), ".".join(words))
        where = merged[key].origin if key in merged else "settings"
        raise ConfigError(
            f"{where}: {key}: {first['msg']}", next_step="correct the value"
        ) from None


def _checker(schema: type) -> Any:
    from pydantic import TypeAdapter

    if schema not in _CHECKERS:
        _CHECKERS[schema] = TypeAdapter(schema)
    return _CHECKERS[schema]


def line_of(text: str, key: str) -> int | None:
    """Return the number of the line that gives a key, or begins its table; None if none is seen."""
    table, table_line, inside = "", None, ""
    wanted = key.split(".")
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            inside = header[1]
            if _words(inside) == wanted[: len(_words(inside))]:
                table, table_line = inside, number
        elif match := _KEY.match(line):
            here = [*(_words(inside) if inside else ()), *_words(match[1])]
            if here == wanted or (len(here) < len(wanted) and here == wanted[: len(here)]):
                return number
    return table_line if table else None


def _words(text: str) -> list[str]:
    return [word.strip().strip("\"'") for word in text.split(".")]


def _leaves(schema: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, kind in _fields(schema).items():
        if _is_schema(kind):
            yield from _leaves(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, kind


def _fields(schema: type) -> dict[str, Any]:
    hints = get_type_hints(schema)
    if is_dataclass(schema):
        return {field.name: hints[field.name] for field in fields(schema)}
    names: Mapping[str, object] = getattr(schema, "model_fields", {})
    return {name: hints[name] for name in names}


def _is_schema(kind: object) -> bool:
    return isinstance(kind, type) and (is_dataclass(kind) or hasattr(kind, "model_fields"))


def _tables(schema: type) -> tuple[str, ...]:
    return tuple(name for name, kind in _fields(schema).items() if _is_schema(kind))


def _flat(values: Mapping[str, object], tables: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if key in tables and isinstance(value, dict):
            for name, inner in value.items():
                yield f"{key}.{name}", inner
        else:
            yield key, value


def _nested(found: Source) -> dict[str, object]:
    result: dict[str, Any] = {}
    for key, one in found.items():
        table, dot, name = key.rpartition(".")
        (result.setdefault(table, {}) if dot else result)[name] = one.value
    return result


def _known(schema: type, found: dict[str, Found]) -> Source:
    known = keys_of(schema)
    for key, one in found.items():
        if key in known:
            continue
        if key in _tables(schema):
            raise ConfigError(
                f"{one.origin}: {key} is a table of settings, no setting",
                next_step=f"write [{key}] and the settings below it",
            )
        import difflib

        near = difflib.get_close_matches(key, known, n=1) or [
            other for other in known if other.rpartition(".")[2] == key.rpartition(".")[2]
        ]
        step = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
        raise ConfigError(f"{one.origin}: unknown key {key!r}", next_step=step)
    return found
