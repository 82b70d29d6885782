"""Where a driver looks before and besides what it finds: what would change it, if it appeared.

Knows nothing of captures. Most of these paths do not exist; of folders that do, it is their entries
that count.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from cyxmake_common.toolchain.probe import CompilerProbe, SearchReport

_LIBRARY_CACHE: Final = "/etc/ld.so.cache"
_CONFIG_DRIVERS: Final = ("clang", "clang++")
_INSTALLATION_BASES: Final = tuple(
    f"{library}/{folder}"
    for library in ("lib", "lib64", "lib32", "libx32")
    for folder in ("gcc", "gcc-cross")
)
_OTHER_INSTALLATIONS: Final = ("/opt/rh", "/etc/env.d/gcc")
"""Where else clang looks for a gcc to take headers from: two distributions' own places."""


def around_gcc(
    probe: CompilerProbe,
    target: str,
    reports: Iterable[SearchReport],
    programs: Iterable[tuple[str, str | None]],
) -> tuple[str, ...]:
    """Return where gcc looks for its specs and, before it finds them, for its programs."""
    result = dict.fromkeys((_LIBRARY_CACHE,))
    folders = search_directories(probe.ask("-print-search-dirs"))
    for folder in (*folders["libraries"], *folders["programs"]):
        result[f"{folder}/specs"] = None
    result[f"{_configured_libraries(reports)}/gcc/{target}/specs"] = None
    for name, found in programs:
        # The last resort is PATH.
        for folder in (*folders["programs"], *probe.path.split(os.pathsep)):
            if found is not None and os.path.dirname(found) == folder:  # noqa: PTH120
                break
            if folder.startswith("/"):
                result.update({f"{folder}/{target}-{name}": None, f"{folder}/{name}": None})
    return tuple(result)


def around_clang(
    probe: CompilerProbe, compiler: str, target: str, reports: Sequence[SearchReport]
) -> tuple[str, ...]:
    """Return where clang looks for configuration, and for a gcc whose headers it takes."""
    result = dict.fromkeys((_LIBRARY_CACHE, *_OTHER_INSTALLATIONS))
    # Drivers know their place by the name they were called by, or by where it leads.
    homes = dict.fromkeys(str(Path(path).parent) for path in (compiler, os.path.realpath(compiler)))
    folders = dict.fromkeys((*homes, *(path for r in reports for path in r.config_folders)))
    triples = dict.fromkeys((target, probe.ask("-print-effective-triple")))
    names = [*_CONFIG_DRIVERS, *triples]
    names += [f"{triple}-{driver}" for triple in triples for driver in _CONFIG_DRIVERS]
    own = Path(compiler).name
    names += [own, *(own.partition(f"-{driver}")[0] for driver in _CONFIG_DRIVERS)]
    for folder in folders:
        result.update((f"{folder}/{name}.cfg", None) for name in names)
    for home in homes:
        for base in _INSTALLATION_BASES:
            result[os.path.normpath(f"{home}/../{base}")] = None
    for report in reports:
        for installation in report.installations:
            result[os.path.normpath(f"{installation}/..")] = None
    return tuple(result)


def _configured_libraries(reports: Iterable[SearchReport]) -> str:
    """Return the library folder that gcc was built for: it looks there from wherever it stands."""
    text = next(iter(reports)).text
    given = dict(re.findall(r" --(libdir|prefix)=(\S+)", text))
    return str(given.get("libdir") or f"{given.get('prefix', '/usr/local')}/lib").strip("'")


def search_directories(text: str) -> dict[str, tuple[str, ...]]:
    """Read what `-print-search-dirs` shows: folders by what is looked up there."""
    result: dict[str, tuple[str, ...]] = {"libraries": (), "programs": ()}
    for line in text.splitlines():
        name, _, listed = line.partition(": =")
        if name in result:
            folders = (folder.rstrip("/") for folder in listed.split(os.pathsep))
            result[name] = tuple(dict.fromkeys(folder for folder in folders if folder))
    return result
