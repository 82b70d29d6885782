"""The client's settings: which source wins, what is refused, what `set` keeps."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from cyxmake_cli.settings import PROJECT_FILE, Settings, as_environment, load, project_settings
from cyxmake_common.config import Flags, keys_of, line_of
from cyxmake_common.errors import ConfigError
from support.processes import REPOSITORY, environment, python


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project's directory; the user's settings are beside it."""
    (tmp_path / "user").mkdir()
    (tmp_path / "project/.git").mkdir(parents=True)
    return tmp_path / "project"


def environ(project: Path, **more: str) -> dict[str, str]:
    """Return an environment with the user's settings beside the project."""
    return {"CYXMAKE_CONFIG_DIR": str(project.parent / "user"), **more}


def test_flags_win_over_environment_over_project_over_user(project: Path) -> None:
    """Every key comes from the most particular place that gives it, and says which that was."""
    user = project.parent / "user/config.toml"
    user.write_text("[build]\njobs = 1\nkeep_going = 5\n[cache]\nenabled = false\n")
    (project / PROJECT_FILE).write_text("[build]\njobs = 2\nkeep_going = 6\n")
    given = environ(project, CYXMAKE_BUILD_JOBS="3", CYXMAKE_CACHE_DIR="/no/setting")
    flags: Flags = {"build.jobs": None, "cluster.enabled": False}
    loaded = load(project, given, flags)
    settings = loaded.settings
    assert (settings.build.jobs, settings.build.keep_going) == (3, 6)
    assert (settings.cache.enabled, settings.cluster.enabled) == (False, False)
    assert {key: found.origin for key, found in loaded.found.items()} == {
        "build.jobs": "CYXMAKE_BUILD_JOBS",
        "build.keep_going": f"{project / PROJECT_FILE}:3",
        "cache.enabled": f"{user}:5",
        "cluster.enabled": "command line",
    }
    assert load(project, given, {"build.jobs": 4}).settings.build.jobs == 4


def test_a_process_of_ours_gets_the_same_settings(project: Path) -> None:
    """The variables for make's children say what the flags said, whatever stands in files."""
    (project / PROJECT_FILE).write_text("[cache]\nremap_paths = true\n[build]\njobs = 2\n")
    first = load(project, environ(project), {"cache.remap_paths": False}).settings
    again = load(project, environ(project, **as_environment(first))).settings
    assert again == first
    assert not again.cache.remap_paths


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n[cache]\nremap_path = true", [":3: unknown key 'cache.remap_path'", "mean"]),
        ("# x\n[cach]\nenabled = true", [":2: unknown key 'cach'"]),
        ("jobs = 3", [":1: unknown key 'jobs'", "did you mean 'build.jobs'"]),
        ("build = 3", [":1: build is a table of settings"]),
        ("[build]\n\njobs = 'many'", [":3: build.jobs:", "integer"]),
        ("cache.enabled = 7", [":1: cache.enabled:"]),
        ("build = {jobs = -1}", [":1: build.jobs:", "greater than or equal to 0"]),
        ("[build]\njobs = = 1", ["line 2", "correct the file's syntax"]),
        ("[cluster]\ntoken = 'cyx1.x'", [":2: unknown key 'cluster.token'", "cyxmake login"]),
    ],
)  # fmt: skip
def test_mistakes_are_named_by_file_and_line(project: Path, text: str, says: list[str]) -> None:
    """Who reads the error knows where to look and what to write instead."""
    (project / PROJECT_FILE).write_text(text)
    with pytest.raises(ConfigError) as error:
        load(project, environ(project))
    for part in (str(project / PROJECT_FILE), *says):
        assert part in str(error.value)
    assert "cyx1.x" not in str(error.value)


def test_a_misspelt_variable_is_refused(project: Path) -> None:
    """Only names that begin as no setting does are somebody else's."""
    with pytest.raises(ConfigError, match=r"CYXMAKE_CACHE_REMAP_PATH: .*did you mean"):
        load(project, environ(project, CYXMAKE_CACHE_REMAP_PATH="1"))
    assert not load(project, environ(project, CYXMAKE_LAUNCHER_IDLE="1")).found


def test_the_projects_file_is_found_upward_within_its_repository(project: Path) -> None:
    """From a folder deep inside; never from above the repository; paths in it belong to it."""
    deep = project / "a/b"
    deep.mkdir(parents=True)
    (project.parent / PROJECT_FILE).write_text("[build]\njobs = 9\n")
    assert project_settings(deep) is None
    (project / PROJECT_FILE).write_text('[build]\ndirectory = "out"\n')
    assert project_settings(deep) == project / PROJECT_FILE
    assert load(deep, environ(project)).settings.build.directory == str(project / "out")
    outside = project.parent / "elsewhere"
    outside.mkdir()
    (outside / ".git").mkdir()
    named = environ(project, CYXMAKE_ROOT=str(project))
    assert load(outside, named).project_file == project / PROJECT_FILE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_not_the_projects(tmp_path: Path) -> None:
    """Whoever may write to a folder above could otherwise decide what is built."""
    below = tmp_path / "mine"
    below.mkdir()
    (tmp_path / PROJECT_FILE).write_text("")
    assert project_settings(below) == tmp_path / PROJECT_FILE
    os.chown(tmp_path / PROJECT_FILE, 12345, 12345)
    assert project_settings(below) is None


def test_lines_are_found_however_a_key_is_written() -> None:
    """In a table, dotted, quoted, in an inline table; and nothing is made up."""
    assert line_of("[a]\nb = 1\n[c]\nb = 2\n", "c.b") == 4
    assert line_of('a . "b" = 1', "a.b") == 1
    assert line_of("x = 1\na = { b = 1 }", "a.b") == 2
    assert line_of("[a] # here\n", "a.b") == 1
    assert line_of("z = 1", "a.b") is None


def cyxmake(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `cyxmake config` in a project."""
    return subprocess.run(
        python("cyxmake_cli.main", "config", *arguments), cwd=project, capture_output=True,
        env=environment(CYXMAKE_CONFIG_DIR=str(project.parent / "user")), text=True, check=False,
    )  # fmt: skip


def test_set_keeps_comments_and_show_says_where_from(project: Path) -> None:
    """What a person wrote stays; what is wrong is refused and leaves the file alone."""
    file = project / PROJECT_FILE
    file.write_text("# ours\n[build]\njobs = 2 # few\n\n[cache] # shared\n")
    assert cyxmake(project, "set", "--project", "build.jobs", "12").returncode == 0
    assert cyxmake(project, "set", "--project", "cache.remap_paths", "yes").returncode == 0
    wanted = "# ours\n[build]\njobs = 12 # few\n\n[cache] # shared\nremap_paths = true\n"
    assert file.read_text() == wanted
    wrong = cyxmake(project, "set", "--project", "build.jobs", "lots")
    assert (wrong.returncode, file.read_text()) == (3, wanted)
    unknown = cyxmake(project, "set", "build.job", "1")
    assert unknown.returncode == 2
    assert "did you mean 'build.jobs'" in unknown.stderr
    assert cyxmake(project, "set", "build.keep_going", "0").returncode == 0
    shown = json.loads(cyxmake(project, "show", "--json").stdout)
    assert sorted(shown) == sorted(keys_of(Settings))
    assert shown["build.jobs"] == {"value": 12, "origin": f"{file}:3"}
    assert shown["build.keep_going"]["origin"].endswith("user/config.toml:2")
    assert shown["cluster.enabled"] == {"value": True, "origin": "default"}
    assert cyxmake(project, "get", "cache.remap_paths").stdout == "true\n"
    assert cyxmake(project, "set", "--project", "build.jobs", "").returncode == 0
    assert cyxmake(project, "get", "build.jobs").stdout == "0\n"
    file.write_text("[build]\njob = 1\n")
    bad = cyxmake(project, "validate")
    assert bad.returncode == 3
    assert f"{file}:2: unknown key 'build.job'" in bad.stderr


def test_every_key_has_a_line_in_the_manual() -> None:
    """The table of docs/OPERATIONS.md names all keys, and no others."""
    text = (REPOSITORY / "docs/OPERATIONS.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| ", text, re.MULTILINE)
    assert sorted(rows) == sorted(keys_of(Settings))
