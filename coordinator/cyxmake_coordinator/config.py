"""The coordinator's settings: defaults, then a file, then the environment, then flags.

Knows nothing of what the settings do, nor how they are read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, field_validator

from cyxmake_common.config import (
    Flags,
    lies_here,
    read_environment,
    read_file,
    read_flags,
    validate,
)
from cyxmake_coordinator.core.placement import ALGORITHMS, DEFAULT_ALGORITHM

FILE_NAME: Final = "cyxmake-coordinator.toml"
ENVIRONMENT_PREFIX: Final = "CYXMAKE_COORDINATOR_"
DEFAULT_PORT: Final = 9876


def default_data_dir() -> Path:
    """Return where the coordinator of this user keeps its data."""
    return user_data_path("cyxmake", appauthor=False) / "coordinator"


_by_user: Final = Field(description="token id to number; '*' stands for all that are not named")


class CoordinatorConfig(BaseModel):
    """Every setting of the coordinator."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = DEFAULT_PORT
    data_dir: Path = Field(default_factory=default_data_dir)
    cas_limit_bytes: Annotated[int, Field(ge=0, description="0: chosen from the free disk")] = 0
    action_cache_entries: Annotated[int, Field(ge=1)] = 1_000_000
    placement: str = DEFAULT_ALGORITHM
    user_weights: Annotated[dict[str, Annotated[float, Field(gt=0)]], _by_user] = {}
    user_slots: Annotated[dict[str, Annotated[int, Field(ge=1)]], _by_user] = {}
    queue_limit: Annotated[int, Field(ge=1)] = 100_000
    user_queue_limit: Annotated[int, Field(ge=1)] = 50_000
    audit_every: Annotated[int, Field(ge=0, description="0: no audits")] = 200
    worker_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 4.0
    heartbeat_seconds: Annotated[float, Field(gt=0, le=600)] = 1.0
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    log_json: bool = False
    advertise: Annotated[str, Field(pattern=r"^$|^wss://[^/]+:\d+$")] = ""
    worker_token_file: Annotated[
        Path | None, Field(description="a good token for workers is kept in this file")
    ] = None
    metrics_token_file: Annotated[
        Path | None, Field(description="GET /metrics answers who shows this file's text")
    ] = None
    announce: Annotated[bool, Field(description="tell the local network by mDNS")] = False

    @field_validator("placement")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in ALGORITHMS:
            raise ValueError(f"no such algorithm; known: {', '.join(ALGORITHMS)}")
        return name


def load_config(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Flags | None = None,
) -> CoordinatorConfig:
    """Return the settings; a named file must exist, the one in the current directory may."""
    schema = CoordinatorConfig
    environ = os.environ if environment is None else environment
    file = path or Path(FILE_NAME)
    return validate(
        schema,
        read_file(schema, file) if path is not None or lies_here(file) else {},
        read_environment(schema, environ, ENVIRONMENT_PREFIX),
        read_flags(schema, flags or {}),
    )
