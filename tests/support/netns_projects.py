"""Projects to build again and again: configured and built by ninja once, then put back.

Knows nothing of clusters.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.builds import configure, products, run

_CMAKE: Final = ("cmake", "-S", "{source}", "-B", "{build}", "-G", "Ninja")
_LEVELDB: Final = (
    *_CMAKE, "-DCMAKE_BUILD_TYPE=None", "-DLEVELDB_BUILD_TESTS=OFF",
    "-DLEVELDB_BUILD_BENCHMARKS=OFF",
)  # fmt: skip
PART: Final = tuple(
    f"CMakeFiles/leveldb.dir/{name}.o"
    for name in (
        "db/builder.cc", "db/db_iter.cc", "db/dbformat.cc", "db/filename.cc", "db/log_reader.cc",
        "db/memtable.cc", "db/table_cache.cc", "db/version_edit.cc", "db/write_batch.cc",
        "table/block.cc", "table/format.cc", "table/merger.cc", "table/table.cc",
        "util/arena.cc", "util/cache.cc", "util/coding.cc", "util/env.cc", "util/status.cc",
    )
)  # fmt: skip
"""The quicker ones of LevelDB's sources."""


@dataclass
class Project:
    """One configured project with what a local build makes of it."""

    source: Path
    targets: tuple[str, ...]
    wanted: dict[str, str]

    @classmethod
    def make(cls, source: Path, command: tuple[str, ...], targets: tuple[str, ...] = ()) -> Project:
        """Configure a project and build it locally."""
        made = cls(source, targets, {})
        configure(command, source, made.build)
        shutil.copytree(made.build, made._pristine, symlinks=True)
        run(["ninja", "-C", str(made.build), *targets])
        made.wanted = products(made.build)
        return made

    @property
    def build(self) -> Path:
        """Return the build directory."""
        return self.source / "build"

    @property
    def _pristine(self) -> Path:
        return self.source.with_name(f"{self.source.name}-configured")

    def reset(self) -> None:
        """Make the build directory what it was before the build."""
        shutil.rmtree(self.build)
        shutil.copytree(self._pristine, self.build, symlinks=True)

    def faults(self) -> list[str]:
        """Return what is not as a local build would have left it."""
        made = products(self.build)
        names = sorted(made.keys() | self.wanted.keys())
        found = [f"{n} differs" for n in names if made.get(n) != self.wanted.get(n)]
        plan = run(["ninja", "-C", str(self.build), "-n", *self.targets])
        return found if "no work to do" in plan else [*found, plan]


def small(directory: Path, units: int = 12) -> Project:
    """Make a project of C++ files that take a moment each."""
    directory.mkdir()
    names = []
    for number in range(units):
        names.append(f"u{number}.cpp")
        (directory / names[-1]).write_text(
            "#include <map>\n#include <string>\n"
            f"int unit_{number}(const std::string &s) "
            f"{{ std::map<std::string, int> m; m[s] = {number}; return m.begin()->second; }}\n"
        )
    (directory / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(many CXX)\n"
        f"add_library(many STATIC {' '.join(names)})\n"
    )
    return Project.make(directory, _CMAKE)


def leveldb_sources() -> Path | None:
    """Return where LevelDB's sources are unpacked, if they are."""
    found = Path(os.environ.get("CYXMAKE_CORPORA", "/nowhere")) / "leveldb"
    return found if found.is_dir() else None


def leveldb(sources: Path, directory: Path, targets: tuple[str, ...] = ()) -> Project:
    """Make a copy of LevelDB, or of a part of it."""
    shutil.copytree(sources, directory)
    return Project.make(directory, _LEVELDB, targets)
