"""What layers add to configuring, building and testing: variables and options, by build system.

Pure. Where a build system takes flags they go into its command lines, because those say everything
about a compile: they hold on any worker and for a plain `ninja` later. Only where there is nothing
to configure do variables of the compiler stand in.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.layers.model import Layer
from cyxmake_cli.systems.model import SystemName

_FLAGS: Final = (SystemName.CMAKE, SystemName.MESON, SystemName.AUTOTOOLS)
"""Systems that keep flags from configuring."""
_CMAKE_PASSED_ON: Final = (
    "CMAKE_C_STANDARD_INCLUDE_DIRECTORIES",
    "CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES",
    "CMAKE_C_STANDARD_LIBRARIES",
    "CMAKE_CXX_STANDARD_LIBRARIES",
)
CMAKE_VARIABLES: Final = (
    *_CMAKE_PASSED_ON,
    "CMAKE_TRY_COMPILE_PLATFORM_VARIABLES",
    "CMAKE_BUILD_RPATH",
)
"""What a configuration with layers sets, and one without takes back."""


@dataclass(frozen=True, slots=True)
class LayerEnvironment:
    """What some layers add, as absolute paths; the first layer is searched first."""

    include: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    pkg_config: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    aclocal: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    perl: tuple[str, ...] = ()
    data: tuple[tuple[str, str], ...] = ()

    @property
    def preprocessor_flags(self) -> tuple[str, ...]:
        """Return what lets a compiler find the headers: after -I, before the system's own."""
        return tuple(word for path in self.include for word in ("-isystem", path))

    @property
    def linker_flags(self) -> tuple[str, ...]:
        """Return what lets a linker find the libraries, and the program that it makes.

        The old kind of run path also holds for libraries that need others of the layer.
        """
        if not self.libraries:
            return ()
        search = (f"-L{path}" for path in self.libraries)
        run = (f"-Wl,-rpath,{path}" for path in self.libraries)
        return (*search, *run, "-Wl,--disable-new-dtags")


def environment(layers: Sequence[Layer]) -> LayerEnvironment:
    """Return what layers add together."""

    def places(named: Iterable[tuple[Layer, Sequence[str]]]) -> tuple[str, ...]:
        return tuple(
            dict.fromkeys(f"{layer.root}/{name}" for layer, names in named for name in names)
        )

    data = {n: f"{layer.root}/{p}" for layer in reversed(layers) for n, p in layer.layout.data}
    return LayerEnvironment(
        include=places((each, each.layout.include) for each in layers),
        libraries=places((each, each.layout.libraries) for each in layers),
        programs=places((each, each.layout.programs) for each in layers),
        pkg_config=places((each, each.layout.pkg_config) for each in layers),
        prefixes=places((each, each.layout.prefixes) for each in layers),
        aclocal=places((each, each.layout.aclocal) for each in layers),
        python=places((each, each.layout.python) for each in layers),
        perl=places((each, each.layout.perl) for each in layers),
        data=tuple(sorted(data.items())),
    )


def variables(
    added: LayerEnvironment, system: SystemName, environ: Mapping[str, str], *, running: bool
) -> dict[str, str]:
    """Return the variables of commands that configure, build or, `running`, test a project.

    Lists that `environ` has already stay, behind ours.
    """
    lists = {
        "PATH": added.programs,
        "CMAKE_PREFIX_PATH": added.prefixes,
        "PKG_CONFIG_PATH": added.pkg_config,
        "ACLOCAL_PATH": added.aclocal,
        "PYTHONPATH": added.python,
        "PERL5LIB": added.perl,
    }
    if running:
        lists["LD_LIBRARY_PATH"] = added.libraries
    if system not in _FLAGS:
        lists |= {
            "C_INCLUDE_PATH": added.include,
            "CPLUS_INCLUDE_PATH": added.include,
            "LIBRARY_PATH": added.libraries,
            "LD_RUN_PATH": added.libraries,
        }
    found = {
        name: os.pathsep.join((*ours, *_kept(environ.get(name), ours)))
        for name, ours in lists.items()
        if ours
    }
    if system in (SystemName.MESON, SystemName.AUTOTOOLS):
        found |= {
            name: " ".join((*_words(environ.get(name), ours), *ours))
            for name, ours in (
                ("CPPFLAGS", added.preprocessor_flags),
                ("LDFLAGS", added.linker_flags),
            )
            if ours
        }
    return found | {name: value for name, value in added.data if name not in environ}


def options(added: LayerEnvironment, system: SystemName) -> tuple[str, ...]:
    """Return what a configuration is told; with nothing added, what takes it back."""
    if system is not SystemName.CMAKE:
        return ()
    include, libraries = ";".join(added.include), " ".join(added.linker_flags)
    passed_on = ";".join(_CMAKE_PASSED_ON) if include or libraries else ""
    values = (include, include, libraries, libraries, passed_on, ";".join(added.libraries))
    return tuple(
        f"-D{name}:STRING={value}" if value else f"-U{name}"
        for name, value in zip(CMAKE_VARIABLES, values, strict=True)
    )


def merged(ours: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """Return our options of CMake with a person's, which come last and lose nothing of ours."""
    found = list(given)
    for option in ours:
        name, _, value = option.removeprefix("-D").removeprefix("-U").partition("=")
        name = name.partition(":")[0]
        separator = " " if name.endswith("_LIBRARIES") else ";"
        for index, other in enumerate(found):
            head, equals, theirs = other.partition("=")
            if value and equals and head.partition(":")[0] == f"-D{name}":
                found[index] = f"{head}={theirs}{separator}{value}"
    return (*ours, *found)


def with_words(given: Sequence[str], added: Mapping[str, str]) -> tuple[str, ...]:
    """Return words for `configure`, which believes CPPFLAGS=… more than the variable."""
    pairs = ((word, added.get(word.partition("=")[0])) for word in given)
    return tuple(f"{word} {more}" if more and "=" in word else word for word, more in pairs)


def _kept(before: str | None, ours: Sequence[str]) -> list[str]:
    return [entry for entry in (before or "").split(os.pathsep) if entry and entry not in ours]


def _words(before: str | None, ours: Sequence[str]) -> list[str]:
    """Return the words that were there, less ours where they were added before."""
    text = (before or "").replace(" ".join(ours), " ")
    return text.split()
