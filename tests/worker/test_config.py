"""The worker's settings: where they come from, what wins, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_common.errors import ConfigError
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.messages import Peer
from cyxmake_worker.config import WorkerConfig, available_cpus, default_name, load_config


def token(role: Peer = Peer.WORKER) -> str:
    """Return the text of a token for a role."""
    return JoinToken("wss://hub:9876", "0" * 64, "t-1", "secret-part", role).text()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where no settings file stands."""
    monkeypatch.chdir(tmp_path)


def test_the_token_alone_is_enough() -> None:
    """Everything else follows from the machine."""
    config = load_config(environment={"CYXMAKE_WORKER_TOKEN": token()})
    assert config.join_token().address == "wss://hub:9876"
    assert config.effective_slots == available_cpus()
    assert config.effective_name == default_name()
    assert config.effective_data_dir.name == default_name()


def test_flags_win_over_the_environment_over_the_file(tmp_path: Path) -> None:
    """From the general to the particular."""
    file = tmp_path / "w.toml"
    file.write_text('name = "file"\nslots = 1\nprefetch = 3\n[labels]\nrack = "a"\n')
    environment = {"CYXMAKE_WORKER_NAME": "env", "CYXMAKE_WORKER_SLOTS": "2", "HOME": "/x"}
    config = load_config(file, environment, {"name": "flag", "slots": None})
    assert (config.name, config.slots, config.prefetch) == ("flag", 2, 3)
    assert config.labels == {"rack": "a"}


def test_labels_are_read_from_one_word() -> None:
    """As they stand on a command line."""
    config = load_config(environment={}, flags={"labels": "gpu=none, rack=b4"})
    assert config.labels == {"gpu": "none", "rack": "b4"}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"labels": "nonsense"}, "labels"),
        ({"slots": -1}, "slots"),
        ({"name": "a b"}, "name"),
        ({"slotz": 3}, "did you mean 'slots'"),
        ({"unheard_of": 3}, "known keys"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(flags: dict[str, str | int], says: str) -> None:
    """A misspelt setting that is silently ignored is found too late."""
    with pytest.raises(ConfigError, match=says):
        load_config(environment={}, flags=flags)


def test_a_file_that_is_named_must_be_good(tmp_path: Path) -> None:
    """Missing or damaged: said with the file's name."""
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_config(tmp_path / "none.toml", {})
    broken = tmp_path / "broken.toml"
    broken.write_text("slots = = 3")
    with pytest.raises(ConfigError, match=r"broken\.toml"):
        load_config(broken, {})


def test_a_token_file_named_by_hand_wins_over_the_environment(tmp_path: Path) -> None:
    """What is asked for on the command line is meant."""
    file = tmp_path / "token"
    file.write_text(token() + "\n")
    environment = {"CYXMAKE_WORKER_TOKEN": "cyx1.other"}
    config = load_config(environment=environment, flags={"token_file": str(file)})
    assert config.join_token().token_id == "t-1"
    missing = load_config(environment={}, flags={"token_file": str(tmp_path / "none")})
    with pytest.raises(ConfigError, match="cannot be read"):
        missing.join_token()


def test_the_wrong_kind_of_token_is_known_at_once() -> None:
    """No connection is needed to see the role."""
    with pytest.raises(ConfigError, match="role client"):
        WorkerConfig(token=token(Peer.CLIENT)).join_token()
    with pytest.raises(ConfigError, match="no join token"):
        WorkerConfig().join_token()


def test_the_token_is_in_no_repr() -> None:
    """Settings end up in logs."""
    text = token()
    assert text not in repr(WorkerConfig(token=text))
