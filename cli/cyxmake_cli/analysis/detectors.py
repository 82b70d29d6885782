"""Finds the build system of a directory and says how to get a `build.ninja` or Makefile out of it.

Knows nothing of clusters and runs nothing: `configure_command` is data for whoever runs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from cyxmake_common.errors import ProjectError

_MAKEFILES: Final = ("GNUmakefile", "makefile", "Makefile")
_CONFIGURED: Final = "config.status"
_AUTOCONF: Final = ("configure.ac", "configure.in")


class BuildSystem(StrEnum):
    """Build systems that can hand over a ninja graph, or that call compilers by name."""

    CMAKE = "cmake"
    MESON = "meson"
    NINJA = "ninja"
    AUTOTOOLS = "autotools"
    MAKE = "make"

    @property
    def uses_make(self) -> bool:
        """Tell whether `make` does the build: there is no graph to be had."""
        return self in (BuildSystem.AUTOTOOLS, BuildSystem.MAKE)


@dataclass(frozen=True, slots=True)
class Project:
    """A project, where it builds, and the argv that configures it (None: that is done).

    The argv of AUTOTOOLS is to be run in `build`, which may not exist yet.
    """

    system: BuildSystem
    source: Path
    build: Path
    configure_command: tuple[str, ...] | None


def detect(directory: Path, build_dir: Path | None, options: tuple[str, ...] = ()) -> Project:
    """Detect the project in `directory`; raises ProjectError when there is nothing to build.

    `build_dir` is relative to `directory` unless absolute; its default is `directory` itself when a
    `build.ninja` or a Makefile stands there, else `build`. `options` are handed to the
    configuration step.
    """
    if not directory.is_dir():
        raise ProjectError(f"{directory} is not a directory")
    directory = Path(_absolute(directory))
    if build_dir is None:
        in_source = (directory / "build.ninja").is_file()
        build = directory if in_source else directory / "build"
    else:
        build = Path(_absolute(directory / build_dir))
    if (build / "build.ninja").is_file():
        return Project(_system_of(build), _source_of(build, directory), build, None)
    if (build / _CONFIGURED).is_file() or (not build_dir and (directory / _CONFIGURED).is_file()):
        # Whoever ran `configure` has chosen between it and the project's other build systems.
        return _detect_make(directory, build if build_dir else None, options)
    if (directory / "CMakeLists.txt").is_file():
        if _generator_of(build) not in ("", "Ninja"):
            raise ProjectError(
                f"{build} is configured for {_generator_of(build)}, not for Ninja",
                next_step="name another directory with --build-dir",
            )
        argv = ("cmake", "-S", str(directory), "-B", str(build), "-G", "Ninja", *options)
        return Project(BuildSystem.CMAKE, directory, build, argv)
    if (directory / "meson.build").is_file():
        argv = ("meson", "setup", *options, str(build), str(directory))
        return Project(BuildSystem.MESON, directory, build, argv)
    return _detect_make(directory, build if build_dir else None, options)


def _detect_make(directory: Path, build: Path | None, options: tuple[str, ...]) -> Project:
    """Detect what `make` builds; `build` is the build directory if one was named."""
    configure = (directory / "configure").is_file()
    for place in (directory, directory / "build") if build is None else (build,):
        if any((place / name).is_file() for name in _MAKEFILES):
            if place != directory and not configure:
                continue  # some folder that is called "build", and none of ours
            system = BuildSystem.AUTOTOOLS if configure else BuildSystem.MAKE
            return Project(system, directory, place, None)
    from_autoconf = any((directory / name).is_file() for name in _AUTOCONF)
    if configure:
        # A configure script written by hand seldom works from another directory.
        build = build or (directory / "build" if from_autoconf else directory)
        argv = (_relative(directory / "configure", build), *options)
        return Project(BuildSystem.AUTOTOOLS, directory, build, argv)
    if from_autoconf:
        raise ProjectError(
            f"{directory} has no configure script yet", next_step="run `autoreconf --install` there"
        )
    raise ProjectError(
        f"no CMakeLists.txt, meson.build, build.ninja, configure or Makefile in {directory}",
        next_step="name the project with -C DIR, or its build directory with --build-dir",
    )


def _relative(path: Path, start: Path) -> str:
    """Return a path as somebody who stands in `start` would type it."""
    import os.path

    text = os.path.relpath(path, start)
    return text if "/" in text else f"./{text}"


def _absolute(path: Path) -> str:
    # Not resolve(): symlinks stay as they are spelled, so that outputs equal a local build's.
    import os.path

    return os.path.abspath(path)  # noqa: PTH100


def _system_of(build: Path) -> BuildSystem:
    if (build / "CMakeCache.txt").is_file():
        return BuildSystem.CMAKE
    if (build / "meson-info").is_dir():
        return BuildSystem.MESON
    return BuildSystem.NINJA


def _source_of(build: Path, directory: Path) -> Path:
    """Return the source directory that a build directory belongs to."""
    home = _cmake_cache(build, "CMAKE_HOME_DIRECTORY")
    return Path(home) if home else directory


def _generator_of(build: Path) -> str:
    return _cmake_cache(build, "CMAKE_GENERATOR")


def _cmake_cache(build: Path, name: str) -> str:
    try:
        text = (build / "CMakeCache.txt").read_text("utf-8", "replace")
    except OSError:
        return ""
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return line.partition("=")[2].strip()
    return ""
