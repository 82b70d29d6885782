"""Does compile requests: all that one project's compiles in one environment share is a room.

Knows no sockets. What a room remembers it checks at every use, for files and compilers change
between any two requests. Whatever is not sure is answered with LocalOnly.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cyxmake_cli.cluster.history import History
from cyxmake_cli.cluster.joined import Joined
from cyxmake_cli.cluster.native import Native
from cyxmake_cli.cluster.near import Near
from cyxmake_cli.cluster.placing import Placing
from cyxmake_cli.cluster.remote import RemoteCompiler
from cyxmake_cli.cluster.results import RemoteResult
from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_cli.cluster.working_directory import SearchLinks, with_believed_directory
from cyxmake_cli.launcher.inputs import FreshInputs
from cyxmake_cli.launcher.protocol import CompileRequest
from cyxmake_cli.settings import ROOT_VARIABLE, VERSION_CONTROL, project_settings
from cyxmake_cli.strategies.compile_units import plan_unit
from cyxmake_cli.strategies.path_map import with_map
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.toolchain.arguments import compiler_kind
from cyxmake_common.toolchain.identity import VARIABLES, Toolchain
from cyxmake_common.toolchain.local import LocalOnly

_ROOMS_KEPT: Final = 32
_PAUSE_SECONDS: Final = 5.0
_COLOUR_ON: Final = "-fdiagnostics-color=always"
_ESCAPES: Final = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]|\x1b\]8;[^\x07\x1b]*(?:\x07|\x1b\\)")

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Known:
    """A compiler, and the state of the files that it holds for."""

    toolchain: Toolchain | LocalOnly
    stamps: dict[str, Stamp | None]


class Room:
    """The compiles of one project at `root`, on one cluster, in one environment."""

    def __init__(
        self,
        joined: Joined,
        near: Near,
        digests: FileDigests,
        cache_dir: Path,
        root: str,
        variables: Mapping[str, str],
        use_cache: bool,
    ) -> None:
        self._cache_dir = cache_dir
        self._variables = variables
        self._native = Native(variables)
        self._known: dict[str, _Known] = {}
        inputs = FreshInputs(digests, self._new_toolchains)
        self.history = History(cache_dir / "history", root, root)
        self._running = 0
        self._pause: asyncio.TimerHandle | None = None
        self._remote = RemoteCompiler(
            joined.client,
            inputs,
            digests,
            root=root,
            use_cache=use_cache,
            near=near,
            history=self.history,
        )

    async def compile(
        self, request: CompileRequest, options: Sequence[str] = ()
    ) -> RemoteResult | LocalOnly:
        """Do a request; after a verdict its outputs stand in place and its exit code is 0.

        `options` are added to the command.
        """
        if self._pause is not None:
            self._pause.cancel()
        self._running += 1
        try:
            result = await self._compile(request, options)
        finally:
            self._running -= 1
            if not self._running:
                # Nobody says when a build ends: a pause does.
                loop = asyncio.get_running_loop()
                self._pause = loop.call_later(_PAUSE_SECONDS, self.history.turn)
        self._note(request, result)
        return result

    def _note(self, request: CompileRequest, result: RemoteResult | LocalOnly) -> None:
        output = _output(request)
        if not output:
            return
        if isinstance(result, LocalOnly):
            self.history.note(output, "local", "", result.reason)
        else:
            self.history.note(output, "remote" if result.worker else "cache", result.worker, "")

    async def _compile(
        self, request: CompileRequest, options: Sequence[str]
    ) -> RemoteResult | LocalOnly:
        toolchain = await self._toolchain(request.compiler)
        if isinstance(toolchain, LocalOnly):
            return toolchain
        argv = with_map(request.argv, options)
        wants_colours = _wants_colours(request)
        if wants_colours and not _names_colours(request.argv):
            argv.append(_COLOUR_ON)
        # As the kernel names it, beside the name that compilers write into debug information.
        directory = os.path.realpath(request.directory)
        environ = with_believed_directory({**request.environ, "PWD": request.directory}, directory)
        said = await self._native.explicit(argv, request.compiler, toolchain)
        if isinstance(said, LocalOnly):
            return said
        unit = plan_unit(
            said.argv,
            (),
            directory,
            toolchain,
            request.compiler,
            environ,
            provided=said.provided,
        )
        if isinstance(unit, LocalOnly):
            return unit
        unit = SearchLinks().noted(unit)
        result = await self._remote.compile(unit, Placing(umask=request.umask))
        if isinstance(result, LocalOnly):
            return result
        if result.exit_code != 0:
            return LocalOnly("a failure is confirmed here")
        coloured = b"\x1b" in result.stderr
        if wants_colours and result.stderr and not coloured:
            # The key knows no colours: these messages were first made for somebody else.
            return LocalOnly("its messages are known without colours only")
        if coloured and not wants_colours:
            result = replace(result, stderr=_ESCAPES.sub(b"", result.stderr))
        return result

    def _new_toolchains(self) -> Toolchains:
        return Toolchains(self._cache_dir, self._variables)

    async def _toolchain(self, compiler: str) -> Toolchain | LocalOnly:
        known = self._known.get(compiler)
        if known is not None and all(stamp(path) == s for path, s in known.stamps.items()):
            return known.toolchain
        first = stamp(compiler)
        # Taken twice: what changed while it was looked at shows as two different toolchains.
        found, again = [await self._new_toolchains().find(compiler, "/") for _ in range(2)]
        if isinstance(found, LocalOnly):
            self._known[compiler] = _Known(found, {compiler: first})
            return found
        toolchain = found[1]
        stamps = {path: stamp(path) for path in _watched(compiler, toolchain)}
        if isinstance(again, LocalOnly) or again[1].id != toolchain.id:
            return LocalOnly("the compiler is changing")
        self._known[compiler] = _Known(toolchain, stamps)
        return toolchain


class Rooms:
    """The rooms that were used last."""

    def __init__(self, cache_dir: Path, digests: FileDigests) -> None:
        self._cache_dir = cache_dir
        self._digests = digests
        self._rooms: OrderedDict[tuple[object, ...], Room] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Rooms {len(self._rooms)}>"

    def save(self) -> None:
        """Keep what explains misses."""
        for room in self._rooms.values():
            room.history.save()

    def get(self, request: CompileRequest, joined: Joined, near: Near, *, use_cache: bool) -> Room:
        """Return the room of a request."""
        environ = request.environ
        root = project_root(os.path.realpath(request.directory), environ)
        variables = {name: environ[name] for name in VARIABLES if name in environ}
        key = (joined.client, root, use_cache, *sorted(variables.items()))
        room = self._rooms.get(key)
        if room is None:
            room = self._rooms[key] = Room(
                joined, near, self._digests, self._cache_dir, root, variables, use_cache
            )
            if len(self._rooms) > _ROOMS_KEPT:
                self._rooms.popitem(last=False)[1].history.save()
        self._rooms.move_to_end(key)
        return room


def refusal(request: CompileRequest) -> LocalOnly | None:
    """Say why a request can't be done elsewhere, judged by its texts alone."""
    if compiler_kind(request.argv[0]) is None:
        return LocalOnly(f"{request.argv[0]} is no known compiler")
    if not request.compiler.startswith("/"):
        return LocalOnly("the compiler is named by a relative path")
    if posixpath.normpath(request.directory) != request.directory:
        return LocalOnly("the name of its directory has dots in it")
    try:
        "\0".join((request.directory, *request.argv)).encode()
    except UnicodeEncodeError:
        return LocalOnly("its arguments are no Unicode")
    return None


def project_root(directory: str, environ: Mapping[str, str]) -> str:
    """Return the project that a directory belongs to: what makes two checkouts share results."""
    named = environ.get(ROOT_VARIABLE, "")
    if named.startswith("/") and (directory == named or directory.startswith(named + "/")):
        return named
    place = directory
    while place not in ("", "/"):
        if any(os.path.lexists(f"{place}/{name}") for name in VERSION_CONTROL):
            return place
        place = place.rpartition("/")[0]
    settings = project_settings(directory)
    return directory if settings is None else str(settings.parent)


def _watched(compiler: str, toolchain: Toolchain) -> list[str]:
    """Return what is looked at for every request: a compiler's files and what would change them.

    Its headers are not among them: a hit checks each header that it stands on, and a miss checks
    the whole toolchain.
    """
    programs = [path for path in toolchain.files.values() if "/include" not in path]
    return list(dict.fromkeys((compiler, *toolchain.names, *programs, *toolchain.around)))


def stamp(path: str) -> Stamp | None:
    """Return the state of a file, or None when there is none."""
    try:
        state = os.stat(path)  # noqa: PTH116 - called for each file of a compiler, each request
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino, state.st_ctime_ns


def _output(request: CompileRequest) -> str:
    """Return the file that a command names as its output; empty when it leaves that open."""
    for number, word in enumerate(request.argv):
        if word == "-o" and number + 1 < len(request.argv):
            return _absolute(request, request.argv[number + 1])
        if word.startswith("-o") and word != "-o":
            return _absolute(request, word[2:])
    return ""


def _absolute(request: CompileRequest, path: str) -> str:
    return posixpath.join(os.path.realpath(request.directory), path)


def _names_colours(argv: tuple[str, ...]) -> bool:
    return any("diagnostics-color" in word or "color-diagnostics" in word for word in argv)


def _wants_colours(request: CompileRequest) -> bool:
    """Tell whether the compiler would write its messages in colours here."""
    wanted = request.terminal and request.environ.get("TERM", "dumb") != "dumb"
    for word in request.argv:
        if word in ("-fdiagnostics-color", _COLOUR_ON, "-fcolor-diagnostics"):
            wanted = True
        elif word in ("-fno-diagnostics-color", "-fdiagnostics-color=never") or word.startswith(
            "-fno-color-diag"
        ):
            wanted = False
    return wanted
