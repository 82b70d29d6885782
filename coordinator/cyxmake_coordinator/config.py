"""The coordinator's settings: defaults, then a file, then the environment, then flags.

Knows nothing of what the settings do. Unknown keys and wrong types are refused by name: a misspelt
limit that is silently ignored is found only when the disk is full.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cyxmake_common.errors import ConfigError

FILE_NAME: Final = "cyxmake-coordinator.toml"
ENVIRONMENT_PREFIX: Final = "CYXMAKE_COORDINATOR_"
DEFAULT_PORT: Final = 9876

Flags = Mapping[str, str | int | bool | None]
"""Settings from the command line by key; None stands for a flag that was not given."""


def default_data_dir() -> Path:
    """Return where the coordinator of this user keeps its data."""
    return user_data_path("cyxmake", appauthor=False) / "coordinator"


class CoordinatorConfig(BaseModel):
    """Every setting of the coordinator."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = DEFAULT_PORT
    data_dir: Path = Field(default_factory=default_data_dir)
    cas_limit_bytes: Annotated[int, Field(ge=0, description="0: chosen from the free disk")] = 0
    action_cache_entries: Annotated[int, Field(ge=1)] = 1_000_000
    worker_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    heartbeat_seconds: Annotated[float, Field(gt=0, le=600)] = 1.0
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    log_json: bool = False
    advertise: Annotated[str, Field(pattern=r"^$|^wss://[^/]+:\d+$")] = ""


def load_config(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Flags | None = None,
) -> CoordinatorConfig:
    """Return the settings; a named file must exist, the one in the current directory may."""
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    file = path or Path(FILE_NAME)
    if path is not None or file.is_file():
        _take(values, origins, _read_file(file), str(file))
    _take(values, origins, _from_environment(os.environ if environment is None else environment))
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    _take(values, origins, given, "command line")
    try:
        return CoordinatorConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            raise _unknown(key, origins.get(key, str(file))) from None
        where = origins.get(key, "settings")
        raise ConfigError(
            f"{where}: {key}: {first['msg']}", next_step="correct the value"
        ) from None


def _take(
    values: dict[str, object],
    origins: dict[str, str],
    found: Mapping[str, object],
    origin: str = "",
) -> None:
    for key, value in found.items():
        values[key] = value
        origins[key] = origin or ENVIRONMENT_PREFIX + key.upper()


def _read_file(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}", next_step="correct the file's syntax") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", next_step="check the path") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in environment.items():
        if name.startswith(ENVIRONMENT_PREFIX) and value:
            found[name.removeprefix(ENVIRONMENT_PREFIX).lower()] = value
    return found


def _unknown(key: str, origin: str) -> ConfigError:
    import difflib

    known = sorted(CoordinatorConfig.model_fields)
    near = difflib.get_close_matches(key, known, n=1)
    step = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    return ConfigError(f"{origin}: unknown key {key!r}", next_step=step)
