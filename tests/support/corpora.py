"""Real projects for tests: Debian source packages, fetched by name and kept outside of the tree.

A test that needs one is skipped, with the reason, where packages cannot be fetched.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest


@dataclass(frozen=True)
class Corpus:
    """How a project is configured; `{source}` and `{build}` are filled in."""

    package: str
    configure: tuple[str, ...]
    source: str = ""
    one_source: str = ""
    hot_header: str = ""
    test: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


_CMAKE = ("cmake", "-S", "{source}", "-B", "{build}", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release")

CORPORA = {
    "zstd": Corpus(
        "libzstd",
        (*_CMAKE, "-DZSTD_BUILD_TESTS=OFF", "-DZSTD_BUILD_SHARED=ON", "-DZSTD_LEGACY_SUPPORT=ON"),
        source="build/cmake",
        one_source="programs/util.c",
        hot_header="lib/common/mem.h",
        test=("{build}/programs/zstd", "-b1", "-i0", "{build}/build.ninja"),
    ),
    "leveldb": Corpus(
        "leveldb",
        (*_CMAKE, "-DLEVELDB_BUILD_TESTS=OFF", "-DLEVELDB_BUILD_BENCHMARKS=OFF"),
        one_source="db/db_impl.cc",
        hot_header="include/leveldb/slice.h",
    ),
    "fmt": Corpus(
        "fmtlib",
        (*_CMAKE, "-DFMT_TEST=ON", "-DFMT_DOC=OFF"),
        one_source="src/os.cc",
        hot_header="include/fmt/core.h",
        test=("ctest", "--test-dir", "{build}", "--output-on-failure"),
        needs=("libgtest-dev", "libgmock-dev"),
    ),
    "fribidi": Corpus(
        "fribidi",
        ("meson", "setup", "{build}", "{source}", "--buildtype=debugoptimized", "-Ddocs=false"),
        one_source="lib/fribidi.c",
        hot_header="lib/common.h",
        test=("meson", "test", "-C", "{build}", "--no-rebuild"),
        needs=("meson",),
    ),
}


def corpus(name: str) -> Path:
    """Return the unpacked sources of a project; skips the test when they cannot be had."""
    return source_package(CORPORA[name].package)


def source_package(package: str) -> Path:
    """Return the unpacked sources of a Debian package; skips the test when they cannot be had."""
    named = os.environ.get("CYXMAKE_CORPORA")
    base = Path(named) if named else platformdirs.user_cache_path("cyxmake-tests") / "corpora"
    target = base / package
    if not target.is_dir():
        try:
            _fetch(package, base, target)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"the source package {package} cannot be fetched: {error}")
    return target


def _fetch(package: str, base: Path, target: Path) -> None:
    apt, unpack = shutil.which("apt-get"), shutil.which("dpkg-source")
    if apt is None or unpack is None:
        raise OSError("needs apt-get and dpkg-source")
    state = base / "apt"
    (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    sources = state / "sources.list"
    sources.write_text(_source_entries())
    options = [
        "-q", "-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=-",
        "-o", f"Dir::State::Lists={state / 'lists'}", "-o", "APT::Sandbox::User=root",
    ]  # fmt: skip
    if not any((state / "lists").glob("*Sources*")):
        _run([apt, *options, "update"], base)
    download = base / f"{package}.download"
    download.mkdir(exist_ok=True)
    _run([apt, *options, "source", "--download-only", package], download)
    description = next(download.glob("*.dsc"))
    _run([unpack, "-q", "--no-check", "-x", str(description), str(target)], base)
    shutil.rmtree(download)


def _run(argv: list[str], directory: Path) -> None:
    subprocess.run(
        argv, cwd=directory, check=True, capture_output=True, timeout=300,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip


def _source_entries() -> str:
    """Return deb-src entries for the package sources that this machine already uses."""
    entries = []
    for file in Path("/etc/apt/sources.list.d").glob("*.sources"):
        fields = dict(re.findall(r"^([\w-]+): *(.*)$", file.read_text(), re.MULTILINE))
        if "deb" in fields.get("Types", "").split():
            options = f"[signed-by={fields['Signed-By']}] " if "Signed-By" in fields else ""
            for uri in fields["URIs"].split():
                for suite in fields["Suites"].split():
                    entries.append(f"deb-src {options}{uri} {suite} {fields['Components']}")
    listed = Path("/etc/apt/sources.list")
    if listed.exists():
        entries += re.sub(r"^deb ", "deb-src ", listed.read_text(), flags=re.MULTILINE).splitlines()
    return "\n".join(line for line in entries if line.startswith("deb-src")) + "\n"
