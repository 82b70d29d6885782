"""The one door to llama-cpp-python: runs a GGUF file in this process.

Knows no prompt. Nothing is loaded before the first question; then the model stays in memory until
it is closed. How many threads it takes is asked before every answer.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from cyxmake_cli.llm.backend import (
    BadAnswer,
    Capabilities,
    Completion,
    Health,
    Message,
    ModelError,
    ModelRefused,
    OnText,
    Request,
    Role,
    Usage,
)
from cyxmake_cli.llm.models import ModelFile

_INSTALL: Final = 'pip install "cyxmake[llm]"'
_TINY: Final = 600_000_000
"""Bytes of a file that holds fewer than a thousand million parameters, at four bits each."""
_PLAIN: Final = "{role}: {text}\n"


class LlamaCpp:
    """A model file of this machine."""

    def __init__(
        self, find: Callable[[], ModelFile], context: int, threads: Callable[[], int]
    ) -> None:
        self._find = find
        self._context = context
        self._threads = threads
        self._file: ModelFile | None = None
        self._llama: Any = None

    def __repr__(self) -> str:
        return f"<LlamaCpp {self.name} loaded={self._llama is not None}>"

    @property
    def name(self) -> str:
        """Return `local:` and the file's name."""
        try:
            return f"local:{self._model().name}"
        except ModelError:
            return "local"

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do."""
        try:
            tiny = self._model().size < _TINY
        except ModelError:
            tiny = False
        return Capabilities(local=True, schema=True, scores=True, tiny=tiny, context=self._context)

    def complete(self, request: Request, on_text: OnText | None = None) -> Completion:
        """Return the answer."""
        llama = self._loaded()
        arguments: dict[str, Any] = {
            "messages": [_message(m) for m in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": 0.0,
        }
        if request.schema is not None:
            arguments["response_format"] = {"type": "json_object", "schema": request.schema}
        try:
            if on_text is None:
                return self._read(llama.create_chat_completion(**arguments))
            stream = llama.create_chat_completion(**arguments, stream=True)
            return self._streamed(stream, on_text, request)
        except (ValueError, RuntimeError) as error:
            raise self._refused(error) from error

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> dict[str, float]:
        """Return the log-probability of each label as the answer.

        What all labels share with the question is read once; then label by label.
        """
        llama = self._loaded()
        try:
            prompt = llama.tokenize(self._prompt(llama, messages).encode(), special=True)
            # What was read before and begins alike need not be read again.
            llama.n_tokens = _common(llama.input_ids[: llama.n_tokens], prompt[:-1])
            llama.eval(prompt[llama.n_tokens :])
            first = _log_softmax(_last_logits(llama))
            tokens = {label: _tokens(llama, label) for label in labels}
            sums = dict.fromkeys(labels, -math.inf)
            _add_scores(llama, len(prompt), first, {k: v for k, v in tokens.items() if v}, sums)
            return {label: sums[label] / max(1, len(tokens[label])) for label in labels}
        except (ValueError, RuntimeError) as error:
            raise self._refused(error) from error

    def health(self) -> Health:
        """See that there is a model and the library that runs it, without loading it."""
        if importlib.util.find_spec("llama_cpp") is None:
            return Health(False, "llama-cpp-python is not installed", _INSTALL)
        try:
            model = self._model()
        except ModelError as error:
            return Health(False, error.message, error.next_step)
        size = f"{model.size / 1e6:.0f} MB"
        return Health(True, f"{model.name}, {size}, SHA-256 {model.sha256}")

    def close(self) -> None:
        """Give the memory back."""
        if self._llama is not None:
            self._llama.close()
            self._llama = None

    def _model(self) -> ModelFile:
        if self._file is None:
            self._file = self._find()
        return self._file

    def _loaded(self) -> Any:
        threads = self._threads()
        if self._llama is None:
            try:
                import llama_cpp
            except ImportError as error:
                raise ModelRefused(
                    "llama-cpp-python is not installed", next_step=_INSTALL
                ) from error
            model = self._model()
            try:
                self._llama = llama_cpp.Llama(
                    str(model.path), n_ctx=self._context, n_threads=threads,
                    n_threads_batch=threads, verbose=False, seed=0,
                )  # fmt: skip
            except (ValueError, RuntimeError, OSError) as error:
                raise ModelRefused(
                    f"{model.path} cannot be loaded: {error}",
                    next_step="see that the file is whole, and that this llama.cpp knows its kind",
                ) from error
        else:
            import llama_cpp

            llama_cpp.llama_set_n_threads(self._llama.ctx, threads, threads)
        return self._llama

    def _read(self, found: Any) -> Completion:
        choice = found["choices"][0]
        usage = found.get("usage") or {}
        return Completion(
            choice["message"].get("content") or "",
            usage=Usage(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)),
            truncated=choice.get("finish_reason") == "length",
            model=self._model().name,
        )

    def _streamed(self, chunks: Iterator[Any], on_text: OnText, request: Request) -> Completion:
        text: list[str] = []
        finish = None
        for chunk in chunks:
            choice = chunk["choices"][0]
            finish = choice.get("finish_reason") or finish
            if piece := choice["delta"].get("content"):
                text.append(piece)
                on_text(piece)
        joined = "".join(text)
        read = sum(len(m.text) for m in request.messages) // 4
        return Completion(joined, usage=Usage(read, len(text)), truncated=finish == "length",
                          model=self._model().name)  # fmt: skip

    def _prompt(self, llama: Any, messages: Sequence[Message]) -> str:
        template = llama.metadata.get("tokenizer.chat_template")
        if not template:
            lines = (_PLAIN.format(role=m.role.value, text=m.text) for m in messages)
            return "".join(lines) + "assistant: "
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        def shown(token: int) -> str:
            return str(llama.detokenize([token], special=True).decode("utf-8", "replace"))

        formatter = Jinja2ChatFormatter(
            template=template, eos_token=shown(llama.token_eos()),
            bos_token=shown(llama.token_bos()), add_generation_prompt=True,
        )  # fmt: skip
        return str(formatter(messages=[_message(m) for m in messages]).prompt)

    def _refused(self, error: Exception) -> ModelError:
        if "context window" in str(error):
            return ModelRefused(
                f"the question is longer than the model's context of {self._context} tokens",
                next_step="set ai.context higher",
            )
        return BadAnswer(f"{self.name}: {error}")


def _tokens(llama: Any, label: str) -> list[int]:
    return list(llama.tokenize(label.encode(), add_bos=False, special=False))


def _add_scores(
    llama: Any, place: int, scores: Any, rest: dict[str, list[int]], sums: dict[str, float]
) -> None:
    """Add what the tokens of labels are worth after `place`; beginnings they share are read once.

    `scores` are those of the token at `place`; `sums` holds what each label is worth so far.
    """
    for token in dict.fromkeys(tokens[0] for tokens in rest.values()):
        follow = {label: tokens[1:] for label, tokens in rest.items() if tokens[0] == token}
        for label in follow:
            before = sums[label] if sums[label] > -math.inf else 0.0
            sums[label] = before + float(scores[token])
        longer = {label: tokens for label, tokens in follow.items() if tokens}
        if longer:
            llama.n_tokens = place  # what was read of other labels is dropped
            llama.eval([token])
            _add_scores(llama, place + 1, _log_softmax(_last_logits(llama)), longer, sums)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    return sum(1 for _ in pairs)


def _last_logits(llama: Any) -> Any:
    import llama_cpp
    import numpy as np

    size = llama.n_vocab()
    return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(llama.ctx, -1), shape=(size,))


def _log_softmax(logits: Any) -> Any:
    import numpy as np

    shifted = logits.astype(np.float64) - float(logits.max())
    return shifted - np.log(np.exp(shifted).sum())


def _message(message: Message) -> dict[str, Any]:
    role = Role.USER if message.role is Role.TOOL else message.role
    return {"role": role.value, "content": message.text}
