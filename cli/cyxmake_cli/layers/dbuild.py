"""The layers of a project that `dbuild` builds: variables for this process, configured anew.

Knows nothing of clusters: files of layers are found by the paths in command lines, and travel as
any other file does.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from dataclasses import replace
from typing import Self

from cyxmake_cli.analysis.detectors import BuildSystem, Project
from cyxmake_cli.layers.configured import BuildLayers
from cyxmake_cli.layers.use import user_store
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.execution.process import ProcessRequest, run_process


class ProjectInLayers:
    """One project's layers, made ready; inside of it their variables hold for all that runs.

    Raises CyxError.
    """

    def __init__(self, project: Project) -> None:
        system = SystemName(project.system.value)
        self._layers = BuildLayers.of(project.source, project.build, system, None)
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> Self:
        for name, value in self._layers.variables().items():
            self._before[name] = os.environ.get(name)
            os.environ[name] = value
        return self

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

    def __repr__(self) -> str:
        return f"<ProjectInLayers {self._layers}>"

    def configuring(self, project: Project) -> Project:
        """Return the project with what configures it, if that has to be done for its layers."""
        argv = project.configure_command
        if argv is None:
            if not self._layers.changed:
                return project
            argv = _again(project)
        if argv is None:
            self._layers.remember()
            return project
        if project.system is BuildSystem.CMAKE:
            # After the directories; a person's own options are last, and count.
            at = argv.index(str(project.build)) + 1
            argv = (*argv[:at], *self._layers.options(argv[at:]))
            self._layers.prepare()
        elif project.system is BuildSystem.MESON:
            at = argv.index("setup") + 1
            argv = (*argv[:at], *self._layers.options(argv[at:]))
            self._layers.prepare()
        return replace(project, configure_command=argv)

    def remember(self) -> None:
        """Write down that the project is configured with these layers."""
        self._layers.remember()


def _again(project: Project) -> tuple[str, ...] | None:
    """Return what configures a project that is configured; None: nothing has to."""
    source, build = str(project.source), str(project.build)
    match project.system:
        case BuildSystem.CMAKE:
            return ("cmake", "-S", source, "-B", build)
        case BuildSystem.MESON:
            return ("meson", "setup", build, source)
        case BuildSystem.AUTOTOOLS if (project.source / "configure").is_file():
            script = os.path.relpath(project.source / "configure", project.build)
            return (script if "/" in script else f"./{script}", *_words_before(project))
        case _:
            return None


def _words_before(project: Project) -> list[str]:
    """Return what `configure` was told before, without flags that led into layers."""
    request = ProcessRequest(("./config.status", "--config"), cwd=project.build)
    try:
        done = asyncio.run(run_process(request))
        words = shlex.split(done.stdout.decode("utf-8", "surrogateescape"))
    except (OSError, ValueError):
        return []
    store = f"{user_store().directory}/"
    return [w for w in words if not (w.startswith(("CPPFLAGS=", "LDFLAGS=")) and store in w)]
