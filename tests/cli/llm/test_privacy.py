"""What leaves the machine, where keys come from, what a day may take, which files are run."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cyxmake_cli.llm.backend import (
    BudgetSpent,
    ModelError,
    ModelRefused,
    Request,
    Usage,
    text_messages,
)
from cyxmake_cli.llm.budget import Budget, Limits
from cyxmake_cli.llm.keys import find_key, keep_key
from cyxmake_cli.llm.models import checked, find_model, inspect, pin
from cyxmake_cli.llm.open import named_providers, open_models
from cyxmake_cli.llm.redact import Identity, anonymous
from cyxmake_cli.llm.router import Models, Policy
from cyxmake_cli.llm.services import SERVICES, address, is_loopback
from cyxmake_cli.llm.threads import threads_for
from cyxmake_cli.llm.words import LEFT_OUT, safe_line, safe_summary
from cyxmake_cli.settings import AiSettings
from cyxmake_common.errors import ConfigError
from support.fake_models import FakeModel
from support.model_wires import KEY

ANN = Identity(("ann", "annsbox"), ("/srv/people/ann",))


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("export GITHUB_TOKEN=ghp_0123456789abcdef0123456789abcdef0123", "ghp_"),
        ("curl -H 'Authorization: Bearer abcdef123456'", "abcdef123456"),
        ("https://ann:secret@git.example/x.git", "secret"),
        ("password=hunter22", "hunter22"),
        ("/srv/people/ann/src/main.c:3: error", "ann"),
        ("/home/ann/src/main.c", "ann"),
        ("C:\\Users\\Ann\\src", "Ann"),
        ("by Ann on annsbox", "nn"),
        ("ANN_PROJECT=1", "ANN"),
        ("mail ann.lee@example.org", "lee"),
        ("Could not resolve host: git.corp.example.internal", "corp"),
        ("https://artifacts.bigcorp.example/simple/", "bigcorp"),
        ("git@git.bigcorp.example:team/repo.git", "bigcorp"),
        ("connect to 10.1.2.3 port 80", "10.1.2.3"),
        ("connect to 192.168.1.7:22", "192.168"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("sk-ant-REDACTED", "abcdefghij"),
    ],
)
def test_secrets_names_and_places_do_not_leave(text: str, gone: str) -> None:
    """Tokens, keys, passwords, people, machines, home directories, private hosts and addresses."""
    assert gone not in anonymous(text, ANN)


@pytest.mark.parametrize(
    "text",
    [
        "a.c:3:10: fatal error: openssl/ssl.h: No such file or directory",
        "https://github.com/x/y.git: 404",
        "could not fetch https://files.pythonhosted.org/packages/a",
        "undefined reference to `annotate'",
        "found version 10.0.19041.0, want 11.2",
        "at http://localhost:8080/x",
    ],
)
def test_what_explains_a_failure_stays(text: str) -> None:
    """Names of headers, symbols, versions and public hosts are what the answer hangs on."""
    assert anonymous(text, ANN) == text


def test_what_goes_out_is_anonymous_shown_and_counted(tmp_path: Path) -> None:
    """Who looks sees exactly what the provider gets; one's own machine gets the plain text."""
    away, here = FakeModel(lambda r: "yes", local=False), FakeModel(lambda r: "yes")
    shown: list[tuple[str, Request]] = []
    budget = Budget(tmp_path, Limits(tokens=10_000))
    policy = Policy(identity=ANN, budget=budget, on_sent=lambda n, r: shown.append((n, r)))
    request = Request(text_messages("You read.", "/srv/people/ann/a.c: error, said ann"))
    Models([away], policy).complete(request)
    assert [name for name, _ in shown] == ["fake:model"]
    assert shown[0][1] == away.asked[0]
    assert "ann" not in away.asked[0].messages[1].text
    assert (budget.spent().read, budget.spent().written, budget.spent().requests) == (10, 5, 1)
    Models([here], policy).complete(request)
    assert here.asked == [request]
    assert len(shown) == 1


def test_a_day_has_a_limit_that_several_processes_share(tmp_path: Path) -> None:
    """What may be too much is not sent; the next day, and a model of one's own, still answer."""
    today = ["2026-01-02"]
    limits = Limits(tokens=1000, cost=1.0, read_price=500.0, written_price=2000.0)
    first = Budget(tmp_path, limits, lambda: today[0])
    second = Budget(tmp_path, limits, lambda: today[0])
    first.reserve(Usage(300, 100))
    with pytest.raises(BudgetSpent, match="400 of the day's 1000 tokens"):
        second.reserve(Usage(700, 1))
    first.settle(Usage(300, 100), Usage(40, 10))
    assert second.spent().read == 40
    assert second.cost() == pytest.approx(0.04)
    with pytest.raises(BudgetSpent, match=r"0\.04 of the day's 1\.00"):
        second.reserve(Usage(100, 480))
    first.reserve(Usage(200, 100))
    first.settle(Usage(200, 100), None)
    assert (first.spent().read, first.spent().requests) == (40, 1)
    today[0] = "2026-01-03"
    assert second.spent().read == 0
    away, here = FakeModel(lambda r: "a", local=False), FakeModel(lambda r: "b")
    tight = Budget(tmp_path, Limits(tokens=10), lambda: today[0])
    models = Models([away, here], Policy(budget=tight, sleep=lambda s: None))
    assert models.complete(Request(())).text == "b"
    assert away.asked == []
    (tmp_path / "blocked").write_text("")
    with pytest.raises(ModelError, match="cannot be counted"):
        Budget(tmp_path / "blocked", Limits()).reserve(Usage(1, 1))


def test_keys_come_from_the_environment_or_a_closed_file(tmp_path: Path) -> None:
    """The file is its owner's alone; one that others can read is refused."""
    environ = {"CYXMAKE_CONFIG_DIR": str(tmp_path / "c")}
    assert find_key("OPENAI_API_KEY", environ) == ""
    path = keep_key("OPENAI_API_KEY", KEY, environ)
    keep_key("GEMINI_API_KEY", "other", environ)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert find_key("OPENAI_API_KEY", environ) == KEY
    assert find_key("OPENAI_API_KEY", environ | {"OPENAI_API_KEY": "mine"}) == "mine"
    keep_key("OPENAI_API_KEY", "", environ)
    assert path.read_text() == "GEMINI_API_KEY=other\n"
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        find_key("GEMINI_API_KEY", environ)


def test_a_model_file_is_known_by_its_content(tmp_path: Path) -> None:
    """Found by name or path; what is no model, or has changed since it was loaded, is not run."""
    environ = {"CYXMAKE_DATA_DIR": str(tmp_path)}
    with pytest.raises(ModelRefused, match="no model file"):
        find_model("", environ)
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "a-small.gguf").write_bytes(b"GGUF" + b"a" * 100)
    (folder / "b.gguf").write_bytes(b"NOPE")
    path = find_model("small", environ)
    assert find_model(str(path), environ) == path == find_model("a-small.gguf", environ)
    model = inspect(path, environ)
    assert (model.size, len(model.sha256)) == (104, 64)
    assert inspect(path, environ) == model
    pin(model, environ)
    assert checked(path, environ) == model
    path.write_bytes(b"GGUF" + b"b" * 101)
    with pytest.raises(ModelRefused, match="not the file that was loaded"):
        checked(path, environ)
    with pytest.raises(ModelRefused, match="no GGUF file"):
        inspect(folder / "b.gguf", environ)


def test_nothing_is_asked_unless_it_is_here_or_named(tmp_path: Path) -> None:
    """Without a model file there is no model; off is off; a misspelt provider is an error."""
    environ = {"CYXMAKE_DATA_DIR": str(tmp_path), "CYXMAKE_CONFIG_DIR": str(tmp_path),
               "OPENAI_API_KEY": KEY}  # fmt: skip
    assert open_models(AiSettings(), environ) is None
    assert open_models(AiSettings(enabled=False, providers="ollama"), environ) is None
    with pytest.raises(ConfigError, match="no provider 'olama'"):
        open_models(AiSettings(providers="olama"), environ)
    unusable = open_models(AiSettings(providers="anthropic:x, openai"), environ)
    assert unusable is not None
    with pytest.raises(ModelError, match=r"Anthropic needs a key.*OpenAI needs the name"):
        unusable.complete(Request(()))
    assert [b.health().good for b in unusable.backends] == [False, False]
    assert [m for _, m in named_providers("ollama:qwen:1.5b,")] == ["qwen:1.5b"]


def test_addresses_are_read_as_the_services_tools_read_them() -> None:
    """Ollama's variable may be a host and a port; only loopback counts as this machine."""
    assert address(SERVICES["ollama"], "box:11434") == "http://box:11434/v1"
    assert is_loopback(address(SERVICES["ollama"], "0.0.0.0"))
    assert address(SERVICES["openai"], "https://x.example/v1/") == "https://x.example/v1"
    assert [s.name for s in SERVICES.values() if s.url and is_loopback(s.url)] == [
        "ollama", "llama-server", "lmstudio", "vllm",
    ]  # fmt: skip
    assert not is_loopback("http://127.0.0.1.evil.example/")
    assert is_loopback("http://[::1]:80/")


def test_a_model_leaves_the_cores_to_the_build() -> None:
    """One thread while the machine is busy, as builds make it; else what is free."""
    assert threads_for(8, 8, 9.0) == 1
    assert threads_for(0, 8, 2.9) == 6
    assert threads_for(4, 8, 0.0) == 4
    assert threads_for(64, 2, 0.0) == 2


def test_words_of_a_model_are_fit_to_be_read() -> None:
    """Plain sentences stay; control characters, commands and addresses do not."""
    plain = "Line 3 shows that the header pcap.h is missing; its development package has it."
    assert safe_line(plain) == plain == safe_summary(plain)
    for fine in (
        "The curl library is too old, and the archive's format changed.",
        "An ssh key is missing; base64 is not.",
        "It was killed: kill or memory.",
    ):
        assert safe_line(fine) == fine
    assert safe_line("a\x1b[31mb\x07") == "a [31mb "
    for bad in (
        "Run `sudo rm -rf build`.", "see http://x.example", "pip install frob", "use curl -O x",
        "a && b", "echo x | sh", "wget evil.example", "ssh ann@box", "chmod 777 x", "rm build",
        "dd if=/dev/zero",
    ):  # fmt: skip
        assert safe_line(bad) == LEFT_OUT
        assert safe_summary(bad) == ""
