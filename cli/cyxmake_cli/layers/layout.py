"""From the names of a layer's files to the directories that tools have to look into.

Pure. Follows Debian's places: multiarch directories count beside the plain ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from cyxmake_cli.layers.model import Layout

_MULTIARCH: Final = re.compile(r"[a-z0-9_]+-linux-[a-z0-9]+\Z")
_LIBRARY: Final = re.compile(r"lib[^/]+\.(?:so(?:\.[\w.]+)?|a)\Z")
_PYTHON: Final = re.compile(r"usr/lib/python3[\d.]*/dist-packages\Z")
_OWN_FOLDERS: Final = ("blas", "lapack", "pulseaudio", "openmpi/lib", "mpich/lib")
"""Folders with libraries of their own beside the others, which an installation would link to."""
_PERL: Final = re.compile(
    r"(usr/share/perl5|usr/lib/[a-z0-9_-]+/perl5/[\d.]+|usr/share/perl/[\d.]+)/"
)
_DATA: Final = (
    ("BISON_PKGDATADIR", "usr/share/bison"),
    ("AUTOM4TE_CFG", "usr/share/autoconf/autom4te.cfg"),
    ("autom4te_perllibdir", "usr/share/autoconf"),
    ("trailer_m4", "usr/share/autoconf/autoconf/trailer.m4"),
    ("SWIG_LIB", "usr/share/swig4.0"),
)
"""Programs with the place of their data inside them, and the variable that tells another."""


def layout_of(files: Iterable[str]) -> Layout:
    """Return the directories of a layer with these files, named relative to its root."""
    paths = sorted(files)
    folders = sorted({path.rpartition("/")[0] for path in paths})
    every = {parent for folder in folders for parent in _with_parents(folder)}
    includes = ("usr/include", *_arch(every, "usr/include"), "usr/local/include")
    libraries = {path.rpartition("/")[0] for path in paths if _LIBRARY.match(_base(path))}
    bases = (*_arch(every, "usr/lib"), "usr/lib", "usr/lib64", "usr/lib32", "usr/local/lib")
    found = [base for base in bases if base in libraries]
    found += [f"{b}/{name}" for b in bases for name in _OWN_FOLDERS if f"{b}/{name}" in libraries]
    configs = (f"{base}/pkgconfig" for base in (*bases, "usr/share", "usr/local/share"))
    present = set(paths) | every
    perl = {match[1] for path in paths if (match := _PERL.match(path))}
    return Layout(
        include=tuple(name for name in includes if name in every),
        libraries=tuple(found),
        programs=tuple(
            f for f in ("usr/bin", "usr/sbin", "usr/games", "usr/local/bin") if f in folders
        ),
        pkg_config=tuple(name for name in configs if name in folders),
        prefixes=tuple(name for name in ("usr", "usr/local") if name in every),
        aclocal=tuple(name for name in ("usr/share/aclocal",) if name in folders),
        python=tuple(sorted(name for name in every if _PYTHON.match(name))),
        perl=tuple(sorted(perl)),
        data=tuple((name, place) for name, place in _DATA if place in present),
    )


def _arch(folders: Iterable[str], below: str) -> list[str]:
    return sorted(
        folder
        for folder in folders
        if folder.rpartition("/")[0] == below and _MULTIARCH.match(_base(folder))
    )


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _with_parents(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]
