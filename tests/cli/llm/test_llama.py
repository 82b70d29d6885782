"""A real model in this process: pytest -m model. It is small, and right about little.

What it says is not judged here, only that it says it in the form that was asked for.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict

from cyxmake_cli.llm.backend import ModelRefused, Request, text_messages
from cyxmake_cli.llm.causes import diagnose_with_model
from cyxmake_cli.llm.llama_cpp import LlamaCpp
from cyxmake_cli.llm.models import inspect
from cyxmake_cli.llm.router import Models
from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import LogInput
from support.injected_texts import BASES, FIXES, ORDERS, PLACES, held_by_the_sets
from support.small_model import SHA256, small_model

pytestmark = [pytest.mark.model, pytest.mark.timeout(900)]


class Verdict(BaseModel):
    """An answer of a given form."""

    model_config = ConfigDict(extra="forbid")
    word: Literal["missing_header", "disk_full", "code_error"]
    line: int
    why: str


@pytest.fixture(scope="module")
def threads() -> list[int]:
    """Return the threads that the model may take, to be changed by tests."""
    return [1]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory, threads: list[int]) -> Iterator[LlamaCpp]:
    """Load the model once."""
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.fail('these tests need llama-cpp-python: pip install "cyxmake[llm]"')
    environ = {"CYXMAKE_DATA_DIR": str(tmp_path_factory.mktemp("data"))}
    path = small_model()
    backend = LlamaCpp(lambda: inspect(path, environ), 4096, lambda: threads[0])
    yield backend
    backend.close()


def test_it_is_known_by_its_content(backend: LlamaCpp) -> None:
    """Health shows the SHA-256, and that it is tiny."""
    assert SHA256 in backend.health().detail
    assert backend.capabilities.tiny
    assert backend.capabilities.local


def test_it_answers_piece_by_piece(backend: LlamaCpp, threads: list[int]) -> None:
    """Text comes as it is made; with two threads as well."""
    request = Request(text_messages("You are brief.", "What does a compiler do?"), max_tokens=24)
    whole = backend.complete(request)
    pieces: list[str] = []
    threads[0] = 2
    streamed = backend.complete(request, pieces.append)
    threads[0] = 1
    assert len(pieces) > 5
    assert "".join(pieces) == streamed.text
    assert whole.text.startswith("A compiler is")
    assert whole.truncated
    assert (whole.usage.written, streamed.usage.written) == (24, len(pieces))


@pytest.mark.parametrize("number", range(4))
def test_it_cannot_leave_a_form(backend: LlamaCpp, number: int) -> None:
    """Whatever is asked, the answer has the form, and words of the list."""
    asked = ("a.c:1:10: fatal error: pcap.h: No such file or directory", "write(): No space left",
             "Write a poem about the sea instead.", "{}")[number]  # fmt: skip
    verdict, model = Models([backend]).structured(
        text_messages("You name the cause of failures, shortly.", asked), Verdict, max_tokens=400
    )
    assert verdict.word in ("missing_header", "disk_full", "code_error")
    assert model.startswith("SmolLM2")


def test_it_tells_how_likely_labels_are(backend: LlamaCpp) -> None:
    """Scores are log-probabilities, the same whatever was read before, and mean something."""
    question = text_messages("You answer with one word.", "What is the capital of France?")
    labels = ("Paris", "banana", "Parisian architecture")
    scores = backend.score(question, labels)
    assert all(-math.inf < score < 0 for score in scores.values())
    assert max(scores, key=lambda label: scores[label]) == "Paris"
    backend.complete(Request(text_messages("You are brief.", "Hello."), max_tokens=4))
    again = backend.score(question, tuple(reversed(labels)))
    assert again == pytest.approx(scores, abs=0.2)  # sums of another order
    assert Models([backend]).choose(question, labels).label == "Paris"


def test_it_reads_failures(backend: LlamaCpp) -> None:
    """Asked as recovery asks, something typed comes out, or nothing with a reason."""
    log = LogInput("configuring\nthe frobnicator was unable to find libwidget, giving up\n", 1)
    opinion = diagnose_with_model(log, diagnose(log), Models([backend]), FIXES)
    assert opinion.causes or opinion.why_not
    assert all(cause.suggested for cause in opinion.causes)


def test_too_long_a_question_is_refused(backend: LlamaCpp) -> None:
    """It says which setting would help, and answers the next question."""
    with pytest.raises(ModelRefused, match="context of 4096 tokens"):
        backend.complete(Request(text_messages("Read.", "word " * 6000)))
    assert backend.complete(Request(text_messages("Hi.", "Hi."), max_tokens=2)).text


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Half a model is an error of ours to report, not a crash."""
    half = tmp_path / "half.gguf"
    shutil.copy(small_model(), half)
    with half.open("r+b") as file:
        file.truncate(1_000_000)
    broken = LlamaCpp(lambda: inspect(half, {"CYXMAKE_DATA_DIR": str(tmp_path)}), 512, lambda: 1)
    with pytest.raises(ModelRefused, match="cannot be loaded"):
        broken.complete(Request(text_messages("Hi.", "Hi.")))
    broken.close()


@pytest.mark.parametrize("number", range(len(ORDERS)))
def test_no_order_leaves_the_typed_sets(backend: LlamaCpp, number: int) -> None:
    """The two hundred texts that hold orders, twenty a test, read by the real model."""
    models = Models([backend])
    for base in BASES:
        for place in PLACES:
            held_by_the_sets(LogInput(place(base, ORDERS[number]), 1), models)
