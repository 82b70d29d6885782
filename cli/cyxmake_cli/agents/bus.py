"""Letters between agents, and between them and their user: sent, asked for an answer, published.

Knows names and mailboxes, not what the letters mean. A full mailbox is told to the sender.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cyxmake_cli.agents.errors import NotDelivered

_MOST_LETTERS: Final = 1000


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter; `answers` is the id of the letter that it is the answer to."""

    id: int
    sender: str
    text: str
    topic: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    answers: int = 0


class Bus:
    """The mailboxes of one project."""

    def __init__(self) -> None:
        self._boxes: dict[str, asyncio.Queue[Letter]] = {}
        self._topics: dict[str, set[str]] = defaultdict(set)
        self._awaited: dict[int, tuple[str, asyncio.Future[Letter]]] = {}
        self._ids = itertools.count(1)

    def __repr__(self) -> str:
        return f"<Bus {sorted(self._boxes)} awaited={len(self._awaited)}>"

    def join(self, name: str) -> None:
        """Give a mailbox to somebody; raises NotDelivered for a name that has one."""
        if name in self._boxes:
            raise NotDelivered(f"somebody is called {name} already")
        self._boxes[name] = asyncio.Queue(_MOST_LETTERS)

    def leave(self, name: str) -> None:
        """Take a mailbox away; whoever waits for an answer from there is told."""
        self._boxes.pop(name, None)
        for subscribers in self._topics.values():
            subscribers.discard(name)
        for whom, answer in list(self._awaited.values()):
            if whom == name and not answer.done():
                answer.set_exception(NotDelivered(f"{name} is gone"))

    async def receive(self, name: str) -> Letter:
        """Wait for the next letter in a mailbox."""
        return await self._box(name).get()

    def send(self, sender: str, to: str, text: str, **facts: Any) -> Letter:
        """Put a letter into a mailbox; raises NotDelivered."""
        letter = Letter(next(self._ids), sender, text, facts=facts)
        self._put(to, letter)
        return letter

    async def request(self, sender: str, to: str, text: str, **facts: Any) -> Letter:
        """Send a letter and wait for its answer; raises NotDelivered."""
        letter = self.send(sender, to, text, **facts)
        answer: asyncio.Future[Letter] = asyncio.get_running_loop().create_future()
        self._awaited[letter.id] = (to, answer)
        try:
            return await answer
        finally:
            del self._awaited[letter.id]

    def answer(self, sender: str, letter: Letter, text: str, **facts: Any) -> bool:
        """Answer a letter; False: nobody waits for that."""
        waiting = self._awaited.get(letter.id)
        if waiting is None or waiting[1].done():
            return False
        waiting[1].set_result(Letter(next(self._ids), sender, text, facts=facts, answers=letter.id))
        return True

    def broadcast(self, sender: str, text: str, **facts: Any) -> int:
        """Send to everybody else; returns how many got it."""
        return self._deliver(set(self._boxes) - {sender}, sender, text, "", facts)

    def subscribe(self, name: str, topic: str) -> None:
        """Deliver what is published on a topic to a mailbox from now on."""
        self._box(name)
        self._topics[topic].add(name)

    def publish(self, sender: str, topic: str, text: str, **facts: Any) -> int:
        """Send to whoever has subscribed; returns how many got it."""
        return self._deliver(self._topics[topic] - {sender}, sender, text, topic, facts)

    def _deliver(
        self, whom: set[str], sender: str, text: str, topic: str, facts: Mapping[str, Any]
    ) -> int:
        got = 0
        for name in sorted(whom):
            try:
                self._put(name, Letter(next(self._ids), sender, text, topic, facts))
            except NotDelivered:  # one full mailbox keeps nothing from the others
                continue
            got += 1
        return got

    def _put(self, name: str, letter: Letter) -> None:
        try:
            self._box(name).put_nowait(letter)
        except asyncio.QueueFull:
            raise NotDelivered(f"the mailbox of {name} is full") from None

    def _box(self, name: str) -> asyncio.Queue[Letter]:
        if name not in self._boxes:
            known = ", ".join(sorted(self._boxes)) or "nobody"
            raise NotDelivered(f"nobody is called {name}", next_step=f"there is {known}")
        return self._boxes[name]
