"""`build -y`, `build --auto-fix` and `undo` on real projects with real tools, and real faults."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cyxmake_cli.recovery.snapshot import digest_of
from support.processes import environment, python

_MAKEFILE = "app: a.o\n        $(CC) -o app a.o\n"
_SOURCE = "#include <math.h>\nint main(int c, char **v) { return v[0] == 0 && sin(c) > 2; }\n"


class Broken:
    """A project whose Makefile has spaces where a tab belongs, and which links no -lm."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.environment = environment(
            CYXMAKE_CONFIG_DIR=str(folder / "config"), CYXMAKE_CACHE_DIR=str(folder / "cache")
        )
        (folder / "cache").mkdir()
        self.at("Makefile").write_text(_MAKEFILE)
        self.at("a.c").write_text(_SOURCE)
        self.at("a.c").chmod(0o604)

    def at(self, name: str) -> Path:
        """Return a path of the project."""
        return self.folder / name

    def digest(self) -> list[str]:
        """Return what the sources are."""
        return [digest_of(str(self.at(name))) for name in ("Makefile", "a.c")]

    def argv(self, *arguments: str) -> list[str]:
        """Return the command line of cyxmake in this project."""
        return python("cyxmake_cli.main", arguments[0], "-C", str(self.folder), *arguments[1:])

    def run(
        self, *arguments: str, before: tuple[str, ...] = (), **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run cyxmake in this project, perhaps by another program."""
        done = subprocess.run(
            [*before, *self.argv(*arguments)], env=self.environment | more,
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=100,
        )  # fmt: skip
        assert "Traceback" not in done.stderr + done.stdout
        assert "a bug in cyxmake" not in done.stderr
        return done

    def undo_list(self) -> list[dict[str, Any]]:
        """Return the fixes of the journal."""
        fixes: list[dict[str, Any]] = json.loads(self.run("undo", "--list", "--json").stdout)[
            "fixes"
        ]
        return fixes


@pytest.fixture
def broken(tmp_path: Path) -> Broken:
    """Return a broken project."""
    return Broken(tmp_path)


def test_a_build_is_repaired_replayed_and_undone(broken: Broken, tmp_path: Path) -> None:
    """Two causes, one behind the other; a wrong fix taken back; a clone repaired by the recipe."""
    before = broken.digest()
    done = broken.run("build", "-y", "--local", "--json")
    assert done.returncode == 0, done.stderr
    repairs = json.loads(done.stdout)["repairs"]
    kept = [r["fix"]["kind"] for r in repairs if r["state"] == "kept"]
    assert kept == ["edit", "edit"]
    assert [r["fix"]["link"] for r in repairs if r["state"] == "undone"] == [["-lm"]]
    assert broken.at("app").exists()

    clone = Broken(tmp_path / "cache")
    (clone.at(".cyxmake")).mkdir()
    shutil.copy(broken.at(".cyxmake/recipe.toml"), clone.at(".cyxmake/recipe.toml"))
    asked = clone.run("build", "--local")
    assert asked.returncode == 1
    assert "recipe" in asked.stdout
    assert clone.digest() == before, "a recipe is not followed without a yes"
    again = clone.run("build", "-y", "--local", "--json")
    assert again.returncode == 0, again.stderr
    assert len(json.loads(again.stdout)["commands"]) == 1, "it built at the first attempt"

    assert broken.run("undo").returncode == 0
    assert broken.digest() == before
    assert not broken.at(".cyxmake/recipe.toml").exists()
    assert {fix["state"] for fix in broken.undo_list()} == {"undone"}


def test_the_cluster_builds_with_what_is_in_force(broken: Broken) -> None:
    """`dbuild` hands make the flags that a fix has added; plain make fails without them."""
    broken.at("Makefile").write_text("app: a.c\n\t$(CC) $(CFLAGS) -Werror -Wall a.c -o app\n")
    broken.at("a.c").write_text("int main(void) { int unused; return 0; }\n")
    before = broken.digest()
    done = broken.run("build", "-y", "--local", "--json")
    kept = [r["fix"] for r in json.loads(done.stdout)["repairs"] if r["state"] == "kept"]
    assert [fix["compile"] for fix in kept] == [["-Wno-error=unused-variable"]]
    broken.at("app").unlink()
    assert subprocess.run(["make", "-C", broken.folder], check=False).returncode == 2
    again = broken.run("dbuild", "--local")
    assert again.returncode == 0, again.stdout + again.stderr
    assert broken.at("app").exists()
    assert broken.run("undo").returncode == 0
    assert broken.digest() == before
    broken.at("app").unlink()
    assert broken.run("dbuild", "--local").returncode == 1


def test_without_a_yes_nothing_is_changed(broken: Broken) -> None:
    """Neither a plain build nor --auto-fix without a terminal nor a dry run changes anything."""
    before = broken.digest()
    plain = broken.run("build", "--local")
    assert plain.returncode == 1
    assert "edit Makefile, line 2" in plain.stdout
    assert "cyxmake build --auto-fix" in plain.stdout
    asked = broken.run("build", "--auto-fix", "--local")
    assert asked.returncode == 5
    assert "edit Makefile, line 2" in asked.stdout
    shown = broken.run("build", "-y", "--dry-run", "--local")
    assert shown.returncode == 0
    assert "would edit Makefile, line 2" in shown.stdout
    assert broken.digest() == before
    assert broken.undo_list() == []


def test_a_command_that_is_killed_leaves_something_to_undo(broken: Broken) -> None:
    """Killed while a fix is being tried: the next command says so, and an undo is exact."""
    broken.at("Makefile").write_text(
        _MAKEFILE + "\t@kill -9 `cut -d' ' -f4 /proc/$$PPID/stat`\n"  # make's own parent: cyxmake
    )
    broken.at("a.c").write_text("int main(void) { return 0; }\n")
    before = broken.digest()
    done = broken.run("build", "-y", "--local")
    assert done.returncode == -signal.SIGKILL
    assert broken.digest() != before
    said = broken.run("status")
    assert "fix 1 was interrupted" in said.stdout + said.stderr
    assert broken.run("undo").returncode == 0
    assert broken.digest() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts, namespaces")
class TestFaults:
    """Nothing is half done, and a sentence says what is the matter."""

    def test_a_full_disk(self, broken: Broken) -> None:
        """Where the journal cannot be written nothing is changed."""
        script = (
            'mount -t tmpfs -o size=64k tmpfs "$1"; cp "$2"/* "$1"; cp -r "$2"/.cyxmake "$1";'
            'dd if=/dev/zero of="$1/full" bs=4k 2>/dev/null; shift 2; "$@"; status=$?;'
            "cat Makefile; exit $status"
        )
        twin = broken.folder.with_name("twin")
        broken.folder.rename(twin)
        broken.folder.mkdir()
        (twin / ".cyxmake").mkdir()
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script.replace("cat ", f"cat {broken.folder}/"), "-",
             str(broken.folder), str(twin), *broken.argv("build", "-y", "--local")],
            env=broken.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done.stdout + done.stderr
        assert "No space left" in done.stdout
        assert done.stdout.endswith(_MAKEFILE)

    def test_a_disk_that_fills_up_in_the_middle_of_a_fix(self, broken: Broken) -> None:
        """What was changed by then is taken back although not one byte is left."""
        script = """
            mount -t tmpfs -o size=256k tmpfs "$1"; cp -p "$2"/* "$1"
            printf '\\tdd if=/dev/zero of=full bs=1k; false\\n' >> "$1/Makefile"
            cp -p "$1/Makefile" "$2/as-it-was"
            cd "$1"; project=$1; twin=$2; shift 2
            "$@" build -C "$project" -y --local; echo "status $?"
            dd if=/dev/zero of=more bs=1k 2>/dev/null
            cmp -s Makefile "$twin/as-it-was" || echo "changed by then"
            "$@" undo -C "$project" --all --yes; echo "undone $?"
            cmp Makefile "$twin/as-it-was" && echo "as it was"
        """
        twin = broken.folder.with_name("twin")
        broken.folder.rename(twin)
        broken.folder.mkdir()
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "-", str(broken.folder), str(twin),
             *broken.argv("x")[:-3]],
            env=broken.environment, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        assert "Traceback" not in done.stdout + done.stderr
        assert "cyxmake: no space is left on the disk\nstatus 3\nchanged by then" in done.stdout
        assert done.stdout.endswith("undone 0\nas it was\n")

    def test_a_tree_that_cannot_be_written(self, broken: Broken) -> None:
        """The cause is still told, and that nothing was tried."""
        before = broken.digest()
        script = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; shift; exec "$@"'
        done = broken.run(
            "build", "-y", "--local",
            before=("unshare", "-m", "sh", "-c", script, "-", str(broken.folder)),
        )  # fmt: skip
        assert done.returncode == 1
        assert "Makefile:2" in done.stdout
        assert "nothing was tried" in done.stdout
        assert "Read-only" in done.stdout
        assert broken.digest() == before

    @pytest.mark.netns
    def test_no_network_and_no_package_manager(self, broken: Broken, tmp_path: Path) -> None:
        """What is missing is named; nothing is proposed that nobody knows to exist."""
        broken.at("Makefile").write_text("app: a.c\n\tcc -o app a.c\n")
        broken.at("a.c").write_text("#include <pcap.h>\n#include <no/such.h>\nint main(void);\n")
        before = broken.digest()
        alone = broken.run("build", "-y", "--local", before=("unshare", "-n"))
        bin_ = tmp_path / "bin"
        bin_.mkdir()
        for name in ("make", "cc", "sh", "as", "ld"):
            (bin_ / name).symlink_to(str(shutil.which(name)))
        bare = broken.run("build", "-y", "--local", PATH=str(bin_))
        for done in (alone, bare):
            assert done.returncode == 1, done.stdout
            last = done.stdout.strip().splitlines()[-1]
            assert "not repaired: the header pcap.h is missing (a.c:1)" in last
            assert "decide which package" in last or "packages install libpcap-dev" in last
        assert broken.digest() == before
