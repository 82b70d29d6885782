"""Debian packages as directories: what a machine would have if they were installed.

Nothing is installed and nothing needs root; the packages come through apt's ordinary client.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Final

import platformdirs

_LIB: Final = "usr/lib/x86_64-linux-gnu"

LAYER_VARIABLES: Final = {
    "CPATH": ("usr/include", "usr/include/x86_64-linux-gnu"),
    "LIBRARY_PATH": (_LIB, "usr/lib", "lib/x86_64-linux-gnu"),
    "LD_LIBRARY_PATH": (_LIB, "usr/lib", "lib/x86_64-linux-gnu"),
    "PKG_CONFIG_PATH": (f"{_LIB}/pkgconfig", "usr/lib/pkgconfig", "usr/share/pkgconfig"),
    "CMAKE_PREFIX_PATH": ("usr",),
    "PATH": ("usr/bin",),
    "ACLOCAL_PATH": ("usr/share/aclocal",),
}


def installed(package: str) -> bool:
    """Tell whether a package is installed on this machine."""
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() == "installed"


def unpack_packages(packages: list[str], target: Path) -> None:
    """Unpack packages, and what they depend on and this machine lacks; raises OSError."""
    for archive in _archives(packages):
        _run(["dpkg-deb", "-x", str(archive), str(target)], target.parent)
    _mend_links(target)


def _archives(packages: list[str]) -> list[Path]:
    cache = platformdirs.user_cache_path("cyxmake-tests") / "archives"
    cache.mkdir(parents=True, exist_ok=True)
    found = []
    wanted = _closure(tuple(sorted(packages)), cache)
    for name, version in wanted:
        pattern = f"{name.partition(':')[0]}_{version.replace(':', '%3a')}_*.deb"
        if not any(cache.glob(pattern)):
            _run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download",
                  f"{name}={version}"], cache)  # fmt: skip
        found.append(next(iter(cache.glob(pattern))))
    return found


@lru_cache
def _closure(packages: tuple[str, ...], place: Path) -> list[tuple[str, str]]:
    """Return name and version of what apt would install."""
    told = _run(["apt-get", "-q", "-s", "--no-install-recommends", "install", *packages], place)
    wanted = re.findall(r"^Inst (\S+)(?: \[[^\]]*\])? \((\S+)", told, re.MULTILINE)
    if not wanted:
        raise OSError(f"apt would install nothing for {packages}: {told[-300:]}")
    return wanted


def _mend_links(target: Path) -> None:
    """Let links to libraries end at this machine's where the layer holds only the link."""
    for link in target.rglob("*.so"):
        if link.is_symlink() and not link.exists():
            real = Path("/") / link.parent.relative_to(target) / link.readlink().name
            if real.exists():
                link.unlink()
                link.symlink_to(real)


def _run(argv: list[str], directory: Path) -> str:
    if shutil.which(argv[0]) is None:
        raise OSError(f"{argv[0]} is not installed")
    done = subprocess.run(
        argv, cwd=directory, capture_output=True, text=True, timeout=200, check=False
    )
    if done.returncode != 0:
        raise OSError(f"{' '.join(argv[:4])}: {done.stderr[-400:]}")
    return done.stdout
