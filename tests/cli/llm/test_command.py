"""`cyxmake ai`: what a person sees and keeps; no key is shown, nothing is asked unless named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cyxmake_cli.main import cyxmake
from cyxmake_common.errors import CyxError
from support.model_server import model_server
from support.model_wires import KEY, WIRES, Said

OLLAMA = next(wire for wire in WIRES if wire.name == "ollama")


class Terminal:
    """Runs commands of one user, in a project."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        for name in ("CONFIG", "CACHE", "DATA", "STATE"):
            monkeypatch.setenv(f"CYXMAKE_{name}_DIR", str(folder / name.lower()))
        for wire in WIRES:
            if wire.key_variable:
                monkeypatch.delenv(wire.key_variable, raising=False)
        monkeypatch.chdir(folder)
        self.environ: dict[str, str] = {}

    def ai(self, *words: str, given: str = "") -> Result:
        """Run `cyxmake ai`."""
        return CliRunner().invoke(
            cyxmake, ["ai", *words], input=given, env=self.environ, standalone_mode=False
        )

    def refused(self, *words: str, given: str = "") -> str:
        """Run `cyxmake ai`, which is to fail; returns what it says."""
        error = self.ai(*words, given=given).exception
        assert isinstance(error, CyxError), error
        return str(error)


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal of a user who has configured nothing."""
    return Terminal(tmp_path, monkeypatch)


def test_providers_are_listed_chosen_and_left_again(terminal: Terminal) -> None:
    """The list shows what each lacks; what is chosen stands in the user's settings."""
    before = json.loads(terminal.ai("list", "--json").stdout)
    rows = {row["name"]: row for row in before["providers"]}
    assert [name for name, row in rows.items() if row["order"]] == ["local"]
    assert rows["anthropic"]["problem"] == "needs ANTHROPIC_API_KEY"
    assert before["models"] == []
    assert "no provider 'olama'" in terminal.refused("use", "olama")
    said = terminal.ai("use", "anthropic:claude-x", "local").output
    assert "reduced logs go there" in said
    after = json.loads(terminal.ai("list", "--json").stdout)
    assert {r["name"]: r["order"] for r in after["providers"] if r["order"]} == {
        "anthropic": 1, "local": 2,
    }  # fmt: skip
    assert terminal.ai("unload").output == "none was loaded\n"


def test_a_key_is_kept_and_never_shown(terminal: Terminal) -> None:
    """It comes from standard input, and goes to a closed file; no output holds it."""
    shown = [terminal.ai("key", "anthropic", given=KEY + "\n").output]
    assert "ANTHROPIC_API_KEY kept in" in shown[0]
    shown.append(terminal.ai("list", "--json").stdout)
    rows = {row["name"]: row for row in json.loads(shown[1])["providers"]}
    assert rows["anthropic"]["problem"] == ""
    shown.append((terminal.folder / "config/audit.jsonl").read_text())
    assert not [text for text in shown if KEY in text]
    assert (terminal.folder / "config/keys").stat().st_mode & 0o077 == 0
    assert "has no key" in terminal.refused("key", "ollama")
    assert "that is no key" in terminal.refused("key", "openai", given="two words\n")
    terminal.ai("key", "anthropic", "--forget")
    assert (terminal.folder / "config/keys").read_text() == ""


def test_models_are_tried(terminal: Terminal) -> None:
    """One that answers is good; one that is away, or no model at all, says what to do."""
    assert "no model is configured" in terminal.ai("test").output
    with model_server(OLLAMA) as server:
        server.think = lambda body: Said('{"choice": "yes"}')
        terminal.environ = server.environ()
        good = terminal.ai("test", "ollama")
        assert good.return_value == 0
        assert "says 'yes' after" in good.output
    away = terminal.ai("test", "ollama")
    assert away.return_value == 1
    assert "cannot be reached" in away.output
    (terminal.folder / "no.gguf").write_bytes(b"PK")
    assert "is no GGUF file" in terminal.refused("load", "no.gguf")


def test_a_project_cannot_send_its_users_anywhere(terminal: Terminal) -> None:
    """It may turn models off; who is asked, each user says alone."""
    settings = terminal.folder / "cyxmake.toml"
    settings.write_text('[ai]\nproviders = "openai:x"\n')
    assert "cyxmake.toml:2: ai.providers is for each user to say" in terminal.refused("list")
    settings.write_text("[ai]\nenabled = true\n")
    assert "ai.enabled is for each user to say" in terminal.refused("list")
    settings.write_text("[ai]\nenabled = false\noffline = true\n")
    assert not json.loads(terminal.ai("list", "--json").stdout)["enabled"]


def test_a_log_is_explained_by_rules_and_shown_before_it_is_sent(terminal: Terminal) -> None:
    """Without a model the rules' words and lines; --dry-run shows what would go, without names."""
    log = terminal.folder / "build.log"
    log.write_text("cc -c a.c\na.c:3:10: fatal error: pcap.h: No such file or directory\n"
                   "curl https://ann:pw@git.bigcorp.example/x\n")  # fmt: skip
    said = terminal.ai("explain", "build.log").output
    assert "the header pcap.h is missing" in said
    assert "line 2: a.c:3:10: fatal error" in said
    with model_server(OLLAMA) as server:
        terminal.environ = server.environ() | {"CYXMAKE_AI_PROVIDERS": "ollama"}
        shown = terminal.ai("explain", "-n", "build.log").output
        assert "would ask ollama" in shown
        assert "2| a.c:3:10" in shown
        assert "bigcorp" not in shown
        assert "ann:pw" not in shown
        assert server.asked == []
    assert "no build that failed" in terminal.refused("explain")
    assert "cannot be read" in terminal.refused("explain", "none.log")
