"""What each kind of agent does with a task: a program over the tools, without a model.

Knows nothing of queues and processes. A goal is words of a person; what a program makes of them
is said with its kind.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from cyxmake_cli.agents.tasks import AgentKind
from cyxmake_cli.agents.tools import Toolbox
from cyxmake_common.errors import ExitStatus

_SHOWN: Final = 5
_KEPT: Final = ("exit_code", "build", "repairs", "end")
_EMPTY: Final = frozenset((
    "the", "and", "for", "where", "what", "which", "find", "that", "this", "with", "from", "are",
    "how", "does", "all", "into", "used", "uses", "file", "files", "code", "explore", "about",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a task."""

    good: bool
    summary: str
    facts: dict[str, Any] = field(default_factory=dict)


Program = Callable[[str, Toolbox], Awaitable[Result]]


async def build(goal: str, tools: Toolbox) -> Result:
    """Build the project; a goal that names tests runs those. Publishes causes on `failed`."""
    verb = "test" if re.search(r"\btests?\b", goal, re.IGNORECASE) else "build"
    return await _built(verb, tools)


async def fix(goal: str, tools: Toolbox) -> Result:
    """Build until it works, as `cyxmake auto` does; a person is asked for the yes that it needs."""
    found = await tools.build("auto")
    if found["exit_code"] == ExitStatus.DENIED:
        wanted = [line for line in found["output"].splitlines() if line.startswith("cyxmake:")]
        said = await tools.ask(f"{wanted[-1] if wanted else 'a repair needs a yes'} [yes/no]")
        if said is not None and said.strip().lower() in ("y", "yes"):
            found = await tools.build("auto", yes=True)
    return await _result("auto", found, tools)


async def _built(verb: str, tools: Toolbox) -> Result:
    return await _result(verb, await tools.build(verb), tools)


async def _result(verb: str, found: dict[str, Any], tools: Toolbox) -> Result:
    output = found.pop("output")
    good = found["exit_code"] == 0
    kept: dict[str, Any] = {key: found[key] for key in _KEPT if key in found}
    tools.desk.memory.put(f"last {verb}", kept, tools.agent)
    if good:
        repairs = len(found.get("repairs", ()))
        return Result(True, f"{verb}: done" + (f", {repairs} repairs" if repairs else ""), kept)
    causes = await asyncio.to_thread(_causes, output, found["exit_code"])
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "")
    summary = f"{verb}: {causes[0] if causes else last or 'failed'}"
    tools.desk.bus.publish(tools.agent, "failed", summary, causes=causes)
    return Result(False, summary, {**kept, "causes": causes})


def _causes(output: str, exit_code: int) -> list[str]:
    from cyxmake_cli.plugins.rules import known_rules
    from cyxmake_common.diagnosis.diagnose import diagnose
    from cyxmake_common.diagnosis.model import LogInput

    found = diagnose(LogInput(output, exit_code), known_rules())
    return [f"{d.category}: {d.evidence.strip()[:200]}" for d in found]


async def explore(goal: str, tools: Toolbox) -> Result:
    """Say what the project is, and where the words of the goal stand."""
    names = await tools.list_files()
    about = await asyncio.to_thread(_about, tools)
    words = [w for w in re.findall(r"\w{3,}", goal.lower()) if w not in _EMPTY]
    facts: dict[str, Any] = {**about, "files": len(names), "words": {}}
    said = [f"{about['name']}: {len(names)} files, {', '.join(about['systems']) or 'no system'}"]
    for word in dict.fromkeys(words):
        hits = await tools.search(word)
        best = Counter(hit.path for hit in hits).most_common(_SHOWN)
        facts["words"][word] = [
            {"file": path, "lines": [h.line for h in hits if h.path == path][:_SHOWN]}
            for path, _ in best
        ]
        where = ", ".join(f"{path} ({count})" for path, count in best) or "nowhere"
        said.append(f"{word}: {where}")
    tools.desk.memory.put(f"explored {goal}", facts, tools.agent)
    return Result(True, "; ".join(said), facts)


def _about(tools: Toolbox) -> dict[str, Any]:
    from cyxmake_cli.systems.detect import detect_systems

    root = tools.desk.workspace.root
    return {"name": root.name, "systems": [d.system.value for d in detect_systems(root)]}


PROGRAMS: Final[dict[AgentKind, Program]] = {
    AgentKind.BUILD: build,
    AgentKind.FIX: fix,
    AgentKind.EXPLORE: explore,
}
