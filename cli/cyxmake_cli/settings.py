"""The client's settings: flags, then the environment, the project's file, the user's, defaults.

Knows nothing of what the settings do. A project's `cyxmake.toml` is found upward from where one
builds, and belongs to everyone who has the project: there is no key for a secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from annotated_types import Ge, Le, MinLen

from cyxmake_cli import config
from cyxmake_cli.systems.model import BuildType, SystemName
from cyxmake_common.config import (
    Flags,
    Found,
    Source,
    keys_of,
    read_environment,
    read_file,
    read_flags,
    validate,
)
from cyxmake_common.errors import ConfigError

PROJECT_FILE: Final = "cyxmake.toml"
USER_FILE: Final = "config.toml"
PREFIX: Final = "CYXMAKE_"
ROOT_VARIABLE: Final = "CYXMAKE_ROOT"
VERSION_CONTROL: Final = (".git", ".hg", ".svn", ".jj")

_NO_SETTINGS: Final = frozenset((config.CACHE_VARIABLE,))
_PROJECT_MAY: Final = (("ai.enabled", False), ("ai.offline", True))
_MAY_SAY: Final = "ai.enabled = false and ai.offline = true"
_LOGIN: Final = "a token is a secret and stands in no settings: `cyxmake login TOKEN` keeps it"


class Place(StrEnum):
    """Where a build's actions run."""

    AUTO = "auto"
    CLUSTER = "cluster"


class Download(StrEnum):
    """Which outputs a build brings home."""

    ALL = "all"
    TOPLEVEL = "toplevel"
    MINIMAL = "minimal"


class Strategy(StrEnum):
    """How a build is cut into actions."""

    COMPILE_UNITS = "compile-units"
    TARGETS = "targets"
    WHOLE_PROJECT = "whole-project"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How a build is done."""

    strategy: Strategy = Strategy.COMPILE_UNITS
    """How a build is cut into actions."""

    jobs: Annotated[int, Ge(0), Le(10_000)] = 0
    """Edges under way at a time; 0 follows from the slots of the cluster."""
    keep_going: Annotated[int, Ge(0)] = 1
    """How many commands may fail before no other is started; 0 is no limit."""
    download: Download = Download.ALL
    """Outputs to bring home: all, those of the targets, or only what a command here reads."""
    place: Place = Place.AUTO
    """Where actions run: wherever they are done first, or in the cluster whatever it costs."""
    directory: Annotated[str, MinLen(1)] | None = None
    """Where the project builds; in a project's file relative to that file."""
    type: BuildType | None = None
    """Build type: debug, release, relwithdebinfo, minsizerel; without it the project's own."""
    no_ident: bool = False
    """Whether objects go without the text that names the compiler's packager."""
    system: SystemName | None = None
    """Build system, where a project has several; without it the one that is found first."""


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Which cluster a build goes to."""

    enabled: bool = True
    """Whether builds use a cluster at all."""
    coordinator: Annotated[str, MinLen(1)] | None = None
    """Address of the coordinator, instead of the token's own."""
    reconnect_seconds: Annotated[float, Ge(0), Le(3600)] = 20.0
    """How long a build waits for a coordinator that it has lost; meanwhile it goes on here."""


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """What is taken from earlier builds."""

    enabled: bool = True
    """Whether results of earlier builds are used."""
    remap_paths: bool = False
    """Whether debug information names the project by a fixed path, so that checkouts share it."""


@dataclass(frozen=True, slots=True)
class AiSettings:
    """Which language models may be asked, and what they may take."""

    enabled: bool = True
    """Whether language models are asked at all; without one everything still works."""
    providers: str = "local"
    """Models in the order in which they are asked: `local, ollama:NAME, anthropic:NAME`."""
    offline: bool = False
    """Whether only models on this machine are asked."""
    show_sent: bool = False
    """Whether everything that leaves the machine is shown."""
    context: Annotated[int, Ge(512), Le(1_000_000)] = 4096
    """Tokens of question and answer that a local model holds."""
    threads: Annotated[int, Ge(0), Le(1024)] = 0
    """Threads of a local model; 0 is as many as are free. While the machine compiles it is one."""
    timeout: Annotated[float, Ge(1), Le(3600)] = 60.0
    """Seconds that a provider may be silent."""
    retries: Annotated[int, Ge(0), Le(10)] = 2
    """How often a provider that is busy or away is asked again."""
    daily_tokens: Annotated[int, Ge(0)] = 200_000
    """Tokens that providers off this machine may take in a day; 0 is no limit."""
    daily_cost: Annotated[float, Ge(0)] = 0.0
    """Money that they may take in a day, in the currency of the prices; 0 is no limit."""
    read_price: Annotated[float, Ge(0)] = 0.0
    """What a million tokens that a provider reads costs."""
    written_price: Annotated[float, Ge(0)] = 0.0
    """What a million tokens that a provider writes costs."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of the client."""

    build: BuildSettings = field(default_factory=BuildSettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    ai: AiSettings = field(default_factory=AiSettings)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and by key what was given for them and where; what is not in it is default."""

    settings: Settings
    found: Source
    project_file: Path | None
    user_file: Path


def load(
    directory: str | os.PathLike[str],
    environ: Mapping[str, str] | None = None,
    flags: Flags | None = None,
) -> Loaded:
    """Return the settings for whoever builds in `directory`; raises ConfigError."""
    environ = os.environ if environ is None else environ
    project_file, user_file = settings_files(directory, environ)
    sources = (
        _read(user_file) if user_file.is_file() else {},
        _read_project(project_file) if project_file is not None else {},
        read_environment(Settings, environ, PREFIX, _NO_SETTINGS),
        read_flags(Settings, flags or {}),
    )
    found = {key: one for source in sources for key, one in source.items()}
    return Loaded(validate(Settings, found), found, project_file, user_file)


def settings_files(
    directory: str | os.PathLike[str], environ: Mapping[str, str]
) -> tuple[Path | None, Path]:
    """Return the project's file, if there is one, and the user's, which may not exist."""
    project = project_settings(directory)
    if project is None and (root := environ.get(ROOT_VARIABLE)):
        project = project_settings(root)  # whoever builds outside of the project
    return project, user_settings(environ)


def as_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that give a process of ours the same settings, whatever files say."""
    found = {}
    for key in keys_of(Settings):
        table, _, name = key.partition(".")
        value = getattr(getattr(settings, table), name)
        if value is not None:
            found[f"{PREFIX}{table}_{name}".upper()] = str(value)
    return found


def user_settings(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file of the user's settings, which may not exist."""
    return config.config_directory(environ) / USER_FILE


def project_settings(directory: str | os.PathLike[str]) -> Path | None:
    """Return the nearest `cyxmake.toml` from a directory upward, not beyond its repository.

    A file of another user is none of the project's: whoever may write to `/tmp` could otherwise
    decide what is built below it.
    """
    place = os.path.abspath(directory)  # noqa: PTH100 - symlinks stay as they are spelled
    try:
        trusted = {os.stat(place).st_uid, 0, *_user()}  # noqa: PTH116 - asked for each compile
    except OSError:
        return None
    while True:
        path = f"{place.rstrip('/')}/{PROJECT_FILE}"
        try:
            if os.stat(path).st_uid in trusted:  # noqa: PTH116 - asked for each compile
                return Path(path)
        except OSError:
            pass
        parent = os.path.dirname(place)  # noqa: PTH120 - pure text
        if parent == place or any(os.path.lexists(f"{place}/{n}") for n in VERSION_CONTROL):
            return None
        place = parent


def _user() -> tuple[int, ...]:
    return (os.geteuid(),) if hasattr(os, "geteuid") else ()


def _read(path: Path) -> Source:
    try:
        return read_file(Settings, path)
    except ConfigError as error:
        if "unknown key" in error.message and "token" in error.message:
            raise ConfigError(error.message, next_step=_LOGIN) from error
        raise


def _read_project(path: Path) -> Source:
    found = dict(_read(path))
    named = found.get("build.directory")
    if named is not None and isinstance(named.value, str) and named.value:
        found["build.directory"] = Found(str(path.parent / named.value), named.origin)
    for key, one in found.items():
        # Whoever brings a project must not decide where logs and keys of its users go.
        if key.startswith("ai.") and (key, one.value) not in _PROJECT_MAY:
            raise ConfigError(
                f"{one.origin}: {key} is for each user to say, not for a project",
                next_step=f"a project may only say {_MAY_SAY}; the rest: `cyxmake config set`",
            )
    return found
