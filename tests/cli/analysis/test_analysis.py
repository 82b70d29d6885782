"""What a repository is: every reader on texts of its kind, and all of them on a monorepo."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from cyxmake_cli.analysis.analyse import analyse, as_json, what_changed
from cyxmake_cli.analysis.dependencies import READERS
from cyxmake_cli.analysis.files import files_of
from cyxmake_cli.analysis.installed import Installed
from cyxmake_cli.analysis.languages import language_of
from cyxmake_cli.analysis.model import Dependency
from support.processes import environment, python


def write(root: Path, files: dict[str, str]) -> Path:
    """Write files below a directory."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("path", "text", "language"),
    [
        ("a.h", "int f(void);\n", "C"),
        ("a.h", "#include <string>\n", "C++"),
        ("a.h", "/* A class of things: none. */\nstruct s;\n", "C"),
        ("a.h", "namespace x {\n", "C++"),
        ("a.h", "@interface A\n", "Objective-C"),
        ("a.C", "", "C++"),
        ("a.m", "#import <x.h>\n", "Objective-C"),
        ("a.m", "function y = f(x)\n", "MATLAB"),
        ("a.pl", "use strict;\n", "Perl"),
        ("a.pl", ":- use_module(x).\n", "Prolog"),
        ("a.ts", "const x = 1;\n", "TypeScript"),
        ("a.ts", '<?xml version="1.0"?><TS>\n', ""),
        ("a.v", "module top(input a);\n", "Verilog"),
        ("a.v", "Require Import List.\n", "Coq"),
        ("a.d", "module a.b;\n", "D"),
        ("a.d", "a.o: a.c\n", ""),
        ("tool", "#!/usr/bin/env python3\n", "Python"),
        ("tool", "#!/bin/sh -e\n", "Shell"),
        ("LICENSE", "All rights\n", ""),
        ("SConstruct", "", "Python"),
        ("x/CMakeLists.txt", "", "CMake"),
        (".bashrc", "", ""),
    ],
)
def test_languages_are_told_by_content_where_the_ending_is_not_enough(
    path: str, text: str, language: str
) -> None:
    """Headers, shared endings and scripts without one are looked into."""
    assert language_of(path, lambda: text) == language


_MANIFESTS: dict[str, tuple[str, str]] = {
    "CMakeLists.txt": (
        "find_package(ZLIB 1.2 REQUIRED) # find_package(No)\nfind_package(Boost COMPONENTS x)\n"
        "find_package(Threads)\n#[[ find_package(Never) ]]\n"
        "pkg_check_modules(X REQUIRED glib-2.0>=2.50 ${more})\nfind_package(${NAME})\n"
        "FetchContent_Declare(json GIT_REPOSITORY u GIT_TAG v3)\n",
        "ZLIB 1.2 run 1|Boost  optional 2|glib-2.0 >=2.50 run 5|json v3 build 7",
    ),
    "meson.build": (
        "project('x')\n# dependency('no')\nd = dependency('gtk+-3.0', version: '>=3.2',\n"
        "  required: false)\ncc.find_library('lz4')\ndependency('threads')\n",
        "gtk+-3.0 >=3.2 optional 3|lz4  run 5",
    ),
    "configure.ac": (
        "AC_INIT([x],[1])\ndnl PKG_CHECK_MODULES([N],[no])\n"
        "PKG_CHECK_MODULES([A], [libxml-2.0 >= 2.9 zlib])\nAC_CHECK_LIB([event], [f])\n"
        "AC_SEARCH_LIBS([dlopen], [dl dld])\n",
        "libxml-2.0 >=2.9 run 3|zlib  run 3|event  optional 4|dld  optional 5",
    ),
    "vcpkg.json": (
        '{"name": "zlib",\n"dependencies": ["zlib",\n {"name": "fmt", "version>=": "9"},\n'
        ' {"name": "vcpkg-cmake", "host": true}]}',
        "zlib  run 2|fmt >=9 run 3|vcpkg-cmake  build 4",
    ),
    "conanfile.txt": (
        "[requires]\nzlib/1.3.1\nboost/[>=1.80]@user/ch\n[tool_requires]\ncmake/3.27 # c\n"
        "[options]\nx/*:a=1\n",
        "zlib 1.3.1 run 2|boost [>=1.80] run 3|cmake 3.27 build 5",
    ),
    "conanfile.py": (
        'class A(ConanFile):\n    requires = "zlib/1.3", "fmt/10"\n'
        '    def build_requirements(self):\n'
        '        self.tool_requires("cmake/3.27")\n',
        "cmake 3.27 build 4|zlib 1.3 run 2|fmt 10 run 2",
    ),
    "MODULE.bazel": (
        'module(name = "a")\nbazel_dep(name = "rules_cc", version = "0.1")\n'
        'bazel_dep(\n  name = "gtest",\n  version = "1", dev_dependency = True)\n',
        "rules_cc 0.1 run 2|gtest 1 dev 3",
    ),
    "Cargo.toml": (
        '[package]\nname = "a"\n[dependencies]\nserde = { version = "1", features = ["x"] }\n'
        'own = { path = "../own" }\nlog = "0.4"\nextra = { version = "2", optional = true }\n'
        '[dev-dependencies]\nrand = "0.8"\n[target.\'cfg(unix)\'.dependencies]\nlibc = "0.2"\n'
        'shared.workspace = true\n',
        "serde 1 run 4|log 0.4 run 6|extra 2 optional 7|rand 0.8 dev 9|libc 0.2 run 11",
    ),
    "package.json": (
        '{"name": "a",\n"dependencies": {"left-pad": "^1.0.0",\n "mine": "workspace:*"},\n'
        '"devDependencies": {\n"@types/node": "20"}}',
        "left-pad ^1.0.0 run 2|@types/node 20 dev 5",
    ),
    "pyproject.toml": (
        '[build-system]\nrequires = ["hatchling>=1"]\n[project]\nname = "a"\ndependencies = [\n'
        '"Click[x]>=8,<9 ; python_version > \'3\'",\n"rich"]\n[project.optional-dependencies]\n'
        't = ["pytest"]\n[dependency-groups]\nd = ["ruff", {include-group = "t"}]\n',
        "Click >=8,<9 run 6|rich  run 7|hatchling >=1 build 2|pytest  optional 9|ruff  dev 11",
    ),
    "requirements-dev.txt": (
        "# a\n-r other.txt\nmypy==1.0  # why\nurl @ https://x/y\n\ntox\n",
        "mypy ==1.0 dev 3|tox  dev 6"
    ),
    "go.mod": (
        "module m\n\ngo 1.22\n\nrequire golang.org/x/text v0.14.0\n\nrequire (\n"
        "\tgithub.com/A/b v1.0.0\n"
        "\tgithub.com/c/d v2.0.0 // indirect\n)\n\nreplace (\n\tgithub.com/q/r v1.0.0 => ./r\n)\n",
        "golang.org/x/text v0.14.0 run 5|github.com/A/b v1.0.0 run 8",
    ),
    "pom.xml": (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><groupId>org.own</groupId>\n'
        "<properties><g.v>31</g.v></properties><dependencies>\n"
        "<dependency><groupId>com.google</groupId><artifactId>guava</artifactId>"
        "<version>${g.v}</version></dependency>\n<dependency><groupId>junit</groupId>"
        "<artifactId>junit</artifactId><version>4</version><scope>test</scope></dependency>\n"
        "<dependency><groupId>${project.groupId}</groupId><artifactId>own</artifactId></dependency>"
        "</dependencies></project>",
        "com.google:guava 31 run 3|junit:junit 4 dev 4",
    ),
    "build.gradle.kts": (
        'dependencies {\n    implementation("com.google.guava:guava:31.0")\n'
        '    testImplementation("junit:junit:4.13")\n    api(project(":x"))\n}\n',
        "com.google.guava:guava 31.0 run 2|junit:junit 4.13 dev 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _MANIFESTS)
def test_manifests_say_what_is_needed(name: str) -> None:
    """Name, requirement, kind and line of every dependency; comments and variables are none."""
    text, wanted = _MANIFESTS[name]
    pattern = "requirements*.txt" if name.startswith("requirements") else name
    found = dict(READERS)[pattern](name, text)
    assert [f"{d.name} {d.requirement} {d.kind} {d.line}" for d in found] == wanted.split("|")


@pytest.mark.parametrize("name", sorted({pattern.replace("*", "x") for pattern, _ in READERS}))
@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[", "<", "\0\xff", "[[[[", "a(" * 5000, '{"dependencies": 7}', "require (",
        '[dependencies]\nx = 1\n[project]\ndependencies = "x"', "[" * 100_000,
        '<!DOCTYPE p [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]><project>&b;</project>',
        '<!DOCTYPE p [<!ENTITY f SYSTEM "file:///etc/passwd">]><project>&f;</project>',
    ],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_a_manifest_that_is_none_says_nothing(name: str, text: str) -> None:
    """Whatever a stranger's file holds, reading it ends soon, without error or entities."""
    start = time.process_time()
    for pattern, reader in READERS:
        if pattern.replace("*", "x") == name:
            assert all("root:" not in d.requirement for d in reader(name, text))
    assert time.process_time() - start < 2


_MONOREPO = {
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.20)\n"
    "project(Engine VERSION 2.1 DESCRIPTION \"An engine\")\nset(CMAKE_CXX_STANDARD 20)\n"
    "find_package(ZLIB)\nadd_subdirectory(core)\n",
    "core/CMakeLists.txt": "project(Core)\nadd_library(core core.cpp)\nadd_executable(tool t.cpp)\n"
    "find_package(core)\nadd_library(x::core ALIAS core)\n",
    "core/core.cpp": "int x;\n" * 200,
    "core/core.h": "class X {};\n",
    "web/package.json": '{"name": "web", "scripts": {"build": "tsc"}, "workspaces": ["p"],\n'
    '"packageManager": "yarn@4.1.0+sha224.x", "engines": {"node": ">=20"}}',
    "web/yarn.lock": "",
    "web/p/package.json": '{"name": "p", "scripts": {"build": "tsc"}}',
    "rust/Cargo.toml": '[workspace]\nmembers = ["a"]\n',
    "rust/a/Cargo.toml": '[package]\nname = "a"\nversion = "1"\n',
    "rust/a/src/main.rs": "fn main() {}\n",
    "go/go.mod": "module example.org/tool\n",
    "go/cmd/serve/main.go": "package main\n",
    "py/pyproject.toml": '[project]\nname = "py"\n',
    "third_party/lib/CMakeLists.txt": "project(lib)\nfind_package(Never REQUIRED)\n",
    "tests/CMakeLists.txt": "project(t)\n",
    "node_modules/x/package.json": "{}",
    ".tool-versions": "# tools\njava 21\n",
    "README.md": "Text with make in it.\n\n```sh\n$ cmake -S . -B build \\\n    -G Ninja\nls\n```\n"
    "    make -j4\n",
    ".github/workflows/ci.yml": "on: push\njobs:\n  b:\n    steps:\n"
    "      - run: cmake --build build\n"
    "      - run: |\n          sudo apt-get install -y zlib1g-dev\n          echo hi\n"
    "          ctest\n",
}  # fmt: skip


@pytest.fixture
def monorepo(tmp_path: Path) -> Path:
    """A repository with five build systems, other people's code and git."""
    root = write(tmp_path / "engine", _MONOREPO)
    for argv in (["init", "-q", "-b", "main"], ["add", "-A"],
                 ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
                 ["remote", "add", "origin", "https://me:secret@host/x.git"]):  # fmt: skip
        subprocess.run(["git", *argv], cwd=root, check=True)
    (root / "new.txt").touch()
    return root


def test_a_monorepo_is_seen_as_its_parts(monorepo: Path) -> None:
    """Every field of the analysis of a repository with several build systems."""
    found = analyse(monorepo)
    assert (found.name, found.project_version, found.description) == ("Engine", "2.1", "An engine")
    assert [(c.directory, c.system) for c in found.components] == [
        (".", "cmake"), ("go", "go"), ("py", "python"), ("rust", "cargo"), ("web", "yarn"),
    ]  # fmt: skip
    assert found.components[0].evidence == ({"file": "CMakeLists.txt", "line": 2},)
    assert found.languages[0].name == "C++"
    counts = {one.name: one.files for one in found.languages}
    assert counts == {"C++": 2, "CMake": 4, "Rust": 1, "Go": 1}
    names = [(t.name, t.kind) for t in found.targets]
    assert names == [
        ("core", "library"), ("tool", "executable"), ("serve", "executable"), ("py", "package"),
        ("a", "executable"), ("build", "script"), ("build", "script"),
    ]  # fmt: skip
    assert [d.name for d in found.dependencies] == ["ZLIB"]
    assert [(v.tool, v.version) for v in found.versions] == [
        ("java", "21"), ("cmake", "3.20"), ("c++", "20"),
    ]  # fmt: skip
    assert [(h.command, h.source, h.line) for h in found.hints] == [
        ("cmake --build build", "ci", 5),
        ("sudo apt-get install -y zlib1g-dev", "ci", 7),
        ("ctest", "ci", 9),
        ("cmake -S . -B build -G Ninja", "readme", 4),
        ("make -j4", "readme", 8),
    ]
    assert found.git is not None
    assert (found.git["branch"], found.git["changed"], found.git["untracked"]) == ("main", 0, 1)
    assert found.git["remotes"] == {"origin": "https://host/x.git"}


def test_an_analysis_holds_until_something_it_read_has_other_bytes(monorepo: Path) -> None:
    """A touched file changes nothing; the same size and time with other bytes does."""
    cached: dict[str, Any] = json.loads(json.dumps(as_json(analyse(monorepo))))
    manifest = monorepo / "CMakeLists.txt"
    manifest.touch()
    assert not what_changed(cached, files_of(monorepo))
    stat, text = manifest.stat(), manifest.read_text()
    manifest.write_text(text.replace("Engine", "Motors"))
    import os

    os.utime(manifest, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert what_changed(cached, files_of(monorepo)).changed == ("CMakeLists.txt",)
    manifest.write_text(text)
    header = monorepo / "core/core.h"
    header.write_text("struct X {};"[:11] + "\n")
    assert what_changed(cached, files_of(monorepo)).changed == ("core/core.h",)
    header.unlink()
    (monorepo / "core/more.cpp").touch()
    changed = what_changed(cached, files_of(monorepo))
    assert (changed.added, changed.removed) == (("core/more.cpp",), ("core/core.h",))
    assert what_changed({}, files_of(monorepo))


def test_what_is_installed_is_found_where_each_ecosystem_keeps_it(tmp_path: Path) -> None:
    """pkg-config, CMake, libraries, crates, npm, Python, Go and Maven, present and absent."""
    root = write(tmp_path / "p", {
        "node_modules/left-pad/package.json": '{"version": "1.3.0"}',
        ".venv/lib/python3.11/site-packages/Ruamel_Yaml-1.2.dist-info/METADATA": "",
    })  # fmt: skip
    home = write(tmp_path / "home", {
        ".local/lib/pkgconfig/foo.pc": "Name: foo\nVersion: 2.5\n",
        ".local/lib/cmake/Bar-3.1/BarConfig.cmake": "",
        ".local/lib/libbaz.so": "", ".local/lib/libonlyrun.so.1": "",
        ".cargo/registry/src/index/serde-1.0.9/Cargo.toml": "",
        "go/pkg/mod/github.com/!a/b@v1.0.0/go.mod": "",
        ".m2/repository/com/google/guava/31/guava-31.jar": "",
    })  # fmt: skip
    wanted = [
        ("pkg-config", "foo", ""), ("pkg-config", "absent-x", ""), ("cmake", "Bar", ""),
        ("cmake", "foo", ""), ("cmake", "AbsentX", ""), ("library", "baz", ""),
        ("library", "onlyrun", ""), ("cargo", "serde", "1"), ("cargo", "serde-json", "1"),
        ("npm", "left-pad", "^1"), ("npm", "right-pad", "^1"), ("python", "ruamel.yaml", ""),
        ("python", "absent", ""), ("go", "github.com/A/b", "v1.0.0"),
        ("go", "github.com/A/b", "v1.1.0"), ("maven", "com.google:guava", "31"),
        ("maven", "com.google:guava", "32"), ("bazel", "rules_cc", ""),
    ]  # fmt: skip
    asked = [Dependency(name, eco, "m", 1, wish) for eco, name, wish in wanted]
    found = Installed(root, {"HOME": str(home), "PATH": "/usr/bin"}).check(asked)
    assert [d.installed for d in found] == [
        True, False, True, True, False, True, False, True, False, True, False, True, False, True,
        False, True, False, None,
    ]  # fmt: skip
    assert [d.version for d in found if d.version] == ["2.5", "2.5", "1.0.9", "1.3.0", "1.2",
                                                       "v1.0.0", "31"]  # fmt: skip


def test_init_writes_what_it_found(monorepo: Path, tmp_path: Path) -> None:
    """The command writes the cache, says what changed since, and writes a plan that is followed."""

    def cyxmake(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            python("cyxmake_cli.main", "init", "-C", str(monorepo), *arguments),
            env=environment(CYXMAKE_CONFIG_DIR=str(tmp_path)), capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    assert cyxmake("--check").returncode == 1
    assert not (monorepo / ".cyxmake").exists()
    shown = cyxmake("--plan")
    assert shown.returncode == 0, shown.stderr
    assert "cmake in . (CMakeLists.txt:2, 95%)" in shown.stdout
    assert json.loads((monorepo / ".cyxmake/cache.json").read_text())["name"] == "Engine"
    plan = json.loads((monorepo / ".cyxmake/plan.json").read_text())
    assert plan["system"] == "cmake"
    assert plan["commands"]["build"] == ["cmake --build '{build}' '{jobs}' '{verbose}' '{targets}'"]
    assert cyxmake("--check").returncode == 0
    status = subprocess.run(["git", "status", "--short"], cwd=monorepo, capture_output=True,
                            text=True, check=True)  # fmt: skip
    assert ".cyxmake" not in status.stdout
    (monorepo / "Makefile").write_text("all:\n")
    assert "new Makefile" in cyxmake("--check").stdout
    assert json.loads(cyxmake("--json").stdout)["components"][0]["others"] == ["make"]


def test_a_thousand_files_take_no_time(tmp_path: Path) -> None:
    """An analysis of 1,000 files, a third of them headers, takes well under 0.3 s of processor."""
    for number in range(1000):
        ending = ("h", "cpp", "py")[number % 3]
        path = tmp_path / f"d{number % 40}/f{number}.{ending}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"// file {number}\nint f{number}(int a, int b);\n" * 40)
    (tmp_path / "CMakeLists.txt").write_text("project(big)\n" + "add_library(x a.c)\n" * 200)
    start = time.process_time()
    found = analyse(tmp_path)
    assert time.process_time() - start < 0.3
    assert found.files == 1001
