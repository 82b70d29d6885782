"""A CMake project with everything CMake uses of ninja: we and the real ninja must agree."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from .shell_executor import NINJA, build, ninja, ninja_build, ninja_planned, planned

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(NINJA is None or shutil.which("cmake") is None, reason="needs cmake"),
]

FILES = {
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.16)
project(sample C CXX)
set_property(GLOBAL PROPERTY JOB_POOLS links=1)
set(CMAKE_JOB_POOL_LINK links)
set(CMAKE_NINJA_FORCE_RESPONSE_FILE ON)
include_directories(${CMAKE_CURRENT_BINARY_DIR} "${CMAKE_CURRENT_SOURCE_DIR}/odd dir")
configure_file(config.h.in config.h)
add_custom_command(OUTPUT generated.h
  COMMAND ${CMAKE_COMMAND} -E copy_if_different ${CMAKE_CURRENT_SOURCE_DIR}/names.txt generated.h
  DEPENDS names.txt)
add_custom_command(OUTPUT table.c table.h BYPRODUCTS stamp.txt
  COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_SOURCE_DIR}/table.in table.c
  COMMAND ${CMAKE_COMMAND} -E touch table.h stamp.txt
  COMMAND ${CMAKE_COMMAND} -E echo "table.c: ${CMAKE_CURRENT_SOURCE_DIR}/extra.txt" > table.d
  DEPENDS table.in DEPFILE table.d)
add_library(part OBJECT a.c "odd dir/b c.c" ${CMAKE_CURRENT_BINARY_DIR}/generated.h)
add_library(stat STATIC table.c $<TARGET_OBJECTS:part>)
add_library(dyn SHARED d.cpp)
add_executable(app main.cpp)
target_link_libraries(app stat dyn)
add_custom_target(always ALL COMMAND ${CMAKE_COMMAND} -E true DEPENDS app)
add_subdirectory(sub)
""",
    "sub/CMakeLists.txt": "add_library(inner STATIC inner.c)\nadd_dependencies(inner always)\n",
    "sub/inner.c": '#include "../a.h"\nint inner(void) { return A; }\n',
    "config.h.in": "#define CONFIGURED 1\n",
    "names.txt": "#define NAME 3\n",
    "table.in": "int table(void) { return 7; }\n",
    "extra.txt": "",
    "a.h": "#define A 1\n",
    "odd dir/b.h": "#define B 2\n",
    "a.c": '#include "a.h"\n#include "generated.h"\n#include "config.h"\n'
    "int a(void) { return A + NAME; }\n",
    "odd dir/b c.c": '#include "b.h"\nint b(void) { return B; }\n',
    "d.cpp": "int d() { return 4; }\n",
    "main.cpp": 'extern "C" int a(void), b(void), table(void);\nint d();\n'
    "int main() { return a() + b() + d() + table(); }\n",
}
DONE = "ninja: no work to do.\n"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configured project; each test builds in it further."""
    root = tmp_path_factory.mktemp("cmake")
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    command = ["cmake", "-G", "Ninja", "-S", str(root), "-B", str(root / "build")]
    subprocess.run(command, check=True, capture_output=True)
    return root


def touch(path: Path) -> None:
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def only_always(root: Path) -> bool:
    """The `always` target never rests; nothing else may be left to do."""
    commands = ninja_planned(root).commands
    return all("cmake -E true" in command for command in commands)


def test_ninja_finds_nothing_to_do_after_our_build(tree: Path) -> None:
    """And the program is there."""
    ran = build(tree / "build")
    assert not ran.failure, ran.output
    assert (tree / "build/app").exists()
    assert only_always(tree / "build")
    assert ninja(tree / "build", "-n", "-d", "explain", "app") == DONE
    assert planned(tree / "build").commands == ninja_planned(tree / "build").commands


def test_we_find_nothing_to_do_after_ninjas_build(tree: Path) -> None:
    """From scratch, by the real ninja."""
    ninja(tree / "build", "-t", "clean")
    ninja_build(tree / "build")
    assert planned(tree / "build", "app").commands == []


def test_every_touched_input_leads_to_the_same_edges(tree: Path) -> None:
    """One input after the other, sources, headers, generated files and CMake's own."""
    root = tree / "build"
    build(root)
    generated = ["build/generated.h", "build/table.c", "build/libstat.a", "build/app"]
    for name in [*FILES, *generated]:
        if name.endswith("CMakeLists.txt") or name == "config.h.in":
            continue
        touch(tree / name)
        expected = ninja_planned(root).commands
        assert planned(root).commands == expected, name
        assert len(expected) > 1 or name == "build/app", name
        twin_commands = len(build(root).commands)
        assert twin_commands <= len(expected)
        assert ninja(root, "-n", "-d", "explain", "app") == DONE, name


def test_every_removed_output_leads_to_the_same_edges(tree: Path) -> None:
    """Missing objects, archives, generated headers."""
    root = tree / "build"
    build(root)
    for path in sorted(root.rglob("*")):
        if path.suffix in (".o", ".a", ".so", ".h", ".c") and path.is_file():
            if "CMakeFiles/3" in str(path) or path.name == "config.h":
                continue
            path.unlink()
            assert planned(root).commands == ninja_planned(root).commands, path
            build(root)
            assert ninja(root, "-n", "-d", "explain", "app") == DONE, path


def test_a_changed_build_description_regenerates_first(tree: Path) -> None:
    """CMake runs through build.ninja's own edge; then changed flags rebuild as with ninja."""
    root = tree / "build"
    build(root)
    lists = tree / "CMakeLists.txt"
    lists.write_text(lists.read_text() + "target_compile_definitions(part PRIVATE EXTRA)\n")
    expected = ninja_planned(root).commands
    assert planned(root).commands == expected
    assert any("--regenerate-during-build" in command for command in expected)
    ran = build(root)
    assert not ran.failure
    compiled = [command for command in ran.commands if " -c " in command]
    assert len(compiled) == 2, compiled  # the flag is in the response files of `part` alone
    assert ninja(root, "-n", "-d", "explain", "app") == DONE
