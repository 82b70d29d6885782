"""The parts of a repository that have a build system of their own: one, or many in a monorepo.

Knows the table of build systems. A directory whose parent's build reaches into it is no part of
its own.
"""

from __future__ import annotations

from typing import Final

from cyxmake_cli.analysis.files import Files
from cyxmake_cli.analysis.model import Component
from cyxmake_cli.systems.detect import Detection, detect_systems
from cyxmake_cli.systems.manifests import json_object, toml
from cyxmake_cli.systems.model import SystemName as Name
from cyxmake_cli.systems.table import SYSTEMS

_MARKS: Final = frozenset(mark.file for spec in SYSTEMS.values() for mark in spec.marks)
_NATIVE: Final = frozenset(
    (Name.CMAKE, Name.MESON, Name.AUTOTOOLS, Name.MAKE, Name.SCONS, Name.NINJA)
)
_NODE: Final = frozenset((Name.NPM, Name.YARN, Name.PNPM))
_SURE: Final = 0.5
"""Below it a mark in a subdirectory says nothing: a Makefile of helpers, a list of tools."""
_REACHES: Final = {
    **dict.fromkeys(_NATIVE, _NATIVE),
    Name.BAZEL: frozenset((*_NATIVE, Name.BAZEL)),
    Name.MAVEN: frozenset((Name.MAVEN,)),
    Name.GRADLE: frozenset((Name.GRADLE, Name.MAVEN)),
}
"""Which systems' directories below its own a build system may be taken to drive itself."""


def components(files: Files) -> tuple[Component, ...]:
    """Return the parts of a repository, its root first."""
    found: list[tuple[str, tuple[Detection, ...]]] = []
    for folder, names in sorted(
        files.folders().items(), key=lambda item: (item[0].count("/"), item)
    ):
        if not names & _MARKS or (folder and not files.own(f"{folder}/x")):
            continue
        detections = detect_systems(files.root / folder, names)
        if folder:
            detections = tuple(d for d in detections if d.confidence > _SURE)
        if detections and not _is_reached(files, folder, detections[0], found):
            found.append((folder, detections))
    return tuple(_component(folder, detections) for folder, detections in found)


def _is_reached(
    files: Files, folder: str, detection: Detection, above: list[tuple[str, tuple[Detection, ...]]]
) -> bool:
    for parent, detections in above:
        if parent and not folder.startswith(parent + "/"):
            continue
        if parent == folder:
            continue
        for one in detections:
            if detection.system in _REACHES.get(one.system, ()):
                return True
            if detection.system is one.system is Name.CARGO and _workspace(files, parent):
                return True
            if {detection.system, one.system} <= _NODE and _node_workspace(files, parent):
                return True
            if detection.system is Name.MAKE:
                return True  # helpers of something larger
    return False


def _workspace(files: Files, folder: str) -> bool:
    return "workspace" in toml(files.text(f"{folder}/Cargo.toml".lstrip("/")))


def _node_workspace(files: Files, folder: str) -> bool:
    prefix = f"{folder}/" if folder else ""
    if f"{prefix}pnpm-workspace.yaml" in files.sizes:
        return True
    return "workspaces" in json_object(files.text(f"{prefix}package.json"))


def _component(folder: str, detections: tuple[Detection, ...]) -> Component:
    first = detections[0]
    prefix = f"{folder}/" if folder else ""
    return Component(
        folder or ".",
        first.system.value,
        first.confidence,
        tuple({"file": prefix + e.file, "line": e.line} for e in first.evidence),
        tuple(d.system.value for d in detections[1:]),
    )
