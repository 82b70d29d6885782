"""The settings of compiles that come one by one, read anew only when a file has changed.

Knows nothing of what they do.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cyxmake_cli.settings import PREFIX, Settings, load, settings_files

_KEPT: Final = 256

_Stamp = tuple[str, int, int, int] | None


class FreshSettings:
    """Remembers settings by directory, environment, and the state of the files they come from."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[object, ...], Settings] = OrderedDict()

    def __repr__(self) -> str:
        return f"<FreshSettings {len(self._known)}>"

    def of(self, directory: str, environ: Mapping[str, str]) -> Settings:
        """Return the settings of a compile in a directory; raises ConfigError."""
        named = sorted(item for item in environ.items() if item[0].startswith(PREFIX))
        files = settings_files(directory, environ)
        key = (directory, *named, *(_stamp(path) for path in files))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = load(directory, environ).settings
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return known


def _stamp(path: Path | None) -> _Stamp:
    try:
        state = None if path is None else os.stat(path)  # noqa: PTH116 - asked for each compile
    except OSError:
        return None
    return None if state is None else (str(path), state.st_mtime_ns, state.st_size, state.st_ino)
