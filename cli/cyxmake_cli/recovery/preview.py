"""What would be tried for a build that failed: words only, nothing is asked, fetched or changed.

Knows what a run of recovery knows, but builds nothing and no index.
"""

from __future__ import annotations

from typing import Final

from cyxmake_cli.building.history import builds
from cyxmake_cli.building.perform import cpus
from cyxmake_cli.building.project import LocalProject
from cyxmake_cli.recovery.candidates import candidates
from cyxmake_cli.recovery.fixes import Fix, key_of, summary_of
from cyxmake_cli.recovery.journal import Journal
from cyxmake_cli.recovery.memory import Memory
from cyxmake_cli.recovery.recipe import read_recipe
from cyxmake_cli.recovery.sentences import plan_of, said_of
from cyxmake_cli.recovery.view import Resolver, View
from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import Diagnosis, LogInput

_MOST: Final = 4


def would_try(
    project: LocalProject, output: bytes, status: int, resolver: Resolver, memory: Memory
) -> list[tuple[Diagnosis, tuple[Fix, ...]]]:
    """Return the causes of a failure with what would be tried for each, best first."""
    text = output.decode("utf-8", "replace")
    view = View(project, cpus(), resolver, text)
    causes = diagnose(LogInput(text, status))[:_MOST]
    return [(cause, candidates(cause, view, memory.score)) for cause in causes]


def last_failure(project: LocalProject) -> tuple[bytes, int] | None:
    """Return output and status of the last build, if it failed."""
    done = builds(project.own)
    if not done or done[-1].facts.get("exit_code") in (0, None):
        return None
    commands = done[-1].facts.get("commands") or [{}]
    try:
        return done[-1].log.read_bytes(), int(commands[-1].get("exit_code", 1))
    except (OSError, ValueError):
        return None


def sentences(found: list[tuple[Diagnosis, tuple[Fix, ...]]]) -> list[str]:
    """Return one line for each cause that something is known for."""
    return [
        f"{said_of(cause)}; `cyxmake build --auto-fix` would {plan_of(fixes)}"
        for cause, fixes in found
        if fixes
    ]


def recipe_left(project: LocalProject) -> list[str]:
    """Return what the project's recipe says and is not in force here, in words."""
    have = {key_of(t.fix) for t in Journal(project.own).active()}
    return [summary_of(fix) for fix, _ in read_recipe(project.own) if key_of(fix) not in have]
