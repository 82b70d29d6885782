"""The providers against servers that speak their wire formats, with everything that goes wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from cyxmake_cli.llm.backend import (
    BadAnswer,
    Message,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    Request,
    Role,
    Tool,
    text_messages,
)
from cyxmake_cli.llm.open import named_providers, open_backend, policy_of
from cyxmake_cli.llm.router import Models, Policy
from cyxmake_cli.settings import AiSettings
from support.model_server import Fault, ModelServer, model_server
from support.model_wires import KEY, WIRES, Said, Wire

ASK = Request(text_messages("You are brief.", "How is it?"))
WEATHER = Tool("weather", "Tells the weather.", {
    "type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"],
    "additionalProperties": False,
})  # fmt: skip


class Verdict(BaseModel):
    """An answer of a given form."""

    model_config = ConfigDict(extra="forbid")
    word: Literal["good", "bad"]
    sure: float
    why: str = Field(default="", json_schema_extra={"maxLength": 40})


@pytest.fixture(params=WIRES, ids=lambda wire: wire.name)
def server(request: pytest.FixtureRequest) -> Iterator[ModelServer]:
    """Serve each provider in turn."""
    with model_server(request.param) as state:
        yield state


def models(
    *servers: ModelServer, tmp: Path, waited: list[float] | None = None, **settings: Any
) -> Models:
    """Return the models of servers, in their order; waiting is only written down."""
    environ = {"CYXMAKE_STATE_DIR": str(tmp), "CYXMAKE_CONFIG_DIR": str(tmp)}
    for one in servers:
        environ |= one.environ()
    given = AiSettings(providers=",".join(s.provider for s in servers), timeout=0.3, **settings)
    waits = [] if waited is None else waited
    base = policy_of(given, environ)
    policy = Policy(
        given.retries, given.offline, base.identity, base.budget,
        sleep=waits.append, jitter=lambda: 0.5,
    )  # fmt: skip
    opened = [open_backend(s, m, given, environ) for s, m in named_providers(given.providers)]
    return Models([one for one in opened if one is not None], policy)


def test_text_comes_whole_or_piece_by_piece(server: ModelServer, tmp_path: Path) -> None:
    """Streamed or not, the answer is the same, and what it took is counted."""
    with contextlib.closing(models(server, tmp=tmp_path)) as asked:
        whole = asked.complete(ASK)
        pieces: list[str] = []
        streamed = asked.complete(ASK, pieces.append)
    assert whole.text == "all is well"
    assert (streamed.text.strip(), len(pieces)) == ("all is well", 3)
    assert "".join(pieces) == streamed.text
    for answer in (whole, streamed):
        assert (answer.usage.read, answer.usage.written) == (11, 7)
        assert answer.model == server.wire.model
        assert not answer.truncated


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_and_answered(server: ModelServer, tmp_path: Path, streamed: bool) -> None:
    """A call comes with its arguments; its result goes back beside the call it belongs to."""
    server.think = lambda body: (
        Said("dry") if "sun" in str(body) else Said(calls=[("weather", {"town": "Bad Ems"})])
    )
    on_text = (lambda text: None) if streamed else None
    with contextlib.closing(models(server, tmp=tmp_path)) as asked:
        first = asked.complete(Request(ASK.messages, tools=(WEATHER,)), on_text)
        assert [(c.name, c.arguments) for c in first.calls] == [("weather", {"town": "Bad Ems"})]
        said = (
            *ASK.messages,
            Message(Role.ASSISTANT, first.text, first.calls),
            Message(Role.TOOL, "sun", answers=first.calls[0]),
        )
        second = asked.complete(Request(said, tools=(WEATHER,)), on_text)
    assert second.text.strip() == "dry"


def test_answers_of_a_form_are_asked_for_and_checked(server: ModelServer, tmp_path: Path) -> None:
    """What breaks its promise is asked once more; then it is an error that names what is wrong."""
    answers = iter((
        '{"word": "good", "sure": 0.5}',
        '{"word": "ugly", "sure": 1}', '{"word": "bad", "sure": 0}',
        '{"word": "bad"}', '{"word": "bad"}',
    ))  # fmt: skip
    server.think = lambda body: Said(next(answers))
    with contextlib.closing(models(server, tmp=tmp_path)) as asked:
        assert asked.structured(ASK.messages, Verdict)[0] == Verdict(word="good", sure=0.5)
        assert asked.structured(ASK.messages, Verdict)[0].word == "bad"
        with pytest.raises(BadAnswer, match="sure: Field required"):
            asked.structured(ASK.messages, Verdict)


def test_a_label_is_chosen_from_a_list_only(server: ModelServer, tmp_path: Path) -> None:
    """A label that was not offered is no answer."""
    said = ['{"choice": "b"}', '{"choice": "rm -rf /"}', '{"choice": "rm -rf /"}']
    server.think = lambda body: Said(said.pop(0))
    with contextlib.closing(models(server, tmp=tmp_path)) as asked:
        assert asked.choose(ASK.messages, ("a", "b")).label == "b"
        with pytest.raises(BadAnswer):
            asked.choose(ASK.messages, ("a", "b"))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_busy_provider_is_asked_again_when_it_says(
    server: ModelServer, tmp_path: Path, streamed: bool
) -> None:
    """429 names the time; a 500 is waited for longer each time; then it works."""
    server.plan = [Fault.BUSY, Fault.BROKEN]
    waited: list[float] = []
    with contextlib.closing(models(server, tmp=tmp_path, waited=waited)) as asked:
        assert asked.complete(ASK, (lambda t: None) if streamed else None).text.strip()
    assert waited == [3.0, 1.0]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("fault", "streamed", "says"),
    [
        (Fault.BROKEN, False, "status 500"),
        (Fault.NO_JSON, False, "sent no JSON"),
        (Fault.NO_JSON, True, "sent no JSON"),
        (Fault.CUT, False, "broke off"),
        (Fault.CUT, True, "broke off"),
        (Fault.STREAM_ERROR, True, "error|Overloaded|overloaded"),
        (Fault.SILENT, False, r"did not answer within 0\.3 s"),
    ],
)
def test_faults_are_told_apart_and_another_model_steps_in(
    server: ModelServer, tmp_path: Path, fault: Fault, streamed: bool, says: str
) -> None:
    """Alone, each fault is an error of its own; with a second provider that one answers.

    Unless the reader has seen a part of the answer: then nobody begins anew.
    """
    server.plan = [fault] * 4
    told: list[str] = []
    on_text = told.append if streamed else None
    with (
        contextlib.closing(models(server, tmp=tmp_path, retries=0)) as alone,
        pytest.raises((ModelUnavailable, BadAnswer), match=says),
    ):
        alone.complete(ASK, on_text)
    seen = bool(told)
    other = next(wire for wire in WIRES if wire.name != server.wire.name)
    with (
        model_server(other) as spare,
        contextlib.closing(models(server, spare, tmp=tmp_path, retries=0)) as both,
    ):
        spare.think = lambda body: Said("I am here")
        if seen:
            with pytest.raises((ModelUnavailable, BadAnswer)):
                both.complete(ASK, on_text)
            assert spare.asked == []
        else:
            assert both.complete(ASK, on_text).text.strip() == "I am here"
            both.complete(ASK)  # the first one failed a moment ago, and is left alone
            assert len(server.asked) == (2 if fault is not Fault.NO_JSON else 3)


def test_a_wrong_key_or_model_is_refused_at_once(
    server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot get better is not tried again, and no key stands in what is said."""
    settings = AiSettings(timeout=5)
    service, _ = named_providers(server.provider)[0]
    wrong = server.environ() | {server.wire.key_variable: "sk-wrong-" + "0" * 20}
    for model, environ in ((server.wire.model, wrong), ("nonsense", server.environ())):
        if environ is wrong and not server.wire.key_variable:
            continue
        backend = open_backend(service, model, settings, environ)
        assert backend is not None
        with contextlib.closing(Models([backend])) as asked:
            server.asked.clear()
            with pytest.raises(ModelRefused) as error:
                asked.complete(ASK)
            assert environ is wrong or not backend.health().good
        assert len(server.asked) == 1
        assert "0000" not in str(error.value) + repr(backend) + repr(backend.__dict__)


def test_health_asks_without_spending(server: ModelServer, tmp_path: Path) -> None:
    """A provider that answers is good; one that is away says how to reach it."""
    with contextlib.closing(models(server, tmp=tmp_path)) as asked:
        health = asked.backends[0].health()
        assert health.good, health
        assert server.asked == []
    wire: Wire = server.wire
    service, model = named_providers(server.provider)[0]
    away = {wire.variable: "http://127.0.0.1:9", wire.key_variable: KEY}
    backend = open_backend(service, model, AiSettings(), away)
    assert backend is not None
    with contextlib.closing(backend):
        health = backend.health()
    assert not health.good
    assert "cannot be reached at http://127.0.0.1:9" in health.detail


def test_the_first_model_of_ones_own_server_is_taken(tmp_path: Path) -> None:
    """Ollama needs no model's name, and its usual variable is a mere host and port."""
    wire = next(wire for wire in WIRES if wire.name == "ollama")
    with model_server(wire) as server:
        environ = {"OLLAMA_HOST": server.url.removeprefix("http://")}
        backend = open_backend(*named_providers("ollama")[0], AiSettings(), environ)
        assert backend is not None
        with contextlib.closing(Models([backend])) as asked:
            assert asked.complete(ASK).text == "all is well"
        assert server.asked[0]["model"] == wire.model


def test_no_key_goes_over_a_connection_that_others_can_read() -> None:
    """An address without TLS beyond this machine is refused before anything is sent."""
    environ = {"OPENAI_BASE_URL": "http://models.example/v1", "OPENAI_API_KEY": KEY}
    with pytest.raises(ModelRefused, match="others could read it"):
        open_backend(*named_providers("openai:x")[0], AiSettings(), environ)


def test_offline_nothing_leaves_the_machine(tmp_path: Path) -> None:
    """A provider elsewhere is not asked, and says why."""
    environ = {"OPENAI_BASE_URL": "https://models.invalid/v1", "OPENAI_API_KEY": KEY}
    settings = AiSettings(offline=True)
    backend = open_backend(*named_providers("openai:x")[0], settings, environ)
    assert backend is not None
    with (
        contextlib.closing(Models([backend], policy_of(settings, environ))) as asked,
        pytest.raises(ModelError, match="not on this machine"),
    ):
        asked.complete(ASK)
