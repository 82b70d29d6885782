"""A stand-in where namespaces are refused: the client's paths, moved below a private directory.

Knows nothing of verdicts. It isolates nothing: a command sees the host and its network, so it is
for workers that trust their clients, and is used only when asked for. What it promises is that a
result which comes back is the local one: compilers map their paths back, depfiles and messages
are rewritten, and any other output that still holds the private path makes the run an error of
ours, never a result.
"""

from __future__ import annotations

import asyncio
import errno
import filecmp
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from cyxmake_common.action import Command
from cyxmake_common.cas.disk_writer import in_thread
from cyxmake_common.errors import SandboxError
from cyxmake_common.execution.process import ProcessRequest, run_process
from cyxmake_common.includes.depfile_layout import lay_out, layout_of
from cyxmake_worker.sandbox.base import (
    Arrangement,
    Limits,
    ProgramNotStarted,
    SandboxKind,
    SandboxRun,
)

_COMPILER: Final = re.compile(r"(?:^|[-/])(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+)(?:-[\d.]+)?$")
_DEFINES: Final = ("-D", "-U")
_CHUNK: Final = 1 << 20


class MappedSandbox:
    """Runs commands over a private copy of the layers, made of hard links."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[object]] = set()

    def __repr__(self) -> str:
        return f"<MappedSandbox running={len(self._running)}>"

    @property
    def kind(self) -> SandboxKind:
        """Return what this sandbox is."""
        return SandboxKind.MAPPED

    async def start(self) -> None:
        """Refuse systems without absolute POSIX paths."""
        if sys.platform == "win32":
            raise SandboxError("paths can be mapped on POSIX systems only")

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
            raise SandboxError("several commands in one action need namespaces")
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
        try:
            return await self._run(layers, command, limits, scratch)
        finally:
            if task is not None:
                self._running.discard(task)

    async def close(self) -> None:
        """Cancel what runs."""
        others = self._running - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _run(
        self, layers: Sequence[Path], command: Command, limits: Limits, scratch: Path
    ) -> SandboxRun:
        root = scratch / "root"
        await in_thread(lambda: _lay(layers, root))
        mapping = _Mapping(root)
        _check_interpreter(root)
        places = _make_places(root, command)
        request = ProcessRequest(
            mapping.arguments(command.arguments, dict(command.environment)),
            cwd=root / command.working_directory.strip("/"),
            environment=mapping.environment(dict(command.environment)),
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
        if process.exit_code != 0 and b"No such file or directory" in process.stderr:
            # Paths inside of files stay as they are: this need not be the tool's own verdict.
            raise SandboxError("a file was not found, perhaps by a path that was not mapped")
        await in_thread(
            lambda: mapping.restore(root / place.strip("/") for place in places.values())
        )
        process = replace(
            process, stdout=mapping.back(process.stdout), stderr=mapping.back(process.stderr)
        )
        return SandboxRun(process, root, places)


class _Mapping:
    """Writes the client's absolute paths as they are below a root, and back."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        tops = "|".join(sorted(re.escape(entry.name) for entry in os.scandir(root)))
        # At the start of an argument, behind an option's letters, or behind a separator.
        self._path = re.compile(rf"(^(?:-[A-Za-z]+)?|[=,:])(?=/(?:{tops})(?:/|$|:))")

    def arguments(self, argv: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
        """Return a command line whose paths are below the root; raises SandboxError."""
        if any(argument.startswith("@") for argument in argv[1:]):
            raise SandboxError("a response file cannot be mapped")
        program = self._program(argv[0], environment.get("PATH", "/usr/bin:/bin"))
        mapped = [program, *(self._map(argument) for argument in argv[1:])]
        if _COMPILER.search(argv[0]):
            # Not recorded in the object, unlike almost every other option.
            mapped.insert(1, f"-ffile-prefix-map={self._root}=")
        return tuple(mapped)

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return an environment whose paths are below the root."""
        mapped = {name: self._map(value) for name, value in environment.items()}
        mapped.setdefault("TMPDIR", f"{self._root}/tmp")  # noqa: S108 - a private one
        mapped.setdefault("LD_LIBRARY_PATH", ":".join(_library_directories(Path(self._root))))
        return mapped

    def back(self, text: bytes) -> bytes:
        """Return text with the client's own paths."""
        return text.replace(os.fsencode(self._root), b"")

    def restore(self, files: Iterator[Path]) -> None:
        """Rewrite depfiles; raises SandboxError when another output holds our path."""
        for file in files:
            if not file.is_file() or file.is_symlink():
                continue
            if file.suffix == ".d":
                written = file.read_bytes()
                text = self.back(written)
                if text != written:
                    # Lines were broken where the longer paths made them too long.
                    layout = layout_of(written)
                    if layout is None:
                        raise SandboxError(f"path leak: {file.name} cannot be laid out anew")
                    file.unlink()
                    file.write_bytes(lay_out(text, layout))
            elif _contains(file, os.fsencode(self._root)):
                raise SandboxError(f"path leak: {file.name} holds the worker's path")

    def _map(self, text: str) -> str:
        return text if text.startswith(_DEFINES) else self._path.sub(rf"\1{self._root}", text)

    def _program(self, name: str, path: str) -> str:
        if "/" in name:
            return self._root + name if name.startswith("/") else name
        for directory in path.split(":"):
            found = f"{self._root}{directory}/{name}"
            if os.access(found, os.X_OK):
                return found
        raise ProgramNotStarted(f"exec: {name} is not in PATH below the layers")


def _lay(layers: Sequence[Path], root: Path) -> None:
    """Link the layers into one tree, the uppermost first so that it wins."""
    root.mkdir()
    for layer in layers:
        for directory, subdirectories, files in os.walk(layer):
            target = root / Path(directory).relative_to(layer)
            target.mkdir(exist_ok=True)
            for name in [*files, *subdirectories]:
                source, destination = Path(directory, name), target / name
                if destination.is_symlink() or destination.exists():
                    continue
                if source.is_symlink():
                    link = source.readlink()
                    destination.symlink_to(root / str(link)[1:] if link.is_absolute() else link)
                elif name in files:
                    destination.hardlink_to(source)
    (root / "tmp").mkdir(exist_ok=True)


def _check_interpreter(root: Path) -> None:
    """Refuse a toolchain with another C library: programs start with the host's loader."""
    for pattern in ("lib64/ld-linux*", "lib/ld-linux*", "lib/ld-musl*"):
        for loader in root.glob(pattern):
            host = Path("/") / loader.relative_to(root)
            if not host.exists() or not filecmp.cmp(loader, host, shallow=False):
                raise SandboxError(f"the toolchain's {loader.name} is not the one of this machine")


def _library_directories(root: Path) -> list[str]:
    found = {os.path.dirname(path) for path in map(str, root.glob("**/*.so*")) if path}  # noqa: PTH120
    return sorted(found)


def _make_places(root: Path, command: Command) -> dict[str, str]:
    """Make the output directories; return each output's place."""
    cwd = command.working_directory.strip("/")
    (root / cwd).mkdir(parents=True, exist_ok=True)
    places: dict[str, str] = {}
    for output in command.output_paths:
        place = os.path.normpath(f"/{cwd}/{output}")
        parent = root / place[1:].rpartition("/")[0]
        parent.mkdir(parents=True, exist_ok=True)
        places[output] = place
    return places


def _contains(file: Path, needle: bytes) -> bool:
    with file.open("rb") as stream:
        tail = b""
        while chunk := stream.read(_CHUNK):
            if needle in tail + chunk:
                return True
            tail = chunk[-len(needle) :]
    return False
