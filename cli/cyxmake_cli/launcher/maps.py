"""The options that settings add to compiles, for compiles that come one by one.

Knows no requests' answers: stub and agent add the same options, whoever does the compile.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from cyxmake_cli.cluster.path_maps import Understood, adds_options, path_map, understood
from cyxmake_cli.cluster.response_files import reader_in
from cyxmake_cli.launcher.protocol import CompileRequest
from cyxmake_cli.launcher.rooms import Stamp, project_root, stamp
from cyxmake_cli.settings import Settings
from cyxmake_cli.strategies.path_map import compiler_at

_KEPT: Final = 64


class Maps:
    """Remembers what compilers understand, for as long as their programs are the same."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, Stamp | None, bool, bool], Understood] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Maps {len(self._known)} compilers>"

    async def options(self, request: CompileRequest, settings: Settings) -> tuple[str, ...]:
        """Return what is to stand behind the compiler's name."""
        directory, environ = request.directory, request.environ
        if not adds_options(settings):
            return ()
        # A cache in front is a program of ours here: the stand-in catches the compiler behind it.
        if compiler_at(request.argv, reader_in(directory)) != 0:
            return ()
        wanted = (settings.cache.remap_paths, settings.build.no_ident)
        key = (request.compiler, stamp(request.compiler), *wanted)
        if key not in self._known:
            self._known[key] = await understood(request.compiler, directory, environ, settings)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        root = project_root(directory, environ)
        return self._known[key].options(path_map(root, directory, environ))
