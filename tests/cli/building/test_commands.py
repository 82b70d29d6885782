"""`build`, `test`, `install`, `history`, `logs`: every option has its effect, on real tools."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from support.processes import environment, python


class Project:
    """A project in a directory of its own, and the command line in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.environment = environment(CYXMAKE_CONFIG_DIR=str(folder / "config"))

    def write(self, **files: str) -> Project:
        """Write files: `_` in a keyword stands for a dot."""
        for name, text in files.items():
            self.at(name.replace("_", ".")).write_text(text)
        return self

    def at(self, name: str) -> Path:
        """Return a path in the project; its folder exists."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def run(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; it must end as expected."""
        done = subprocess.run(
            python("cyxmake_cli.main", arguments[0], "-C", str(self.folder), *arguments[1:]),
            env=self.environment, capture_output=True, text=True, check=False, input="",
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """Run a command with --json; stdout is one document."""
        found: dict[str, Any] = json.loads(self.run(*arguments, "--json", status=status).stdout)
        return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return an empty project."""
    return Project(tmp_path)


_CMAKE = """\
cmake_minimum_required(VERSION 3.16)
project(app C)
add_executable(one one.c)
add_executable(two one.c)
enable_testing()
add_test(NAME works COMMAND one)
install(TARGETS one DESTINATION bin)
file(WRITE "${CMAKE_BINARY_DIR}/seen.txt" "${CMAKE_BUILD_TYPE} ${EXTRA}")
"""
_MAIN = '#include <stdlib.h>\nint main(void) { return getenv("FAIL") ? 3 : 0; }\n'


def test_a_cmake_project_from_nothing_to_installed(project: Project, tmp_path: Path) -> None:
    """Type, target, directory, options, tests and installation, one after the other."""
    project.at("CMakeLists.txt").write_text(_CMAKE)
    project.at("one.c").write_text(_MAIN)
    found = project.json(
        "build", "--type", "release", "--build-dir", "out/r", "--option=-DEXTRA=7", "one"
    )
    assert found["status"] == "ok"
    assert [c["verb"] for c in found["commands"]] == ["configure", "build"]
    assert project.at("out/r/seen.txt").read_text() == "Release 7"
    assert project.at("out/r/one").exists()
    assert not project.at("out/r/two").exists()
    # The same again configures nothing; another type does, and keeps the option.
    again = project.json("build", "--type", "release", "--build-dir", "out/r")
    assert [c["verb"] for c in again["commands"]] == ["build"]
    project.run("build", "--type", "debug", "--build-dir", "out/r")
    assert project.at("out/r/seen.txt").read_text() == "Debug 7"
    assert project.json("test", "--build-dir", "out/r")["exit_code"] == 0
    project.environment["FAIL"] = "1"
    failed = project.json("test", "--build-dir", "out/r", status=1)
    assert failed["commands"][-1]["exit_code"] == 8  # ctest's own
    prefix = tmp_path / "prefix"
    project.run("install", "--prefix", str(prefix), "--build-dir", "out/r", status=5)
    assert not prefix.exists()


def test_settings_choose_type_directory_and_system(project: Project) -> None:
    """What options say can stand in cyxmake.toml; an option wins."""
    project.at("CMakeLists.txt").write_text(_CMAKE)
    project.at("one.c").write_text(_MAIN)
    project.at("Makefile").write_text("all:\n\techo by make > made\n")
    project.at("cyxmake.toml").write_text('[build]\ntype = "minsizerel"\ndirectory = "b"\n')
    project.run("build", "one")
    assert project.at("b/seen.txt").read_text() == "MinSizeRel "
    project.at("cyxmake.toml").write_text('[build]\nsystem = "make"\n')
    project.run("build")
    assert project.at("made").read_text() == "by make\n"
    assert "no build type" in project.run("build", "--type", "debug", status=2).stderr
    project.at("cyxmake.toml").write_text('[build]\nsystem = "brew"\n')
    assert "cyxmake.toml:2" in project.run("build", status=3).stderr


def test_output_is_shown_as_wanted(project: Project) -> None:
    """Quiet shows failures only, verbose the commands, JSON leaves stdout to the document."""
    project.at("Makefile").write_text(
        "all:\n\t@printf '\\033[31mto stdout\\033[0m\\n'\n\t@echo to stderr >&2\n\t@exit $(CODE)\n"
    )
    good = project.run("build", "--option", "CODE=0")
    assert "to stdout" in good.stdout
    assert "\x1b" not in good.stdout
    assert "to stderr" in good.stderr
    assert "$ make" in project.run("build", "-v", "--option", "CODE=0").stdout
    quiet = project.run("build", "-q", "--option", "CODE=0")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    failed = project.run("build", "-q", "--option", "CODE=7", status=1)
    assert "to stdout" in failed.stdout
    assert "exit status 2" in failed.stdout  # make's own
    document = project.json("build", "--option", "CODE=7", status=1)
    assert document["commands"][0]["exit_code"] == 2
    project.environment["CLICOLOR_FORCE"] = "1"
    assert "\x1b[31m" in project.run("build", "--option", "CODE=0").stdout
    plain = project.run("build", "--no-color", "--option", "CODE=0")
    assert "\x1b" not in plain.stdout


def test_a_dry_run_does_nothing(project: Project) -> None:
    """The commands are shown, and not even our own folder is made."""
    project.at("Makefile").write_text("all:\n\ttouch made\n")
    assert "make -C" in project.run("build", "--dry-run").stdout
    plan = project.json("build", "--dry-run")["plan"]
    assert plan[0]["argv"][0] == "make"
    assert [path.name for path in project.folder.iterdir()] == ["Makefile"]


def test_history_and_logs_tell_of_builds(project: Project) -> None:
    """Each build has a record and its output, failed ones too; an unknown id is wrong usage."""
    project.at("Makefile").write_text("all:\n\t@echo built $(WHAT)\n\t@exit $(CODE)\n")
    project.run("build", "--option", "WHAT=first", "--option", "CODE=0")
    second = project.json("build", "--option", "WHAT=second", "--option", "CODE=1", status=1)
    builds = project.json("history")["builds"]
    assert [b["status"] for b in builds] == ["ok", "build_failed"]
    assert "built second" in project.run("logs").stdout
    assert "built first" in project.run("logs", builds[0]["id"]).stdout
    assert second["build"] == builds[1]["id"]
    assert "cyxmake history" in project.run("logs", "never", status=2).stderr


def test_an_interrupt_ends_the_tool_and_is_told(project: Project, tmp_path: Path) -> None:
    """Ctrl-C leaves no process behind, and the status is 130."""
    project.at("Makefile").write_text("all:\n\techo $$$$ > pid; sleep 60\n")
    process = subprocess.Popen(
        python("cyxmake_cli.main", "build", "-C", str(project.folder)), env=project.environment
    )
    pid = project.at("pid")
    end = time.monotonic() + 30
    while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_missing_tool_is_named(project: Project, tmp_path: Path) -> None:
    """Without the build tool nothing is started, and it is said which one is wanted."""
    project.at("SConstruct").write_text("")
    bare = tmp_path / "bin"
    bare.mkdir()
    project.environment["PATH"] = str(bare)
    done = project.run("build", status=1)
    assert "scons" in done.stderr
    assert "next:" in done.stderr


def test_a_failure_names_its_cause(project: Project) -> None:
    """Below a tool's output stands why it failed, from `build` and from `dbuild`."""
    project.at("CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(app C)\nadd_executable(one one.c)\n"
    )
    project.at("one.c").write_text(
        "#include <cyxmake_test/never.h>\nint main(void) { return 0; }\n"
    )
    said = "cyxmake: the header cyxmake_test/never.h is missing"
    assert said in project.run("build", status=1).stdout
    assert said in project.run("dbuild", "--local", status=1).stdout


def test_a_build_directory_of_the_settings_is_remembered(project: Project) -> None:
    """`dbuild` notes where it builds if only cyxmake.toml says so; the gate hears of settings."""
    project.at("CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(app C)\nadd_executable(one one.c)\n"
    )
    project.at("one.c").write_text("int main(void) { return 0; }\n")
    done = subprocess.run(
        python("cyxmake_cli.main", "config", "set", "-C", str(project.folder), "--project",
               "build.directory", "out"),
        env=project.environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "cyxmake.toml" in done.stdout
    project.run("dbuild", "--local")
    assert (project.folder / "out/one").exists()
    (record,) = project.json("history")["builds"]
    assert record["build_directory"] == str(project.folder / "out")
    audit = subprocess.run(
        python("cyxmake_cli.main", "audit"),
        env=project.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "set build.directory in" in audit.stdout


def test_a_plan_of_a_person_is_followed(project: Project) -> None:
    """Commands in .cyxmake/plan.json replace those of the system; mistakes are named."""
    project.at("Makefile").write_text("all:\n\techo wrong\n")
    plan = project.at(".cyxmake/plan.json")
    plan.write_text(json.dumps({
        "version": 1, "system": "make",
        "commands": {"build": ["make -C {build} {jobs} -f other.mk {targets}"]},
    }))  # fmt: skip
    project.at("other.mk").write_text("x:\n\techo $(MAKEFLAGS) > made\n")
    project.run("build", "-j3", "x")
    assert "-j3" in project.at("made").read_text()
    plan.write_text('{"system": "make", "commands": {"build": "make"}}')
    assert "plan.json" in project.run("build", status=3).stderr


def test_sources_that_cannot_be_written_to_are_built_elsewhere(
    project: Project, tmp_path: Path
) -> None:
    """Where nothing can be remembered in the project, the build itself is none the worse."""
    project.at("CMakeLists.txt").write_text(_CMAKE)
    project.at("one.c").write_text(_MAIN)
    project.at(".cyxmake").write_text("a file where the folder should be")
    project.run("build", "--build-dir", str(tmp_path / "out"), "--type", "debug")
    assert (tmp_path / "out/one").exists()
    assert project.at(".cyxmake").read_text() == "a file where the folder should be"


_SAMPLES: dict[str, tuple[dict[str, str], str, str]] = {
    "meson": (
        {"meson.build": "project('a', 'c')\nexecutable('app', 'a.c')\n", "a.c": _MAIN},
        "meson", "build/app",
    ),
    "ninja": ({"build.ninja": "rule c\n command = cp $in $out\nbuild app: c in\n", "in": "x"},
              "ninja", "app"),
    "autotools": (
        {"configure": "#!/bin/sh\nprintf 'all:\\n\\ttouch app\\n' > Makefile\n: > config.status\n",
         "configure.ac": "AC_INIT([a],[1])\n"},
        "make", "build/app",
    ),
    "cargo": (
        {"Cargo.toml": '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n',
         "src/main.rs": "fn main() {}\n"},
        "cargo", "target/debug/app",
    ),
    "go": ({"go.mod": "module example.org/app\n\ngo 1.20\n", "main.go": "package main\n\n"
            "func main() {}\n"}, "go", "bin/app"),
    "npm": (
        {"package.json": '{"name": "a", "version": "1.0.0", "scripts": {"build": '
         '"node build.js"}}', "build.js": "require('fs').writeFileSync('app', 'x')\n"},
        "npm", "app",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _SAMPLES)
def test_a_small_project_of_each_tool_builds(project: Project, name: str) -> None:
    """Each build system that is installed builds its sample, again without harm, and is cleaned."""
    files, tool, product = _SAMPLES[name]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    for file, text in files.items():
        project.at(file).write_text(text)
        project.at(file).chmod(0o755)
    project.environment["HOME"] = os.environ.get("HOME", "/root")
    assert project.json("build")["system"] == name
    assert project.at(product).exists()
    project.run("build")
    project.run("clean", "--yes")
    assert not project.at(product).exists()
    for file, text in files.items():
        assert project.at(file).read_text() == text
