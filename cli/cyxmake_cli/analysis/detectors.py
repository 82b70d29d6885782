"""Finds the build system of a directory and says how to get a `build.ninja` out of it.

Knows nothing of clusters and runs nothing: `configure_command` is data for whoever runs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cyxmake_common.errors import ProjectError


class BuildSystem(StrEnum):
    """Build systems that can hand over a ninja graph."""

    CMAKE = "cmake"
    MESON = "meson"
    NINJA = "ninja"


@dataclass(frozen=True, slots=True)
class Project:
    """A project, where it builds, and the argv that makes `build.ninja` (None: it is there)."""

    system: BuildSystem
    source: Path
    build: Path
    configure_command: tuple[str, ...] | None


def detect(directory: Path, build_dir: Path | None, options: tuple[str, ...] = ()) -> Project:
    """Detect the project in `directory`; raises ProjectError when there is nothing to build.

    `build_dir` is relative to `directory` unless absolute; its default is `directory` itself when a
    `build.ninja` stands there, else `build`. `options` are handed to the configuration step.
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
    raise ProjectError(
        f"no CMakeLists.txt, meson.build or build.ninja in {directory}",
        next_step="name the project with -C DIR, or its build directory with --build-dir",
    )


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
