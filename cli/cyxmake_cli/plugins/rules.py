"""The rules of the diagnosis with those of plug-ins.

Only the client knows plug-ins: the coordinator and workers run none.
"""

from __future__ import annotations

from functools import cache

from cyxmake_cli.plugins.load import Group, good, tell
from cyxmake_common.diagnosis.rules import Rule, load_rules


@cache
def known_rules() -> tuple[Rule, ...]:
    """Return every rule; one whose id is taken is left out, and told of."""
    found = {rule.id: rule for rule in load_rules()}
    for name, rules in good(Group.RULES).items():
        for rule in rules:
            if rule.id in found:
                tell(f"rule {rule.id} of plug-in {name} is left out: the name is taken")
            else:
                found[rule.id] = rule
    return tuple(found.values())
