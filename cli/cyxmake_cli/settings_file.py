"""Changes one setting in a settings file and leaves everything else in it as it stands.

Knows which settings there are from the schema alone. A file that is wrong, before or after, is not
written.
"""

from __future__ import annotations

import os
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from cyxmake_cli.settings import Settings
from cyxmake_common.config import Found, read_file, validate
from cyxmake_common.errors import ConfigError


def write(path: Path, key: str, value: str) -> None:
    """Set `table.key` to a value as a person types it, or take it out when that is empty.

    Raises ConfigError.
    """
    table_name, _, name = key.partition(".")
    try:
        text = path.read_text("utf-8") if path.is_file() else ""
        document = tomlkit.parse(text)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise ConfigError(f"{path}: {error}", next_step="correct the file first") from error
    if text:
        read_file(Settings, path)
    table = document.get(table_name)
    if not value:
        if isinstance(table, Table):
            table.pop(name, None)
    else:
        checked = validate(Settings, {key: Found(value, "command line")})
        if not isinstance(table, Table):
            table = tomlkit.table()
            document.add(table_name, table)
        table[name] = getattr(getattr(checked, table_name), name)
    _replace(path, tomlkit.dumps(document))


def _replace(path: Path, text: str) -> None:
    # Through a symlink: a file that somebody keeps elsewhere stays there.
    target = Path(os.path.realpath(path))
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(text, "utf-8")
        if target.exists():
            scratch.chmod(target.stat().st_mode & 0o7777)
        scratch.replace(target)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
