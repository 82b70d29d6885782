"""Which build system a directory has, and where it builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_cli.analysis.detectors import BuildSystem, detect
from cyxmake_common.errors import ProjectError


def test_cmake_is_configured_into_build(tmp_path: Path) -> None:
    """A fresh CMake project is configured for Ninja; options are handed on."""
    (tmp_path / "CMakeLists.txt").touch()
    project = detect(tmp_path, None, ("-DX=1",))
    assert project.system is BuildSystem.CMAKE
    assert project.build == tmp_path / "build"
    assert project.configure_command is not None
    assert project.configure_command[-3:] == ("-G", "Ninja", "-DX=1")


def test_meson_comes_after_cmake(tmp_path: Path) -> None:
    """A directory with both is a CMake project; with meson.build alone a Meson one."""
    (tmp_path / "meson.build").touch()
    assert detect(tmp_path, None).system is BuildSystem.MESON
    (tmp_path / "CMakeLists.txt").touch()
    assert detect(tmp_path, None).system is BuildSystem.CMAKE


@pytest.mark.parametrize("place", ["", "build", "elsewhere"])
def test_a_project_that_was_configured_by_autotools_stays_so(tmp_path: Path, place: str) -> None:
    """Some projects bring CMake and autotools: the one that somebody ran has been chosen."""
    for name in ("CMakeLists.txt", "configure", "configure.ac"):
        (tmp_path / name).touch()
    named = Path(place) if place == "elsewhere" else None
    before = detect(tmp_path, named)
    assert before.system is BuildSystem.CMAKE
    (tmp_path / place).mkdir(exist_ok=True)
    for name in ("config.status", "Makefile"):
        (tmp_path / place / name).touch()
    project = detect(tmp_path, named)
    assert project.system is BuildSystem.AUTOTOOLS
    assert (project.build, project.configure_command) == (tmp_path / place, None)


def test_an_existing_graph_needs_no_configuration(tmp_path: Path) -> None:
    """A build.ninja in the directory or in the build directory is used as it is."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build/build.ninja").touch()
    assert detect(tmp_path, None).configure_command is None
    (tmp_path / "build.ninja").touch()
    assert detect(tmp_path, None).build == tmp_path


def test_the_source_of_a_cmake_build_directory_is_read_from_its_cache(tmp_path: Path) -> None:
    """Named by its build directory, the project is still the source directory."""
    (tmp_path / "build.ninja").touch()
    (tmp_path / "CMakeCache.txt").write_text("CMAKE_HOME_DIRECTORY:INTERNAL=/src/app\n")
    assert detect(tmp_path, None).source == Path("/src/app")


def test_another_generator_is_refused_with_a_way_out(tmp_path: Path) -> None:
    """A directory configured for make is never reconfigured behind its owner's back."""
    (tmp_path / "CMakeLists.txt").touch()
    (tmp_path / "build").mkdir()
    (tmp_path / "build/CMakeCache.txt").write_text("CMAKE_GENERATOR:INTERNAL=Unix Makefiles\n")
    with pytest.raises(ProjectError, match="Unix Makefiles") as error:
        detect(tmp_path, None)
    assert "--build-dir" in error.value.next_step


def test_nothing_to_build_is_said_plainly(tmp_path: Path) -> None:
    """An empty directory and a missing one are errors with a next step or a name."""
    with pytest.raises(ProjectError, match="no CMakeLists"):
        detect(tmp_path, None)
    with pytest.raises(ProjectError, match="not a directory"):
        detect(tmp_path / "missing", None)
