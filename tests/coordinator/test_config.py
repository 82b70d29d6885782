"""Settings: which source wins, and that mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_common.errors import ConfigError
from cyxmake_coordinator.config import FILE_NAME, load_config


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing given, the coordinator is reachable from this machine only."""
    monkeypatch.chdir(tmp_path)
    config = load_config(environment={})
    assert (config.host, config.port, config.worker_timeout_seconds) == ("127.0.0.1", 9876, 4.0)
    assert config.data_dir.name == "coordinator"


def test_flags_win_over_environment_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of the current directory is read; each later source overrides it."""
    (tmp_path / FILE_NAME).write_text('port = 1\nhost = "a"\nlog_level = "debug"\n')
    monkeypatch.chdir(tmp_path)
    environment = {
        "CYXMAKE_COORDINATOR_PORT": "2",
        "CYXMAKE_COORDINATOR_HOST": "b",
        "CYXMAKE_COORDINATOR_LOG_JSON": "true",
        "CYXMAKE_WORKER_SLOTS": "9",
    }
    config = load_config(environment=environment, flags={"port": 3, "host": None})
    assert (config.port, config.host, config.log_level, config.log_json) == (3, "b", "debug", True)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("prot = 1", ["unknown key 'prot'", "did you mean 'port'"]),
        ("zzz = 1", ["unknown key 'zzz'", "known keys: action_cache_entries"]),
        ('port = "many"', ["port:"]),
        ("port = 70000", ["port:", "65535"]),
        ('log_level = "loud"', ["log_level:"]),
        ('advertise = "https://x"', ["advertise:"]),
        ('placement = "best"', ["placement:", "weighted-locality"]),
        ("[user_slots]\nann = 0", ["user_slots"]),
        ("port = ", ["correct the file's syntax"]),
    ],
)
def test_mistakes_are_named_with_the_file(tmp_path: Path, text: str, names: list[str]) -> None:
    """The error says which file, which key, and what to do."""
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(file, environment={})
    for part in [str(file), *names]:
        assert part in str(error.value)


def test_mistakes_in_the_environment_are_named(tmp_path: Path) -> None:
    """A misspelt variable is an error, too."""
    (tmp_path / "c.toml").write_text("")
    with pytest.raises(ConfigError, match="CYXMAKE_COORDINATOR_PROT: unknown key 'prot'"):
        load_config(tmp_path / "c.toml", environment={"CYXMAKE_COORDINATOR_PROT": "1"})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """--config with a wrong path is an error, not the defaults."""
    with pytest.raises(ConfigError, match="check the path"):
        load_config(tmp_path / "none.toml", environment={})
