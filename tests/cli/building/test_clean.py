"""Cleaning: what builds made goes, and not one byte of anything else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cyxmake_cli.building.cleaning import plan_clean, remove
from cyxmake_cli.building.journal import Journal, names_below
from cyxmake_cli.building.own_folder import OwnFolder
from support.processes import environment, python

_MAKEFILE = """\
all: app out/data.bin gen.c
app: main.c
\tcp main.c app
out/data.bin:
\tmkdir -p out
\techo data > out/data.bin
gen.c:
\techo 'int g;' > gen.c
\techo done > stamp
clean:
\trm -rf out build dist target *.o app notes stamp
"""
_BY_HAND = (
    "main.c", "build/notes.md", "build/keep.o", "target/thesis.tex", "dist/release.tar.gz",
    "out/mine.bin", "node_modules/patch.js", "bin/tool", "obj/a.o", "notes", ".hidden",
    "build/CMakeFiles/mine.txt", "bazel-out/x", "sub/deep/er/file.bin", "no ending", "ünï.o",
)  # fmt: skip


def _cyxmake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python("cyxmake_cli.main", *arguments, "-C", str(folder)),
        env=environment(CYXMAKE_CONFIG_DIR=str(folder.parent / "config")),
        capture_output=True, text=True, check=False, input="",
    )  # fmt: skip


def _tree(folder: Path) -> dict[str, bytes | str]:
    """Return every file below a folder with its bytes (a link with its target); not our own."""
    return {
        os.path.relpath(path, folder): path.readlink().as_posix()
        if path.is_symlink()
        else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if (path.is_symlink() or path.is_file()) and ".cyxmake" not in path.parts
    }


def test_a_tree_with_files_by_hand_everywhere_is_unchanged_after_a_clean(tmp_path: Path) -> None:
    """In every place that a clean could touch stands a file by hand: all are byte-equal after it.

    Some stood there before the build, some are written or changed after it, some under names that
    the Makefile's own `clean` would remove.
    """
    project = tmp_path / "project"
    elsewhere = tmp_path / "elsewhere"
    for name in _BY_HAND:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"by hand: {name}\n")
    (project / "Makefile").write_text(_MAKEFILE)
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("precious")
    (project / "link").symlink_to(elsewhere)
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    before = _tree(project)
    done = _cyxmake(project, "build", "-q")
    assert done.returncode == 0, done.stderr
    assert {"app", "out/data.bin", "stamp", "gen.c"} <= set(_tree(project))
    for name in ("build/after.o", "out/after.bin"):
        (project / name).write_text(f"after: {name}")
    (project / "stamp").write_text("mine now")
    wanted = before | {name: (project / name).read_bytes()
                       for name in ("build/after.o", "out/after.bin", "stamp")}  # fmt: skip
    # It has the ending of something that people write, and stands among the sources.
    wanted["gen.c"] = b"int g;\n"
    shown = _cyxmake(project, "clean", "--dry-run").stdout
    assert "would remove 2 files" in shown
    assert _cyxmake(project, "clean").returncode == 5
    cleaned = _cyxmake(project, "clean", "--yes")
    assert cleaned.returncode == 0, cleaned.stderr
    assert "stays: stamp (changed after the build)" in cleaned.stdout
    assert "stays: gen.c (looks like something written by hand)" in cleaned.stdout
    assert _tree(project) == wanted
    assert _tree(elsewhere) == {"precious": b"precious"}
    assert "no build made anything" not in cleaned.stdout
    assert _cyxmake(project, "clean", "--yes").returncode == 0
    assert _tree(project) == wanted


def test_a_build_does_not_own_what_somebody_touched_between_builds(tmp_path: Path) -> None:
    """A file that a build made and a person changed stays theirs through later builds."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "Makefile").write_text("all:\n\ttest -e app || echo one > app\n\techo x > other\n")
    assert _cyxmake(project, "build", "-q").returncode == 0
    (project / "app").write_text("mine")
    assert _cyxmake(project, "build", "-q").returncode == 0
    assert _cyxmake(project, "clean", "--yes").returncode == 0
    assert (project / "app").read_text() == "mine"
    assert not (project / "other").exists()


def test_a_folder_that_became_a_link_is_not_entered(tmp_path: Path) -> None:
    """Where a build's folder was replaced by a link, what it leads to stays, whatever it is."""
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    (source / "build").mkdir(parents=True)
    before = names_below([str(source)])
    (source / "build/obj").mkdir()
    (source / "build/obj/a.o").write_text("a")
    journal = Journal(OwnFolder(source), {}, ())
    journal.add(before, names_below([str(source)]))
    (source / "build/obj").rename(elsewhere)
    (source / "build/obj").symlink_to(elsewhere)
    plan = plan_clean(journal, [str(source)], (), ("build",))
    assert plan.files == ()
    assert plan.kept[0][1] == "reached through a symbolic link"
    assert remove(plan, journal) == (0, 0)
    assert (elsewhere / "a.o").read_text() == "a"


def test_what_version_control_knows_stays(tmp_path: Path) -> None:
    """A file that a build made and somebody committed is no longer the build's."""
    source = tmp_path / "source"
    source.mkdir()
    before = names_below([str(source)])
    (source / "made.bin").write_text("x")
    journal = Journal(OwnFolder(source), {}, ())
    journal.add(before, names_below([str(source)]))
    assert plan_clean(journal, [str(source)], (), ()).files == (str(source / "made.bin"),)
    tracked = {str(source / "made.bin")}
    assert plan_clean(journal, [str(source)], tracked, ()).files == ()


def test_the_record_survives_a_move_of_the_project(tmp_path: Path) -> None:
    """Paths are kept relative: a project that was moved can still be cleaned."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    before = names_below([str(first)])
    (first / "made.bin").write_text("x")
    journal = Journal(OwnFolder(first), {}, ())
    journal.add(before, names_below([str(first)]))
    journal.save()
    first.rename(second)
    again = Journal.load(OwnFolder(second))
    assert plan_clean(again, [str(second)], (), ()).files == (str(second / "made.bin"),)
    (second / ".cyxmake/made.json").write_text('{"version": 1, "files": 7}')
    assert Journal.load(OwnFolder(second)).files == {}
