"""Makes fixes: one small function for each kind, and the places that each may write to.

Knows nothing of causes. What a fix may write to is said before it is made, for the journal keeps
what stands there; a fix writes nowhere else. Edits are anchored: a line that is no longer what it
was is an error, and nothing is written.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli.building.own_folder import FOLDER
from cyxmake_cli.building.project import LocalProject
from cyxmake_cli.git import git
from cyxmake_cli.layers.use import ProjectLayers
from cyxmake_cli.recovery.fixes import (
    SOURCE,
    AddFlags,
    AddOptions,
    Alias,
    EditFile,
    FewerJobs,
    Fix,
    How,
    MakeDirectory,
    ObtainPackages,
    Permit,
    RaiseLimit,
    Restore,
    Retry,
    RunTool,
    SetAside,
    SetVariables,
    SystemInstall,
    Touch,
    Variable,
)
from cyxmake_cli.recovery.side_by_side import ToolRun, run_tools
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.errors import ProjectError
from cyxmake_common.execution.process import ProcessRequest

BIN: Final = "bin"
"""Below the project's own folder: names under which programs are found as well."""
OWN: Final = f"{SOURCE}/{FOLDER}/"
_SECONDS: Final = 900.0
_CONFIGURED: Final = {
    SystemName.CMAKE: ("CMakeCache.txt",),
    SystemName.MESON: ("meson-private/coredata.dat", "meson-private/cmd_line.txt"),
}
"""What remembers options below the build directory: as it was before, it knows nothing of ours."""


@dataclass(frozen=True, slots=True)
class Made:
    """What making a fix gave beside what it wrote."""

    variables: tuple[Variable, ...] = ()
    layer: str = ""
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Applier:
    """Makes fixes in one project."""

    project: LocalProject

    def touches(self, fix: Fix) -> tuple[tuple[str, bool], ...]:
        """Return every place that a fix may write to, and whether builds write there as well."""
        match fix:
            case EditFile() | Permit():
                return ((self._place(fix.path), False),)
            case MakeDirectory():
                return (self._new(fix.path, volatile=True),)
            case SetAside():
                return tuple((self._place(path), True) for path in fix.paths)
            case Touch():
                return tuple((self._place(path), False) for path in fix.paths)
            case Restore():
                return tuple(self._new(path, volatile=False) for path in fix.paths)
            case Alias():
                return ((str(self.project.own.path / BIN / fix.name), False),)
            case RunTool():
                places = tuple((self._place(path), _is_volatile(path)) for path in fix.writes)
                return (*places, *(self._configured() if fix.options else ()))
            case AddOptions() | AddFlags() | ObtainPackages() | SetVariables():
                return self._configured()
            case _:
                return ()

    def make(self, fix: Fix) -> Made:
        """Make a fix; raises CyxError or OSError where it cannot be made as it stands."""
        match fix:
            case EditFile():
                edit(Path(self._place(fix.path)), fix, self._scratch())
            case Permit():
                permit(Path(self._place(fix.path)), fix.bits)
            case Touch():
                for path in fix.paths:
                    os.utime(self._place(path))
            case MakeDirectory():
                Path(self._place(fix.path)).mkdir(parents=True)
            case SetAside():
                for path in fix.paths:
                    _remove_copied(Path(self._place(path)))
            case Restore():
                for path in fix.paths:
                    self._restore(path)
            case Alias():
                return Made((self._alias(fix),))
            case SetVariables():
                for variable in fix.variables:
                    if variable.value.startswith(OWN) and variable.how is How.SET:
                        self.project.own.folder(variable.value.removeprefix(OWN))
            case RunTool():
                self._run(fix)
            case ObtainPackages():
                layers = ProjectLayers(self.project.source)
                return Made(layer=layers.obtain(fix.manager, fix.packages).digest)
            case SystemInstall():
                self._install(fix)
            case RaiseLimit():
                raise_open_files()
            case Retry():
                return Made(pause=fix.seconds)
            case AddOptions() | AddFlags() | FewerJobs():
                pass
        return Made()

    def _place(self, path: str) -> str:
        """Return the absolute path of something of the project; raises ProjectError."""
        root = str(self.project.source)
        place = os.path.normpath(os.path.join(root, path))  # noqa: PTH118
        real = os.path.realpath(os.path.dirname(place))  # noqa: PTH120
        if place == root or not (real + os.sep).startswith(os.path.realpath(root) + os.sep):
            raise ProjectError(f"{path} is not a place inside of the project")
        return place

    def _new(self, path: str, *, volatile: bool) -> tuple[str, bool]:
        """Return the outermost of what has to be made for a path; builds write into directories."""
        place = Path(self._place(path))
        found = place
        while not os.path.lexists(found.parent):
            found = found.parent
        return str(found), volatile or found != place

    def _configured(self) -> tuple[tuple[str, bool], ...]:
        names = _CONFIGURED.get(self.project.spec.name, ())
        return tuple((str(self.project.build / name), True) for name in names)

    def _scratch(self) -> Path:
        return self.project.own.folder("recovery") / "scratch"

    def _restore(self, path: str) -> None:
        place = Path(self._place(path))
        listed = git(self.project.source, "ls-tree", "HEAD", "--", path)
        mode, kind = (listed or b" ").split(None, 2)[:2] if listed else (b"", b"")
        data = git(self.project.source, "cat-file", "--filters", f"HEAD:./{path}")
        if data is None or kind != b"blob" or os.path.lexists(place):
            raise ProjectError(f"{path} cannot be brought back from version control")
        place.parent.mkdir(parents=True, exist_ok=True)
        if mode == b"120000":
            place.symlink_to(os.fsdecode(data))
        else:
            write(place, data, 0o755 if mode == b"100755" else 0o644, self._scratch())

    def _alias(self, fix: Alias) -> Variable:
        folder = self.project.own.folder(BIN)
        link = folder / fix.name
        if "/" in fix.name or os.path.lexists(link):
            raise ProjectError(f"{link} is there already")
        program = shutil.which(fix.program)
        if program is None or Path(program).parent == folder:
            raise ProjectError(f"{fix.program} is not here")
        if fix.arguments:
            words = shlex.join((program, *fix.arguments))
            text = f'#!/bin/sh\nexec {words} "$@"\n'
            write(link, text.encode(), 0o755, self._scratch())
        else:
            link.symlink_to(program)
        return Variable("PATH", f"{OWN}{BIN}", How.BEFORE)

    def tool(self, fix: RunTool) -> ToolRun:
        """Return how the tool of a fix is run."""
        environ = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
        request = ProcessRequest(
            fix.argv, cwd=self.project.source, environment=environ, timeout=_SECONDS, merge=True
        )
        return ToolRun(request, frozenset(path for path, _ in self.touches(fix)))

    def _run(self, fix: RunTool) -> None:
        if problem := run_tools([self.tool(fix)])[0]:
            raise ProjectError(problem)

    def _install(self, fix: SystemInstall) -> None:
        from cyxmake_cli.tools.installing import install
        from cyxmake_cli.tools.packages import MANAGERS

        install(MANAGERS[fix.manager], fix.packages, None, self.project.source)


def edit(path: Path, fix: EditFile, scratch: Path) -> None:
    """Change lines of a file as a whole, or not at all; raises ProjectError, OSError."""
    data = path.read_bytes()
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    if path.is_symlink():
        raise ProjectError(f"{fix.path} is a link: it is left alone")
    for change in sorted(fix.edits, key=lambda e: -e.line):
        at = change.line - 1
        if not 0 <= at < len(lines) or lines[at] != change.old:
            raise ProjectError(f"{fix.path}, line {change.line} is not what it was")
        lines[at] = change.new
    changed = "\n".join(lines).encode("utf-8", "surrogateescape")
    write(path, changed, stat.S_IMODE(path.stat().st_mode), scratch)


def permit(path: Path, bits: str) -> None:
    """Add permission for the owner: `x` where it may be read, `w`, or `r`."""
    mode = stat.S_IMODE(path.stat().st_mode)
    more = {"x": (mode & 0o444) >> 2, "w": 0o200, "r": 0o400}[bits]
    path.chmod(mode | more)


def raise_open_files() -> None:
    """Raise the soft limit of open files to the hard one; raises ProjectError if it is there."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        raise ProjectError("the limit of open files is as high as this user may set it")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def write(path: Path, data: bytes, mode: int, scratch: Path) -> None:
    """Write a file in one step: whoever looks sees the old one or the new one.

    What is half written stands at `scratch`, where a killed process may leave it.
    """
    if scratch.parent.stat().st_dev != path.parent.stat().st_dev:
        scratch = path.with_name(f".{path.name}.cyxmake")  # another disk is mounted in the project
    try:
        scratch.write_bytes(data)
        scratch.chmod(mode)
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


def _remove_copied(path: Path) -> None:
    """Take away what the journal has a copy of."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _is_volatile(path: str) -> bool:
    """Tell whether builds and tools go on writing to a place after the fix."""
    return path.split("/", maxsplit=1)[0] in ("node_modules", ".cyxmake", ".git")
