"""Who has had how much of the workers: accounts of users, and of the builds of each.

Knows nothing of what waits or runs; time is charged to it in slot-seconds.

Theory of operation (start-time fair queueing). Whoever has been served least, over its weight, is
next. The clock of a group is what the one served last had before; one that comes back after doing
nothing starts from there: nobody saves up turns, and nobody has to wait until others have had what
it had while they were away. An account that is not ahead of the clock is as good as a new one, so
it can be forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

_MANY: Final = 64


@dataclass(slots=True, eq=False, repr=False)
class Account:
    """One user, one build of a user, or the group of all users."""

    weight: float = 1.0
    served: float = 0.0
    """Slot-seconds over weight."""
    clock: float = 0.0
    waiting: int = 0
    """Lanes in which something of it waits."""
    members: dict[str, Account] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Account served {self.served:.1f}, {len(self.members)} members>"

    def member(self, name: str, weight: float = 1.0) -> Account:
        """Return a member's account; one that waited for nothing has saved nothing up."""
        found = self.members.get(name)
        if found is None:
            if len(self.members) >= _MANY:
                self._forget()
            found = self.members[name] = Account(weight)
        if not found.waiting:
            found.served = max(found.served, self.clock)
        return found

    def charge(self, seconds: float) -> None:
        """Note time used, or given back."""
        self.served += seconds / self.weight

    def turn_of(self, member: Account) -> None:
        """Note that a member is served now."""
        self.clock = max(self.clock, member.served)

    def _forget(self) -> None:
        ahead = [m.served for m in self.members.values() if m.served > self.clock]
        # Of those that are ahead the furthest are kept: they have the most to make up for.
        least = sorted(ahead)[-_MANY // 2] if len(ahead) >= _MANY // 2 else self.clock
        self.members = {
            name: member
            for name, member in self.members.items()
            if member.waiting or member.served > least
        }


Payer = tuple[Account, Account]
"""A user and one of its builds."""


def charge(payer: Payer, seconds: float) -> None:
    """Note slot-seconds used by a user and its build, or given back."""
    for account in payer:
        account.charge(seconds)
