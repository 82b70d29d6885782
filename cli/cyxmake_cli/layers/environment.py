"""What layers add to configuring, building and testing: variables and options, by build system.

Pure. Where a build system takes flags they go into its command lines, because those say everything
about a compile: they hold on any worker and for a plain `ninja` later. Only where there is nothing
to configure do variables of the compiler stand in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from cyxmake_cli.layers.model import Layer, Layout
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
class LayerEnvironment(Layout):
    """What some layers add, as absolute paths; the first layer is searched first."""

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

    def places(kind: str) -> tuple[str, ...]:
        named = ((each, getattr(each.layout, kind)) for each in layers)
        return tuple(
            dict.fromkeys(f"{each.root}/{name}" for each, names in named for name in names)
        )

    data = {n: f"{layer.root}/{p}" for layer in reversed(layers) for n, p in layer.layout.data}
    kinds = [kind.name for kind in fields(Layout) if kind.name != "data"]
    return LayerEnvironment(**{k: places(k) for k in kinds}, data=tuple(sorted(data.items())))


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


def cmake_values(added: LayerEnvironment) -> dict[str, str]:
    """Return what CMake's cache is to hold; an empty text stands for no entry."""
    include, libraries = ";".join(added.include), " ".join(added.linker_flags)
    passed_on = ";".join(_CMAKE_PASSED_ON) if include or libraries else ""
    values = (include, include, libraries, libraries, passed_on, ";".join(added.libraries))
    return dict(zip(CMAKE_VARIABLES, values, strict=True))


def cmake_script(values: Mapping[str, str]) -> str:
    """Return what `cmake -C` reads: as options, CMake would warn of those that nothing uses."""
    return "".join(
        f'set({name} [==[{value}]==] CACHE STRING "" FORCE)\n'
        if value
        else f"unset({name} CACHE)\n"
        for name, value in values.items()
    )


def merged(values: Mapping[str, str], given: Sequence[str]) -> tuple[str, ...]:
    """Return a person's options of CMake, which count, such that they lose nothing of ours."""
    found = []
    for option in given:
        head, equals, theirs = option.partition("=")
        name = head.partition(":")[0].removeprefix("-D")
        value = values.get(name, "") if head.startswith("-D") and equals else ""
        separator = " " if name.endswith("_LIBRARIES") else ";"
        found.append(f"{head}={theirs}{separator}{value}" if value else option)
    return tuple(found)


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
