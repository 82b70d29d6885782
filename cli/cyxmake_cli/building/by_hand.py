"""What people put into `node_modules` stays there, although npm removes whatever it did not bring.

Knows npm's own list of what it brought: everything else is somebody's, links to packages that are
worked on among them. It waits in the project's own folder meanwhile; what a killed command has left
there goes back with the next.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

_LIST: Final = ".package-lock.json"
_OTHERS: Final = (".yarn-integrity", ".yarn-state.yml", ".modules.yaml")
"""Where another manager was at work, what stands there is its own."""


@contextmanager
def kept_by_hand(folder: Path, aside: Path) -> Iterator[None]:
    """Take what npm did not bring out of its way, and put it back; raises OSError."""
    _put_back_all(aside, folder)
    for name in _by_hand(folder):
        # What an earlier one could not put back has a place of its own.
        place = aside / str(os.getpid()) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / name, place)
    try:
        yield
    finally:
        _put_back_all(aside, folder)


def _by_hand(folder: Path) -> list[str]:
    """Return what npm did not bring: `name`, `@scope/name` or `.bin/name`."""
    present = _names(folder)
    if not present or any(name in present for name in _OTHERS):
        return []
    brought = _brought(folder)
    return [name for name in present if name not in brought]


def _names(folder: Path) -> list[str]:
    found = []
    with suppress(OSError):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            within = entry.name == ".bin" or entry.name.startswith("@")
            if within and entry.is_dir(follow_symlinks=False):
                found += [f"{entry.name}/{name}" for name in sorted(os.listdir(entry))]  # noqa: PTH208
            else:
                found.append(entry.name)
    return found


def _brought(folder: Path) -> set[str]:
    packages: dict[str, Any] = {}
    with suppress(OSError, ValueError, AttributeError):
        packages = json.loads((folder / _LIST).read_bytes()).get("packages", {})
    found = {_LIST}
    for place, package in packages.items():
        name = place.removeprefix("node_modules/")
        found.add(name)
        bins = package.get("bin", {})
        found |= {f".bin/{word}" for word in (bins if isinstance(bins, dict) else {name: bins})}
    return found


def _put_back_all(aside: Path, folder: Path) -> None:
    for run in _names(aside):
        _put_back(aside / run, folder)
    with suppress(OSError):
        aside.rmdir()


def _put_back(aside: Path, folder: Path) -> None:
    """Put everything back where nothing else stands by now; what cannot go back stays aside."""
    for name in _names(aside):
        place = folder / name
        if os.path.lexists(place):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(aside / name, place)
    for inner in (*aside.glob("@*"), aside / ".bin", aside):
        with suppress(OSError):
            inner.rmdir()
