"""Where keys of providers come from: the environment, else a file that its owner alone can read.

Knows no provider. There is no option and no setting for a key: both end up where others read.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cyxmake_cli import config
from cyxmake_common.errors import ConfigError

_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*['\"]?([^'\"\s]+)['\"]?\s*\Z")


def key_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file of keys, which may not exist."""
    return config.config_directory(environ) / "keys"


def find_key(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a key, or nothing; raises ConfigError for a file that others can read."""
    if not name:
        return ""
    return environ.get(name, "").strip() or _read(key_file(environ)).get(name, "")


def keep_key(name: str, value: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Write a key into the file, or take it out when it is empty; returns the file."""
    path = key_file(environ)
    keys = _read(path)
    keys.pop(name, None)
    if value:
        keys[name] = value
    scratch = path.with_name(f".keys.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{known}={text}\n" for known, text in keys.items())
        scratch.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise ConfigError(f"cannot keep the key in {path}: {error.strerror}") from error
    return path


def _read(path: Path) -> dict[str, str]:
    try:
        text = path.read_text("utf-8")
        mode = path.stat().st_mode
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the file of keys: {error}") from error
    if sys.platform != "win32" and stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{path} can be read by others", next_step=f"chmod 600 {path}")
    matches = (_LINE.match(line) for line in text.splitlines())
    return {match[1]: match[2] for match in matches if match}
