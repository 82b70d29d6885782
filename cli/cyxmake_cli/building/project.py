"""A project that is to be built here: its build system, its places, the facts that steps need.

Knows nothing of processes. A `plan.json` in the project's own folder overrides what is found.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.systems.detect import Detection, detect_systems, facts_of, missing_tools
from cyxmake_cli.systems.model import Step, SystemName, SystemSpec, Verb
from cyxmake_cli.systems.plan import CONFIGURED, build_directory
from cyxmake_cli.systems.table import SYSTEMS
from cyxmake_common.errors import ConfigError, ProjectError, UsageError

PLAN: Final = "plan.json"
_IN_SOURCE: Final = (SystemName.AUTOTOOLS, SystemName.CMAKE, SystemName.MESON)
"""Systems that somebody may have configured among the sources."""


@dataclass(frozen=True, slots=True)
class LocalProject:
    """A project and where it builds; `overridden` tells that a person's plan is followed."""

    spec: SystemSpec
    source: Path
    build: Path
    detections: tuple[Detection, ...]
    overridden: bool = False

    @property
    def own(self) -> OwnFolder:
        """Return the project's own folder."""
        return OwnFolder(self.source)

    def facts(self) -> frozenset[str]:
        """Return the facts as they are now: configuring changes them."""
        return facts_of(self.spec, self.source, self.build)

    def missing(self) -> tuple[tuple[str, ...], ...]:
        """Return the groups of programs of which none is installed."""
        return missing_tools(self.spec, self.source)

    def stale(self) -> bool:
        """Tell whether the configuration is older than what it was made from."""
        if CONFIGURED not in self.facts():
            return True
        made = min((self.build / name).stat().st_mtime_ns for name in self.spec.configured or ".")
        newer = (self.source / name for name in self.spec.inputs)
        return any(path.exists() and path.stat().st_mtime_ns > made for path in newer)


def open_project(
    directory: Path, build_dir: str | None = None, system: str | None = None
) -> LocalProject:
    """Find what a directory is; raises ProjectError when nothing in it can be built.

    `build_dir` is relative to the directory; `system` chooses among several.
    """
    if not directory.is_dir():
        raise ProjectError(f"{directory} is not a directory", next_step="name a project with -C")
    source = Path(os.path.abspath(directory))  # noqa: PTH100 - symlinks stay as they are spelled
    detections = detect_systems(source)
    plan = OwnFolder(source).read(PLAN)
    wanted = system or plan.get("system") or (detections[0].system.value if detections else None)
    if wanted is None:
        raise ProjectError(
            f"no build system is known of {source}",
            next_step="name the project's directory with -C DIR",
        )
    if wanted not in set(SystemName):
        raise UsageError(
            f"no build system is called {wanted!r}", next_step=f"one of {', '.join(SystemName)}"
        )
    spec = SYSTEMS[SystemName(wanted)]
    overridden = bool(plan) and plan.get("system") == wanted
    if overridden:
        spec = _overridden(spec, plan, source)
        build_dir = build_dir or plan.get("build")
    build = Path(build_directory(spec, str(source), build_dir))
    if not build_dir and spec.name in _IN_SOURCE and _configured(spec, source):
        build = source
    return LocalProject(spec, source, build, detections, overridden)


def _configured(spec: SystemSpec, place: Path) -> bool:
    return all((place / name).exists() for name in spec.configured)


def as_plan(project: LocalProject) -> dict[str, Any]:
    """Return the plan of a project as a person may override it: what `_overridden` reads."""
    facts = project.facts() - {CONFIGURED}
    build = os.path.relpath(project.build, project.source)
    return {
        "version": 1,
        "system": project.spec.name.value,
        "evidence": [
            {"file": e.file, "line": e.line}
            for d in project.detections
            if d.system is project.spec.name
            for e in d.evidence
        ],
        "build": None if build == "." else build,
        "commands": {
            verb.value: [
                shlex.join(step.argv)
                for step in steps
                if step.needs - {CONFIGURED} <= facts and not step.unless & facts
                if CONFIGURED not in step.needs
            ]
            for verb, steps in project.spec.steps.items()
        },
        "artefacts": list(project.spec.artefacts),
    }


def _overridden(spec: SystemSpec, plan: Mapping[str, Any], source: Path) -> SystemSpec:
    """Return the system with a person's commands in place of its own."""
    found = plan.get("commands", {})
    if not isinstance(found, dict):
        raise _wrong(source, "commands is no table")
    steps = dict(spec.steps)
    for name, lines in found.items():
        if name not in set(Verb) or not isinstance(lines, list):
            raise _wrong(source, f"commands.{name} is no list of commands of {', '.join(Verb)}")
        try:
            steps[Verb(name)] = tuple(Step(tuple(shlex.split(line))) for line in lines)
        except (ValueError, AttributeError) as error:
            raise _wrong(source, f"commands.{name}: {error}") from error
    return replace(spec, steps=steps)


def _wrong(source: Path, what: str) -> ConfigError:
    path = OwnFolder(source).path / PLAN
    return ConfigError(f"{path}: {what}", next_step="correct it, or write it anew: init --plan")
