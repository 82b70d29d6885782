"""The table of build systems: whole in itself, and right about what a directory is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cyxmake_cli.systems.detect import detect_systems, facts_of, missing_tools
from cyxmake_cli.systems.model import BuildType, SystemName, Verb
from cyxmake_cli.systems.plan import CONFIGURED, RELAYERED, Wish, build_directory, commands
from cyxmake_cli.systems.table import SYSTEMS
from cyxmake_common.errors import UsageError

_WORDS = {"{type}", "{jobs}", "{targets}", "{options}", "{verbose}"}
_PARTS = {"{source}", "{build}", "{prefix}", "{target}"}


@pytest.mark.parametrize("name", SystemName)
def test_every_row_is_whole(name: SystemName) -> None:
    """A row can build, its words are known, and every fact that a step needs has a rule."""
    spec = SYSTEMS[name]
    assert Verb.BUILD in spec.steps
    rules = {rule.name for rule in spec.facts} | {CONFIGURED, RELAYERED}
    for steps in spec.steps.values():
        for step in steps:
            for word in step.argv:
                for part in re.findall(r"\{\w+\}", word):
                    assert part in _PARTS or (part in _WORDS and word == part)
            for fact in step.needs | step.unless:
                assert fact in rules or fact.startswith("tool:")


@pytest.mark.parametrize(
    ("files", "systems"),
    [
        ({"CMakeLists.txt": "project(x)", "Makefile": "all:"}, "cmake make"),
        ({"CMakeLists.txt": "add_library(a a.c)", "meson.build": "project('a')"}, "meson cmake"),
        ({"configure.ac": "AC_INIT", "configure": "#!/bin/sh", "Makefile": ""}, "autotools make"),
        ({"configure": "#!/bin/sh\n"}, "autotools"),
        ({"Cargo.toml": "[workspace]", "package.json": "{}"}, "cargo npm"),
        ({"go.mod": "module m", "Makefile": ""}, "go make"),
        ({"pom.xml": "<project/>", "build.gradle": ""}, "maven gradle"),
        ({"package.json": "{}", "yarn.lock": ""}, "yarn"),
        ({"package.json": '{"packageManager": "pnpm@9.0.0"}'}, "pnpm"),
        ({"pyproject.toml": "[tool.black]\n", "Makefile": ""}, "make python"),
        (
            {"pyproject.toml": "build-system.build-backend='mesonpy'", "meson.build": "project("},
            "python meson",
        ),
        ({"MODULE.bazel": "module()", "CMakeLists.txt": "project (x)"}, "cmake bazel"),
        ({"SConstruct": ""}, "scons"),
        ({"build.ninja": ""}, "ninja"),
        ({"README": ""}, ""),
    ],
)  # fmt: skip
def test_the_system_that_is_meant_comes_first(
    tmp_path: Path, files: dict[str, str], systems: str
) -> None:
    """Several systems in one directory are put in order; tools' settings make no Python package."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert [d.system.value for d in detect_systems(tmp_path)] == systems.split()


def test_evidence_names_the_line(tmp_path: Path) -> None:
    """What speaks for a build system is shown by file and line."""
    (tmp_path / "CMakeLists.txt").write_text("# hello\n\nproject (App C)\n")
    found = detect_systems(tmp_path)[0]
    assert [(e.file, e.line) for e in found.evidence] == [("CMakeLists.txt", 3)]


def _argvs(name: SystemName, verb: Verb, wish: Wish, *facts: str) -> list[str]:
    return [" ".join(c.argv) for c in commands(SYSTEMS[name], verb, wish, frozenset(facts))]


def test_words_become_what_each_tool_understands() -> None:
    """Type, jobs, targets and options stand where and as each tool wants them."""
    wish = Wish("/s", "/s/b", BuildType.RELEASE, 3, ("a", "b"), ("-X",), verbose=True)
    assert _argvs(SystemName.CMAKE, Verb.CONFIGURE, wish, "tool:ninja") == [
        "cmake -S /s -B /s/b -G Ninja -DCMAKE_BUILD_TYPE=Release -X"
    ]
    assert _argvs(SystemName.CMAKE, Verb.BUILD, wish) == [
        "cmake --build /s/b --parallel 3 --verbose --target a b"
    ]
    assert _argvs(SystemName.CARGO, Verb.BUILD, wish) == [
        "cargo build --target-dir /s/b --release -j3 -v -p a -p b -X"
    ]
    plain = Wish("/s", "/s", targets=("a", "b"))
    assert _argvs(SystemName.MAVEN, Verb.BUILD, plain) == ["mvn -B package -DskipTests -am -pl a,b"]
    assert _argvs(SystemName.NPM, Verb.BUILD, plain, "script:build") == ["npm run a", "npm run b"]
    assert _argvs(SystemName.NPM, Verb.BUILD, Wish("/s", "/s")) == []
    assert _argvs(SystemName.GO, Verb.BUILD, Wish("/s", "/s/bin"), "programs") == [
        "go build -o /s/bin/ ./..."
    ]


def test_what_a_tool_cannot_do_is_refused() -> None:
    """A build type that make has no word for, and a target of a whole, are errors with a way on."""
    with pytest.raises(UsageError, match="no build type 'release'"):
        commands(SYSTEMS[SystemName.MAKE], Verb.BUILD, Wish("/s", "/s", BuildType.RELEASE),
                 frozenset())  # fmt: skip
    with pytest.raises(UsageError, match="no target 'x'"):
        commands(SYSTEMS[SystemName.PYTHON], Verb.BUILD, Wish("/s", "/s", targets=("x",)),
                 frozenset())  # fmt: skip
    with pytest.raises(UsageError, match="among the sources"):
        build_directory(SYSTEMS[SystemName.MAKE], "/s", "elsewhere")


def test_a_path_with_braces_is_no_template() -> None:
    """Names of directories are never read as words to fill in."""
    wish = Wish("/a{build}b", "/c {source}")
    assert _argvs(SystemName.NINJA, Verb.BUILD, wish) == ["ninja -C /c {source}"]
    assert _argvs(SystemName.SCONS, Verb.BUILD, wish) == ["scons -C /a{build}b"]


def test_facts_are_seen(tmp_path: Path) -> None:
    """Lock files, scripts, programs and earlier configuration are noticed."""
    (tmp_path / "package.json").write_text(
        '{"scripts": {"build": "x", "test": "echo \\"Error: no test specified\\""}}'
    )
    (tmp_path / "package-lock.json").touch()
    npm = SYSTEMS[SystemName.NPM]
    assert facts_of(npm, tmp_path, tmp_path) == {"lock", "script:build"}
    (tmp_path / "node_modules").mkdir()
    assert CONFIGURED in facts_of(npm, tmp_path, tmp_path)
    go = SYSTEMS[SystemName.GO]
    (tmp_path / "gen.go").write_text("//go:build ignore\n\npackage main\n")
    assert facts_of(go, tmp_path, tmp_path) == set()
    (tmp_path / "cmd/x").mkdir(parents=True)
    (tmp_path / "cmd/x/main.go").write_text("// Hello.\npackage main\n")
    assert facts_of(go, tmp_path, tmp_path) == {"programs"}


def test_missing_tools_are_groups_of_alternatives(tmp_path: Path) -> None:
    """One program of each group is enough; a wrapper in the project is one as well."""
    maven = SYSTEMS[SystemName.MAVEN]
    assert missing_tools(maven, tmp_path, lambda name: None) == maven.tools
    (tmp_path / "mvnw").touch()
    assert missing_tools(maven, tmp_path, lambda name: None) == (("java",),)
