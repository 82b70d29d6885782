"""The log: machine-readable or readable, and never with a secret in it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import structlog

from cyxmake_common.errors import ConfigError
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.messages import Peer
from cyxmake_common.telemetry.log import HIDDEN, LogFormat, configure_logging, redact, redact_text

TOKEN = JoinToken("wss://x:1", "0" * 64, "t-1", "hunter2", Peer.CLIENT)


def lines(file: Path) -> list[dict[str, object]]:
    """Return the records of a JSON log."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_json_lines(tmp_path: Path) -> None:
    """One JSON object a line, with level and time, in a directory that is made."""
    file = tmp_path / "logs" / "a.log"
    end = configure_logging("info", LogFormat.JSON, file)
    log = structlog.get_logger("x")
    log.debug("not this")
    log.info("hello", path=tmp_path, count=3, token_id="t-1", name="ü")
    end()
    (line,) = lines(file)
    assert line.pop("timestamp")
    assert line == {
        "event": "hello", "level": "info", "path": str(tmp_path), "count": 3,
        "token_id": "t-1", "name": "ü",
    }  # fmt: skip


def test_secrets_are_hidden(tmp_path: Path) -> None:
    """By key, by shape, in depth, in exceptions, and in records of other libraries."""
    file = tmp_path / "a.log"
    end = configure_logging("debug", LogFormat.JSON, file)
    log = structlog.get_logger("x")
    text = TOKEN.text()
    log.info(f"joined with {text}", token=text, headers={"Authorization": "Bearer hunter2hunter2"})
    log.info("deep", a=[{"b": (text, {"token_secret": "hunter2"})}], raw=text.encode(), t=TOKEN)
    log.info("curl", line="-H 'Authorization: Bearer hunter2hunter2'")
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("failed")
    logging.getLogger("other").warning("saw %s", text)
    end()
    written = file.read_text(encoding="utf-8")
    assert text[6:] not in written
    assert "hunter2" not in written
    assert written.count(HIDDEN) >= 8
    assert "ValueError" in written
    assert lines(file)[-1]["logger"] == "other"


def test_console_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file, lines for people go to standard error, without colours in a pipe."""
    end = configure_logging("warning")
    structlog.get_logger("x").warning("careful", secret="hunter2")
    structlog.get_logger("x").info("quiet")
    end()
    written = capsys.readouterr()
    assert "careful" in written.err
    assert "hunter2" not in written.err + written.out
    assert "\x1b" not in written.err
    assert "quiet" not in written.err


def test_wrong_settings(tmp_path: Path) -> None:
    """A level or file that cannot be used is a ConfigError."""
    with pytest.raises(ConfigError, match="level"):
        configure_logging("loud")
    (tmp_path / "f").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        configure_logging("info", LogFormat.JSON, tmp_path / "f" / "a.log")


def test_endless_values() -> None:
    """A value that contains itself does not hang the log."""
    loop: list[object] = []
    loop.append(loop)
    assert HIDDEN in repr(redact(None, "info", {"a": loop}))


def test_plain_text_stays() -> None:
    """What is no secret is not touched."""
    assert redact_text("cyx1 and cyx2.abc are names") == "cyx1 and cyx2.abc are names"
