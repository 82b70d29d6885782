"""A language model that says what it is told: `ai.providers = "echo"` asks it."""

from collections.abc import Sequence

from cyxmake_cli.llm.backend import Capabilities, Completion, Health, Message, OnText, Request


class Echo:
    """Answers with the last message."""

    def __init__(self, model: str) -> None:
        self.name = f"echo:{model}".rstrip(":")
        self.capabilities = Capabilities(local=True)

    def complete(self, request: Request, on_text: OnText | None = None) -> Completion:
        text = request.messages[-1].text
        if on_text is not None:
            on_text(text)
        return Completion(text, model=self.name)

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> dict[str, float]:
        return dict.fromkeys(labels, 0.0)

    def health(self) -> Health:
        return Health(True, "always here")

    def close(self) -> None:
        pass


def open_model(model: str) -> Echo:
    return Echo(model)
