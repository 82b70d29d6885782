"""Make and autotools projects through the launcher, on real clusters: same bytes, then hits."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import products, run
from support.launcher_user import User, begin_make, make_user, many, wait_until_made
from support.processes import REPOSITORY, Cluster, cluster, python

SAMPLE = REPOSITORY / "tests/projects/makefile-sample"
EXPECT = tomllib.loads((SAMPLE / "expect.toml").read_text())
COUNT = EXPECT["compile_actions"]


@pytest.fixture
def user(tmp_path: Path, shared_cluster: Cluster) -> Iterator[User]:
    """A user of the shared cluster whose agent ends with the test."""
    made = make_user(tmp_path / "home", CYXMAKE_TOKEN=shared_cluster.token("client"))
    yield made
    made.stop()


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A fresh copy of the Makefile project; its text is its own, so that no test shares a cache."""
    target = tmp_path / "sample"
    shutil.copytree(SAMPLE, target)
    with (target / "include/shape/shape.h").open("a") as header:
        header.write(f"/* {tmp_path} */\n")
    return target


def plain(directory: Path) -> dict[str, str]:
    """Build with plain make; returns the products' digests and leaves a clean tree."""
    run(["make", "-C", str(directory), "-j2"])
    wanted = products(directory)
    run(["make", "-C", str(directory), "clean"])
    return wanted


# ── dbuild ──────────────────────────────────────────────────────────────────────────────────────


def test_same_bytes_as_make_then_all_hits_then_nothing(user: User, sample: Path) -> None:
    """Objects, depfiles, archive and program are plain make's; a clean build compiles nothing."""
    wanted = plain(sample)
    first = user.dbuild(sample)
    assert first["status"] == 0, first["output"]
    assert first["remote"] == first["actions"] == COUNT, first
    assert sum(first["workers"].values()) == COUNT
    assert products(sample) == wanted
    assert run([str(sample / EXPECT["program"])]) == EXPECT["output"]
    assert "up to date" in run(["make", "-C", str(sample), "libshape.a"])
    run(["make", "-C", str(sample), "clean"])
    second = user.dbuild(sample)
    assert (second["cache_hits"], second["remote"], second["local"]) == (COUNT, 0, 0)
    assert f"{COUNT} from the cache" in second["output"]
    assert products(sample) == wanted
    assert user.dbuild(sample)["actions"] == 0


def test_the_embedded_cluster_serves_make(sample: Path, tmp_path: Path) -> None:
    """Without a token the agent brings a cluster of its own, and keeps it for the next build."""
    user = make_user(tmp_path / "home")
    try:
        wanted = plain(sample)
        first = user.dbuild(sample)
        assert first["remote"] == COUNT, first["output"]
        run(["make", "-C", str(sample), "clean"])
        assert user.dbuild(sample)["cache_hits"] == COUNT
        assert products(sample) == wanted
    finally:
        user.stop()


def test_named_targets_and_changed_headers(user: User, sample: Path) -> None:
    """Targets are passed through; a changed header is noticed however soon it changes."""
    done = user.dbuild(sample, "libshape.a")
    assert (done["status"], done["remote"]) == (0, 3)
    assert not (sample / "shapes").exists()
    header = sample / "include/shape/shape.h"
    old = header.read_text()
    for number in range(3):
        header.write_text(f"{old}\n#define NUMBER {number}\n")
        run(["make", "-C", str(sample), "clean"])
        changed = user.dbuild(sample, "libshape.a")
        assert (changed["cache_hits"], changed["remote"]) == (0, 3)
    header.write_text(old)
    run(["make", "-C", str(sample), "clean"])
    assert user.dbuild(sample, "libshape.a")["cache_hits"] == 3


def test_a_new_header_that_shadows_another_is_noticed(user: User, sample: Path) -> None:
    """Files that appear where the compiler looked in vain change the answer of a running agent."""
    assert user.dbuild(sample)["status"] == 0
    (sample / "include/math.h").write_text("#error shadowed\n")
    (sample / "src/area.o").unlink()
    done = user.dbuild(sample)
    assert done["status"] == 1
    assert "shadowed" in done["output"]
    assert done["local_reasons"] == {"a failure is confirmed here": 1}
    assert not (sample / "src/area.o").exists()
    (sample / "include/math.h").unlink()
    assert user.dbuild(sample)["cache_hits"] == 1


def test_errors_and_warnings_are_the_compilers_own(user: User, sample: Path) -> None:
    """Text and status of make are those of a plain build, warnings from the cache included."""
    source = sample / "src/area.c"
    source.write_text("#warning look here\n" + source.read_text())
    local = subprocess.run(
        ["make", "-C", str(sample), "src/area.o"], capture_output=True, text=True, check=False
    )
    assert user.dbuild(sample, "src/names.o")["status"] == 0  # there is an agent, and stand-ins
    for _ in range(2):
        (sample / "src/area.o").unlink(missing_ok=True)
        again = user.make(sample, "src/area.o")
        assert (again.returncode, again.stdout, again.stderr) == (0, local.stdout, local.stderr)
    assert user.served() == (1, 2, 0)
    source.write_text("int broken(\n")
    local = subprocess.run(
        ["make", "-C", str(sample), "src/area.o"], capture_output=True, text=True, check=False
    )
    again = user.make(sample, "src/area.o")
    assert (again.returncode, again.stderr) == (local.returncode, local.stderr)
    assert again.returncode != 0


def test_an_absolute_compiler_stays_local_with_a_note(user: User, sample: Path) -> None:
    """What the Makefile names by a path is not ours to replace."""
    compiler = shutil.which("cc")
    done = user.dbuild(sample, "src/area.o", CC=f"{compiler}", MAKEFLAGS="-e")
    assert (done["status"], done["actions"]) == (0, 0)
    assert "by a path" in done["output"]


def test_local_and_dry_run(user: User, sample: Path) -> None:
    """Neither needs an agent, and a dry run makes nothing."""
    done = user.dbuild(sample, "-n")
    assert "-c -o src/area.o" in done["output"]
    assert not (sample / "src/area.o").exists()
    assert user.dbuild(sample, "--local")["status"] == 0
    assert user.status() is None


def test_no_cache(user: User, sample: Path) -> None:
    """--no-cache compiles again, for this build only."""
    for arguments, remote in (((), COUNT), (("--no-cache",), COUNT), ((), 0)):
        run(["make", "-C", str(sample), "clean"])
        assert user.dbuild(sample, *arguments)["remote"] == remote


# ── autotools ───────────────────────────────────────────────────────────────────────────────────


def test_autotools_out_of_tree(user: User, tmp_path: Path) -> None:
    """configure runs in a build directory and is not slowed down; make is served."""
    if shutil.which("autoconf") is None:
        pytest.skip("autoconf is not installed")
    project = tmp_path / "auto"
    project.mkdir()
    (project / "configure.ac").write_text(
        "AC_INIT([sample], [1.0])\nAC_CONFIG_SRCDIR([one.c])\nAC_PROG_CC\n"
        "AC_CHECK_HEADERS([unistd.h no-such-header.h])\nAC_CHECK_FUNCS([getpid no_such_function])\n"
        "AC_CONFIG_HEADERS([config.h])\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n"
    )
    (project / "config.h.in").write_text("#undef HAVE_UNISTD_H\n#undef HAVE_NO_SUCH_FUNCTION\n")
    (project / "Makefile.in").write_text(
        "CC = @CC@\nCFLAGS = @CFLAGS@\nVPATH = @srcdir@\nall: app\n"
        "app: one.o two.o\n\t$(CC) -o $@ one.o two.o\n"
        "%.o: %.c\n\t$(CC) $(CFLAGS) -I. -c -o $@ $<\nclean:\n\trm -f app *.o\n"
    )
    (project / "one.c").write_text("#include <config.h>\nint two(void);\nint main(void)"
                                   "{ return two() - HAVE_UNISTD_H; }\n")  # fmt: skip
    (project / "two.c").write_text("#include <config.h>\nint two(void) { return 1; }\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        run(["autoconf"])
    first = user.dbuild(project)
    assert first["status"] == 0, first["output"]
    assert (first["remote"], first["local"]) == (2, 0), "configure's checks were sent"
    assert not (project / "Makefile").exists()
    build = project / "build"
    got = products(build)
    run([str(build / "app")])
    run(["make", "-C", str(build), "clean"])
    assert plain(build) == got
    assert user.dbuild(project)["cache_hits"] == 2


def test_configure_under_the_stand_ins_is_the_same(user: User, tmp_path: Path) -> None:
    """A hand-written configure finds what it finds without us; its checks are not asked for."""
    project = tmp_path / "hand"
    project.mkdir()
    script = project / "configure"
    script.write_text(
        "#!/bin/sh\necho 'int main(void) { return 0; }' > conftest.c\n"
        "${CC-cc} -c conftest.c || exit 1\n${CC-cc} -o conftest conftest.o || exit 1\n"
        "./conftest || exit 1\nrm -f conftest*\n"
        "printf 'app: app.o\\n\\tcc -o app app.o\\n' > Makefile\n"
    )
    script.chmod(0o755)
    (project / "app.c").write_text("int main(void) { return 0; }\n")
    done = user.dbuild(project)
    assert done["status"] == 0, done["output"]
    assert (project / "Makefile").exists()
    before = user.served()
    path = f"{user.home / 'cache/launcher/bin'}:{user.env['PATH']}"
    subprocess.run([str(script)], cwd=project, env=user.env | {"PATH": path}, check=True)
    assert user.served() == before


# ── the agent, and faults ───────────────────────────────────────────────────────────────────────


def test_many_jobs_at_a_time(user: User, tmp_path: Path) -> None:
    """make -j8 of a fresh tree, then again: right bytes, all remote, then all hits."""
    project = many(tmp_path / "many")
    wanted = plain(project)
    user.cyxmake("launcher", "install")
    assert "ready" in user.cyxmake("launcher", "start").stdout
    for served in ((0, 24, 0), (24, 24, 0)):
        run(["make", "-C", str(project), "clean"])
        done = user.make(project, "-j8")
        assert done.returncode == 0, done.stderr
        assert products(project) == wanted
        assert user.served() == served


def test_an_agent_killed_in_the_middle(user: User, tmp_path: Path) -> None:
    """kill -9: every stub becomes the compiler; the build ends right and says nothing of it."""
    project = many(tmp_path / "many")
    wanted = plain(project)
    user.cyxmake("launcher", "install")
    user.cyxmake("launcher", "start")
    status = user.status()
    assert status is not None
    process = begin_make(user, project, 4)
    seen = wait_until_made(process, 5)
    os.kill(status["pid"], signal.SIGKILL)
    rest, _ = process.communicate(timeout=300)
    assert process.returncode == 0, seen + rest
    assert "cyxmake" not in (seen + rest).replace(str(tmp_path), "")
    assert products(project) == wanted
    assert user.cyxmake("launcher", "start").returncode == 0  # nothing is in its way


def test_a_cluster_killed_in_the_middle(tmp_path: Path) -> None:
    """kill -9 of the coordinator: the agent goes local, and finds a new coordinator later."""
    project = many(tmp_path / "many")
    wanted = plain(project)
    (tmp_path / "cluster").mkdir()
    with cluster(tmp_path / "cluster", workers=1) as made:
        user = make_user(tmp_path / "home", CYXMAKE_TOKEN=made.token("client"))
        try:
            user.cyxmake("launcher", "install")
            user.cyxmake("launcher", "start")
            process = begin_make(user, project, 4)
            seen = wait_until_made(process, 3)
            made.coordinator.kill()
            rest, _ = process.communicate(timeout=300)
            assert process.returncode == 0, seen + rest
            assert products(project) == wanted
            status = user.status()
            assert status is not None
            assert "connection-lost" in status["served"]["reasons"]
        finally:
            user.stop()


def test_an_interrupted_make_cancels_its_compiles(user: User, tmp_path: Path) -> None:
    """Ctrl-C leaves no half-made object and nothing running in the agent."""
    project = many(tmp_path / "many")
    user.cyxmake("launcher", "install")
    user.cyxmake("launcher", "start")
    process = begin_make(user, project, 4)
    wait_until_made(process, 2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0
    status = user.status()
    assert status is not None
    assert not list(project.glob(".*.cyx"))
    assert user.make(project).returncode == 0


def test_the_agent_ends_when_nobody_asks(user: User, tmp_path: Path) -> None:
    """Idle for as long as it was told, it is gone, with its socket."""
    user.cyxmake("launcher", "start", CYXMAKE_LAUNCHER_IDLE="0.5")
    status = user.status()
    if status is not None:
        with contextlib.suppress(ProcessLookupError):
            process = os.pidfd_open(status["pid"])
            assert select.select([process], [], [], 20)[0]
            os.close(process)
    assert user.status() is None
    assert not (user.home / "cache/launcher/agent.sock").exists()


def test_a_compile_starts_the_agent(user: User, sample: Path) -> None:
    """The first compiles run here and wait for nothing; an agent comes of them, one only."""
    user.cyxmake("launcher", "install")
    assert user.make(sample, "-j4", "libshape.a").returncode == 0
    log = user.home / "cache/launcher/agent.log"
    assert "ready" in user.cyxmake("launcher", "start").stdout
    assert log.read_text().count("ready") == 1
    run(["make", "-C", str(sample), "clean"])
    assert user.make(sample, "libshape.a").returncode == 0
    assert user.served() == (0, 3, 0)


def test_cc_by_hand(user: User, sample: Path) -> None:
    """`cyxmake cc` needs no installation, and takes the compiler's options for its own."""
    user.cyxmake("launcher", "start")
    argv = python("cyxmake_cli.main", "cc", "gcc", "-Iinclude", "-c", "src/area.c", "-o", "a.o")
    done = subprocess.run(argv, cwd=sample, env=user.env, check=False)
    assert done.returncode == 0
    assert user.served() == (0, 1, 0), user.status()
    run(["gcc", "-Iinclude", "-c", "src/area.c", "-o", "b.o"], sample)
    assert (sample / "a.o").read_bytes() == (sample / "b.o").read_bytes()
    assert "Free Software" in user.cyxmake("cc", "gcc", "--version").stdout


def test_modes_of_outputs(user: User, sample: Path) -> None:
    """An object has the mode that the caller's umask gives it."""
    user.cyxmake("launcher", "install")
    user.cyxmake("launcher", "start")
    gcc = user.home / "cache/launcher/bin/gcc"
    for mask in ("027", "077", "000"):
        script = f"umask {mask}; {gcc} -Iinclude -c src/area.c -o m.o"
        subprocess.run(["/bin/sh", "-c", script], cwd=sample, env=user.env, check=True)
        assert (sample / "m.o").stat().st_mode & 0o777 == 0o666 & ~int(mask, 8)
    assert user.served() == (2, 1, 0)


def test_an_interrupted_dbuild_ends_make(user: User, tmp_path: Path) -> None:
    """Ctrl-C: status 130, make has ended, and the next build goes on from there."""
    project = many(tmp_path / "many")
    process = subprocess.Popen(
        python("cyxmake_cli.main", "dbuild", "-C", str(project)), env=user.env,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    wait_until_made(process, 2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "interrupted" in output
    assert user.dbuild(project)["status"] == 0
