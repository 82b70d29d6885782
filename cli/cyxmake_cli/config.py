"""Where the client keeps things, and which cluster it belongs to.

Knows nothing of connections. The cluster is named by a token: CYXMAKE_TOKEN, else the one that
`cyxmake login` remembered, else none (the build brings its own embedded cluster).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import platformdirs

from cyxmake_common.errors import ConfigError

TOKEN_VARIABLE: Final = "CYXMAKE_TOKEN"  # noqa: S105 - the variable's name, not a secret
CACHE_VARIABLE: Final = "CYXMAKE_CACHE_DIR"
CONFIG_VARIABLE: Final = "CYXMAKE_CONFIG_DIR"
DATA_VARIABLE: Final = "CYXMAKE_DATA_DIR"
STATE_VARIABLE: Final = "CYXMAKE_STATE_DIR"


def cache_directory() -> Path:
    """Return the user's cache directory: toolchains, digests, the embedded cluster's data."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("cyxmake")


def config_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's configuration directory: the remembered token."""
    named = environ.get(CONFIG_VARIABLE)
    return Path(named) if named else platformdirs.user_config_path("cyxmake")


def data_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's data directory: language models."""
    named = environ.get(DATA_VARIABLE)
    return Path(named) if named else platformdirs.user_data_path("cyxmake")


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's state directory: what was spent on language models."""
    named = environ.get(STATE_VARIABLE)
    return Path(named) if named else platformdirs.user_state_path("cyxmake")


def token_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file of the remembered token, which may not exist."""
    return config_directory(environ) / "token"


def token_text(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the text of the cluster's token, or None when no cluster is configured."""
    text = environ.get(TOKEN_VARIABLE, "").strip()
    if text:
        return text
    try:
        return token_file(environ).read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"cannot read the remembered token: {error}", next_step="run `cyxmake login TOKEN`"
        ) from error


def remember_token(text: str) -> Path:
    """Keep a token for later builds, readable by its owner only; returns the file."""
    path = token_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot keep the token in {path}: {error}") from error
    return path


def forget_token() -> bool:
    """Remove the remembered token; tells whether there was one."""
    try:
        token_file().unlink()
    except FileNotFoundError:
        return False
    return True
