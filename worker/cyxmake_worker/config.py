"""The worker's settings: defaults, then a file, then the environment, then flags.

Knows nothing of what the settings do, nor how they are read. The token alone is enough.
"""

from __future__ import annotations

import os
import re
import socket
import sys
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
from cyxmake_common.errors import ConfigError
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.messages import Peer

FILE_NAME: Final = "cyxmake-worker.toml"
ENVIRONMENT_PREFIX: Final = "CYXMAKE_WORKER_"
MAX_SLOTS: Final = 4096
STDIN: Final = Path("-")
"""As the token's file: it is the first line of standard input."""


class WorkerConfig(BaseModel):
    """Every setting of the worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    token: Annotated[str, Field(repr=False)] = ""
    token_file: Path | None = None
    name: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    slots: Annotated[int, Field(ge=0, le=MAX_SLOTS, description="0: one for each CPU")] = 0
    prefetch: Annotated[int, Field(ge=0, le=64)] = 1
    labels: dict[str, str] = {}
    data_dir: Path | None = None
    cas_limit_bytes: Annotated[int, Field(ge=0, description="0: 10 GiB, or less")] = 0
    max_action_seconds: Annotated[float, Field(ge=0, description="0: no limit of ours")] = 3600.0
    probe_toolchains: bool = True
    allow_mapped: Annotated[
        bool, Field(description="without namespaces, run by path mapping: no isolation")
    ] = False
    host_tools: Annotated[
        bool, Field(description="show this machine's programs, read-only, to actions that ask")
    ] = True
    host_dirs: Annotated[
        tuple[str, ...], Field(description="more directories to show with them, read-only")
    ] = ()
    host_env: Annotated[
        dict[str, str], Field(description="variables for them: mirrors, proxies")
    ] = {}
    allow_network: Annotated[
        bool, Field(description="let actions that ask use this machine's network")
    ] = False
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    log_json: bool = False
    once: bool = False
    discover: Annotated[
        bool, Field(description="where the token's address is silent, look for its coordinator")
    ] = False

    @field_validator("labels", "host_env", mode="before")
    @classmethod
    def _parse_labels(cls, value: object) -> object:
        return parse_labels(value) if isinstance(value, str) else value

    @field_validator("host_dirs", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, value.split(","))) if isinstance(value, str) else value

    @field_validator("host_dirs")
    @classmethod
    def _absolute(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            if not path.startswith("/") or path.strip("/") == "":
                raise ValueError(f"{path!r} is no directory below / that could be shown")
        return value

    @property
    def effective_name(self) -> str:
        """Return the given name, or the host's."""
        return self.name or default_name()

    @property
    def effective_slots(self) -> int:
        """Return the given number, or that of the CPUs that this process may use."""
        return self.slots or min(MAX_SLOTS, available_cpus())

    @property
    def effective_data_dir(self) -> Path:
        """Return the given directory, or one of this user's for a worker of this name."""
        return self.data_dir or default_data_dir(self.effective_name)

    def join_token(self) -> JoinToken:
        """Return the token from wherever it was given; raises ConfigError."""
        text = self.token or (_read_token(self.token_file) if self.token_file else "")
        if not text:
            raise ConfigError(
                "no join token is given",
                next_step="cyxmake-worker --token TOKEN; where the coordinator runs, "
                "`cyxmake-coordinator token create --role worker` makes one",
            )
        token = JoinToken.parse(text)
        if token.role is not Peer.WORKER:
            raise ConfigError(
                f"this is a token for the role {token.role}, not for a worker",
                next_step="`cyxmake-coordinator token create --role worker` makes the right one",
            )
        return token


def available_cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_name() -> str:
    """Return the host's name, as far as a worker may be called that."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname()).strip("-")[:64]
    return name or "worker"


def default_data_dir(name: str) -> Path:
    """Return where this user's worker of a name keeps its data."""
    return user_data_path("cyxmake", appauthor=False) / "worker" / name


def parse_labels(text: str) -> dict[str, str]:
    """Read `key=value,key=value`; raises ValueError."""
    labels: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"a label is written key=value, not {part!r}")
        labels[key.strip()] = value.strip()
    return labels


def load_config(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Flags | None = None,
) -> WorkerConfig:
    """Return the settings; a named file must exist, the one in the current directory may."""
    schema = WorkerConfig
    environ = os.environ if environment is None else environment
    file = path or Path(FILE_NAME)
    around = {
        **(read_file(schema, file) if path is not None or lies_here(file) else {}),
        **read_environment(schema, environ, ENVIRONMENT_PREFIX),
    }
    given = read_flags(schema, flags or {})
    if "token_file" in given:
        around.pop("token", None)  # what is asked for by hand wins over the environment
    return validate(schema, around, given)


def _read_token(path: Path) -> str:
    if path == STDIN:
        return sys.stdin.readline().strip()
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the token file cannot be read: {error}") from error
