"""Runs commands on Windows at the client's own paths, on a drive that holds only their layers.

Knows nothing of verdicts. It isolates nothing: a command could reach other drives and the network,
so it is for workers that trust their clients, and runs only what is known to be exact (see
windows_rules). What comes back is checked: no output may hold our drive, and every file that was
read must have been found by its exact name.
"""

from __future__ import annotations

import asyncio
import errno
import os
import posixpath
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from cyxmake_common.action import Command
from cyxmake_common.cas.disk_files import patiently
from cyxmake_common.cas.disk_writer import in_thread
from cyxmake_common.errors import SandboxError
from cyxmake_common.execution.process import ProcessRequest, ProcessResult, run_process
from cyxmake_common.includes.depfile import parse_depfile
from cyxmake_worker.sandbox.base import (
    Arrangement,
    Limits,
    ProgramNotStarted,
    SandboxKind,
    SandboxRun,
)
from cyxmake_worker.sandbox.drives import Drive, open_drives
from cyxmake_worker.sandbox.removal import remove_children
from cyxmake_worker.sandbox.windows_project import run_project
from cyxmake_worker.sandbox.windows_rules import (
    mended_depfile,
    mended_text,
    refusal,
    shows_drive,
    with_depfile,
)
from cyxmake_worker.windows_names import Spellings

_LARGE: Final = 4 << 20
_CRASHED: Final = 0x80000000
_KEPT: Final = ("SYSTEMROOT", "WINDIR", "SYSTEMDRIVE", "COMSPEC", "PATHEXT")
_SPELLINGS_KEPT: Final = 16


class DriveSandbox:
    """Runs as many commands at a time as there are drives."""

    def __init__(self, base: Path, drives: int) -> None:
        self._base = base
        self._count = max(1, drives)
        self._drives: list[Drive] = []
        self._free: asyncio.Queue[Drive] = asyncio.Queue()
        self._spellings: dict[tuple[Path, ...], Spellings] = {}

    def __repr__(self) -> str:
        return f"<DriveSandbox {self._free.qsize()} of {len(self._drives)} free>"

    @property
    def kind(self) -> SandboxKind:
        """Return what this sandbox is."""
        return SandboxKind.MAPPED

    async def start(self) -> None:
        """Take drive letters; raises SandboxError when there are none."""
        if self._drives:
            return
        await in_thread(lambda: remove_children(self._base))
        self._drives = open_drives(self._base, self._count)
        for drive in self._drives:
            self._free.put_nowait(drive)

    async def close(self) -> None:
        """Give the letters back."""
        for drive in self._drives:
            drive.close()
        self._drives = []

    async def run(
        self,
        layers: Sequence[Path],
        command: Command,
        limits: Limits,
        scratch: Path,
        arrangement: Arrangement | None = None,
    ) -> SandboxRun:
        """Run a command; see Sandbox. The limits of files and memory are not enforced here."""
        if arrangement is not None:
            return await self._project(layers, command, limits, scratch, arrangement)
        program = command.arguments[0]
        if not any(Path(f"{layer}{program}").is_file() for layer in layers):
            raise ProgramNotStarted(f"exec: {program} is not in the layers")
        if why := refusal(command.arguments):
            raise SandboxError(f"not exact on Windows: {why}")
        drive = await self._free.get()
        try:
            return await self._run(drive, layers, command, limits, scratch)
        finally:
            await in_thread(lambda: _clear(drive.folder, layers))
            self._free.put_nowait(drive)

    async def _project(
        self,
        layers: Sequence[Path],
        command: Command,
        limits: Limits,
        scratch: Path,
        arrangement: Arrangement,
    ) -> SandboxRun:
        drive = await self._free.get()
        try:
            own = _environment(drive, {})
            return await run_project(drive, own, layers, command, limits, scratch, arrangement)
        finally:
            await in_thread(lambda: remove_children(drive.folder))
            self._free.put_nowait(drive)

    async def _run(
        self,
        drive: Drive,
        layers: Sequence[Path],
        command: Command,
        limits: Limits,
        scratch: Path,
    ) -> SandboxRun:
        (program, *rest), listed = with_depfile(command.arguments)
        places = await in_thread(lambda: _lay(layers, drive.folder, command))
        request = ProcessRequest(
            (_on(drive, program), *rest),
            cwd=drive.root / command.working_directory.strip("/"),
            environment=_environment(drive, dict(command.environment)),
            timeout=limits.timeout,
            output_limit=limits.output_bytes,
            grace=0.0,
        )
        try:
            process = await run_process(request)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOEXEC):
                raise ProgramNotStarted(f"exec: {error}") from error
            raise SandboxError(f"exec: {error}") from error
        if process.exit_code >= _CRASHED and not process.timed_out:
            raise SandboxError(f"the program crashed: 0x{process.exit_code:08X}")
        process = replace(
            process, stdout=mended_text(process.stdout), stderr=mended_text(process.stderr)
        )
        if process.exit_code == 0:
            directory = "/" + command.working_directory.strip("/")
            await in_thread(lambda: self._mend(drive, layers, _plain(listed, directory)))
            await in_thread(lambda: _check_leaks(drive, process, places))
        root = scratch / "root"
        await in_thread(lambda: _hand_over(drive.folder, root, places))
        return SandboxRun(process, root, places)

    def _mend(self, drive: Drive, layers: Sequence[Path], listed: str) -> None:
        """Mend the depfile; raises SandboxError when the client's system would find other files."""
        depfile = Path(f"{drive.folder}{listed}")
        if not depfile.is_file():
            raise SandboxError("not exact on Windows: which files were read is not known")
        text = mended_depfile(depfile.read_bytes())
        depfile.write_bytes(text)
        directory = posixpath.dirname(listed)
        spellings = self._spellings_of(layers)
        for name in parse_depfile(text).prerequisites:
            path = _plain(name, directory)
            found = _find(layers, path)
            if found is None:
                raise SandboxError(f"not exact on Windows: {name} was read from elsewhere")
            wrong = spellings.misspelt(path) or spellings.misspelt_in(found.read_bytes())
            if wrong:
                raise SandboxError(f"not exact on Windows: {wrong} is spelled otherwise on disk")

    def _spellings_of(self, layers: Sequence[Path]) -> Spellings:
        key = tuple(layers)
        if key not in self._spellings:
            if len(self._spellings) >= _SPELLINGS_KEPT:
                self._spellings.pop(next(iter(self._spellings)))
            self._spellings[key] = Spellings(
                name
                for layer in layers
                for _, folders, files in os.walk(layer)
                for name in (*folders, *files)
            )
        return self._spellings[key]


def _plain(path: str, directory: str) -> str:
    """Return a path of the client's, absolute and without dots."""
    return posixpath.normpath(posixpath.join(directory, path))


def _on(drive: Drive, path: str) -> str:
    return f"{drive.letter}:{path}".replace("/", "\\")


def _environment(drive: Drive, given: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name.upper() in _KEPT}
    scratch = f"{drive.letter}:\\tmp"
    return {**own, **given, "TEMP": scratch, "TMP": scratch}


def _lay(layers: Sequence[Path], root: Path, command: Command) -> dict[str, str]:
    """Put the layers below a root, the uppermost first so that it wins; return output places."""
    for layer in layers:
        for directory, _, files in os.walk(layer):
            target = root / Path(directory).relative_to(layer)
            target.mkdir(exist_ok=True)
            for name in files:
                source, destination = Path(directory, name), target / name
                if destination.exists():
                    continue
                if source.stat().st_size >= _LARGE:
                    destination.hardlink_to(source)
                else:
                    # A link is the layer's own file: a command could write through it.
                    shutil.copyfile(source, destination)
    (root / "tmp").mkdir(exist_ok=True)
    directory = "/" + command.working_directory.strip("/")
    (root / directory[1:]).mkdir(parents=True, exist_ok=True)
    places = {output: _plain(output, directory) for output in command.output_paths}
    for place in places.values():
        (root / place[1:]).parent.mkdir(parents=True, exist_ok=True)
    return places


def _check_leaks(drive: Drive, process: ProcessResult, places: Mapping[str, str]) -> None:
    files = [Path(f"{drive.folder}{place}") for place in places.values()]
    texts = (process.stdout, process.stderr, *(f.read_bytes() for f in files if f.is_file()))
    if any(shows_drive(text, drive.letter) for text in texts):
        raise SandboxError(f"path leak: a result holds the worker's drive {drive.letter}:")


def _hand_over(folder: Path, root: Path, places: Mapping[str, str]) -> None:
    """Move the outputs to where the executor looks for them."""
    root.mkdir()
    for place in dict.fromkeys(places.values()):
        source, target = Path(f"{folder}{place}"), Path(f"{root}{place}")
        if source.is_file() and not source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            patiently(lambda a=source, b=target: a.rename(b))  # type: ignore[misc]


def _find(layers: Sequence[Path], path: str) -> Path | None:
    return next((file for layer in layers if (file := Path(f"{layer}{path}")).is_file()), None)


def _clear(folder: Path, layers: Sequence[Path]) -> None:
    """Empty a drive; what was linked there stays protected in its layer."""
    linked = [file for file in folder.rglob("*") if file.is_file() and file.stat().st_nlink > 1]
    sources = [_find(layers, "/" + file.relative_to(folder).as_posix()) for file in linked]
    remove_children(folder)
    for source in filter(None, sources):
        source.chmod(0o444)
