"""The recipe: the fixes that a project needs, as a file that may be shared with it.

`.cyxmake/recipe.toml` is the one thing in that folder that version control sees. A clone that has
it applies its fixes at the start of a build, each through the gate. Knows nothing of how.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from typing import Any, Final

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.recovery.fixes import Fix, RunTool, as_json, fix_of, kind_of
from cyxmake_common.errors import ConfigError

FILE: Final = "recipe.toml"
_VERSION: Final = 1
_HEADER: Final = (
    "# What this project needed to build, found by `cyxmake build --auto-fix`. `cyxmake build`\n"
    "# applies it in a fresh checkout, after asking; `cyxmake undo` takes it back.\n"
)
_TOOLS: Final = (
    ("npm", "ci"), ("npm", "install"), ("cargo", "add"), ("cargo", "generate-lockfile"),
    ("go", "mod", "tidy"), ("git", "submodule", "update"),
    ("python3", "-m", "pip", "--disable-pip-version-check", "install"),
)  # fmt: skip
"""What a recipe may run: a project that brings one cannot start other things by it."""


def read_recipe(own: OwnFolder) -> tuple[tuple[Fix, str], ...]:
    """Return the fixes of a recipe, each with its cause in words; raises ConfigError."""
    path = own.path / FILE
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise _wrong(path, str(error)) from error
    if found.get("version") != _VERSION:
        raise _wrong(path, "it is of another version")
    try:
        fixes = []
        for row in found.get("fix", ()):
            cause = str(row.pop("cause", ""))
            fixes.append((_checked(fix_of(row)), cause))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _wrong(path, str(error)) from error
    return tuple(fixes)


def _checked(fix: Fix) -> Fix:
    if isinstance(fix, RunTool) and not any(fix.argv[: len(t)] == t for t in _TOOLS):
        raise ValueError(f"a recipe may not run {' '.join(fix.argv[:2])}")
    return fix


def _wrong(path: Any, what: str) -> ConfigError:
    return ConfigError(f"{path}: {what}", next_step="correct it, or remove that file")


def write_recipe(own: OwnFolder, fixes: Iterable[tuple[Fix, str]]) -> None:
    """Write the recipe, or remove it where nothing is left of it; raises ConfigError."""
    rows = [(f, c) for f, c in fixes if kind_of(f).lasting]
    path = own.path / FILE
    if not rows:
        path.unlink(missing_ok=True)
        return
    text = [_HEADER, f"version = {_VERSION}\n"]
    for fix, cause in rows:
        text.append("\n[[fix]]\n")
        text.append(f"cause = {_toml(cause)}\n")
        text.extend(f"{name} = {_toml(value)}\n" for name, value in as_json(fix).items() if value)
    try:
        data = "".join(text).encode("utf-8")
    except UnicodeEncodeError:
        return  # a line of a file that is no text cannot be written down
    own.write_bytes(FILE, data)
    own.keep_visible(FILE)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
