"""The sample project on a real cluster: same bytes as ninja, then from the cache, then nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from support.builds import (
    LEFT_HERE,
    configure,
    nothing_to_do,
    products,
    recorded_dependencies,
    run,
)
from support.opened import watch_opens
from support.processes import REPOSITORY, Cluster, dbuild, environment, python

CMAKE = ("cmake", "-S", "{source}", "-B", "{build}", "-G", "Ninja")
EXPECT = tomllib.loads((REPOSITORY / "tests/projects/calculator/expect.toml").read_text())


def check_program(build: Path) -> None:
    """The built program and the built test run and are right."""
    shown = run([str(build / EXPECT["program"]), *EXPECT["arguments"]])
    assert shown == EXPECT["output"]
    run([str(build / EXPECT["test"])])


def test_embedded_cluster_builds_the_sample(calculator: Path, tmp_path: Path) -> None:
    """With no cluster configured a build brings its own; the second build compiles nothing."""
    first = dbuild(tmp_path, calculator)
    assert first.status == 0, first.output + first.errors
    assert first.summary["remote"] == EXPECT["compile_actions"]
    assert set(first.summary["local_reasons"]) == LEFT_HERE
    check_program(calculator / "build")
    before = products(calculator / "build")
    shutil.rmtree(calculator / "build")
    second = dbuild(tmp_path, calculator)
    assert second.summary["cache_hits"] == EXPECT["compile_actions"], second.output
    assert products(calculator / "build") == before
    # The first build's files were removed by hand, the second's are known.
    argv = python("cyxmake_cli.main", "clean", "-C", str(calculator), "--yes")
    subprocess.run(argv, env=environment(CYXMAKE_CONFIG_DIR=str(tmp_path / "config")), check=True)
    assert not (calculator / "build").exists()
    assert (calculator / "src/main.cpp").exists()


def test_embedded_cluster_as_users_have_it(calculator: Path, tmp_path: Path) -> None:
    """Wherever each action runs by default, the bytes are ninja's; what the cluster did is kept."""
    build = calculator / "build"
    configure(CMAKE, calculator, build)
    run(["ninja", "-C", str(build)])
    wanted = products(build)
    sums = []
    for _ in range(2):
        shutil.rmtree(build)
        done = dbuild(tmp_path, calculator, "--place", "auto", "--option=-GNinja")
        assert done.status == 0, done.output + done.errors
        assert products(build) == wanted
        sums.append(done.summary)
    first, second = sums
    assert first["remote"] + first["local"] == first["actions"]
    assert second["cache_hits"] >= first["remote"] - first["races"]["won_here"]
    check_program(build)


def test_same_bytes_as_ninja(calculator: Path, shared_cluster: Cluster) -> None:
    """Objects, archives, programs and recorded dependencies equal those of a plain ninja build."""
    build = calculator / "build"
    configure(CMAKE, calculator, build)
    run(["ninja", "-C", str(build)])
    wanted, dependencies = products(build), recorded_dependencies(build)
    configure(CMAKE, calculator, build)
    done = shared_cluster.build(calculator, "--no-cache")
    assert done.status == 0, done.output + done.errors
    assert done.summary["remote"] == EXPECT["compile_actions"]
    assert products(build) == wanted
    assert sorted(recorded_dependencies(build).split("\n\n")) == sorted(dependencies.split("\n\n"))
    assert nothing_to_do(build)
    check_program(build)


def test_touched_source_and_header(calculator: Path, shared_cluster: Cluster) -> None:
    """One touched source is one compile; a touched header is exactly ninja's set."""
    assert shared_cluster.build(calculator).status == 0
    build = calculator / "build"
    for name in ("src/evaluate.c", "src/parser.h", "include/calc/calc.h"):
        (calculator / name).touch()
        planned = run(["ninja", "-C", str(build), "-n"]).splitlines()
        done = shared_cluster.build(calculator)
        assert done.status == 0
        assert done.summary["actions"] == sum(line.startswith("[") for line in planned), name
        assert nothing_to_do(build)


def test_changed_header_is_a_miss_and_back_again_a_hit(
    calculator: Path, shared_cluster: Cluster
) -> None:
    """Results follow contents: a changed header compiles, the old content hits again."""
    assert shared_cluster.build(calculator).status == 0
    header = calculator / "src/parser.h"
    old = header.read_text()
    header.write_text(old.replace("int failed;", "int failed;\n    int spare;"))
    changed = shared_cluster.build(calculator)
    assert (changed.summary["remote"], changed.summary["cache_hits"]) == (2, 0)
    header.write_text(old)
    back = shared_cluster.build(calculator)
    assert (back.summary["remote"], back.summary["cache_hits"]) == (0, 2)


def test_new_header_that_shadows_another_is_a_miss(
    calculator: Path, shared_cluster: Cluster
) -> None:
    """A header that appears where the compiler looked in vain must not be overlooked."""
    assert shared_cluster.build(calculator).status == 0
    build = calculator / "build"
    shadow = calculator / "src/ctype.h"  # found before the system's, by quote includes only
    shadow.write_text("#error shadowed\n")
    own = calculator / "include/math.h"  # -I comes before the system's directories
    own.write_text("#define SHADOW 1\n#include_next <math.h>\n")
    shutil.rmtree(build)
    done = shared_cluster.build(calculator)
    assert done.status == 0, done.output
    assert "include/math.h" in recorded_dependencies(build)
    assert done.summary["remote"] >= 1


def test_a_compile_error_reads_as_ninjas(calculator: Path, shared_cluster: Cluster) -> None:
    """Text and exit status of a failing compile are the local ones; nothing of it is cached."""
    source = calculator / "src/evaluate.c"
    source.write_text(source.read_text().replace("parser.failed ||", "parser.missing ||"))
    build = calculator / "build"
    configure(CMAKE, calculator, build)
    local = subprocess.run(
        ["ninja", "-C", str(build), "-j1"], capture_output=True, text=True, check=False
    )
    configure(CMAKE, calculator, build)
    for _ in range(2):
        done = shared_cluster.build(calculator)
        assert done.status == local.returncode == 1
        message = local.stdout.partition("c: In function")[2].partition("ninja:")[0]
        assert message and message in done.output
        assert done.summary["failed"] == 1
    assert not (build / "CMakeFiles/calc.dir/src/evaluate.c.o").exists()
    source.write_text(source.read_text().replace("parser.missing ||", "parser.failed ||"))
    assert shared_cluster.build(calculator).status == 0


def test_warnings_come_back(calculator: Path, shared_cluster: Cluster) -> None:
    """A warning is shown when it was made and again when it comes from the cache."""
    source = calculator / "src/evaluate.c"
    source.write_text("#warning look here\n" + source.read_text())
    for _ in range(2):
        shutil.rmtree(calculator / "build", ignore_errors=True)
        done = shared_cluster.build(calculator)
        assert done.status == 0
        assert "warning: #warning look here" in done.output
    assert done.summary["cache_hits"] == EXPECT["compile_actions"]


@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="watches files through inotify")
def test_no_compiler_is_started_for_hits(calculator: Path, shared_cluster: Cluster) -> None:
    """A build from the cache opens no compiler proper, neither here nor on a worker."""
    build = calculator / "build"
    stages = [run([tool, f"-print-prog-name={name}"]).strip()
              for tool, name in (("gcc", "cc1"), ("g++", "cc1plus"))]  # fmt: skip
    assert shared_cluster.build(calculator).status == 0
    executed = sum(worker.text().count("executed") for worker in shared_cluster.workers.values())
    with watch_opens(*stages) as opened:
        counts: list[int] = []
        while 0 not in counts and len(counts) < 3:  # somebody else may compile on this machine
            before = opened.count()
            run(["ninja", "-C", str(build), "-t", "clean"])
            done = shared_cluster.build(calculator)
            assert done.summary["cache_hits"] == EXPECT["compile_actions"], done.output
            counts.append(opened.count() - before)
        assert 0 in counts
        before = opened.count()
        run(["ninja", "-C", str(build), "-t", "clean"])
        run(["ninja", "-C", str(build), "libcalc.a"])
        assert opened.count() > before  # the watch does see a compiler
    again = sum(worker.text().count("executed") for worker in shared_cluster.workers.values())
    assert again == executed


def test_two_checkouts_do_not_mix(
    calculator: Path, shared_cluster: Cluster, tmp_path: Path
) -> None:
    """A result that names its checkout is not used for another one."""
    assert shared_cluster.build(calculator).status == 0
    other = tmp_path / "elsewhere" / "calculator"
    shutil.copytree(calculator, other, ignore=shutil.ignore_patterns("build"))
    assert shared_cluster.build(other).status == 0
    for path in (other / "build").rglob("*.o"):
        assert bytes(calculator) + b"/" not in path.read_bytes(), path


@pytest.mark.parametrize("place", ["build", "../build-beside"])
def test_another_checkout_hits_where_outputs_hold_no_path(
    place: str, calculator: Path, shared_cluster: Cluster, tmp_path: Path
) -> None:
    """Without debug information a second checkout, elsewhere and deeper, is all hits."""
    options = ("--option=-DCMAKE_BUILD_TYPE=Release", "--build-dir", place)
    assert shared_cluster.build(calculator, *options).status == 0
    other = tmp_path / "a" / "much-longer-name-of-a-directory" / "calculator"
    shutil.copytree(calculator, other, ignore=shutil.ignore_patterns("build"))
    done = shared_cluster.build(other, *options, "-d", "keepdepfile")
    assert done.status == 0
    assert done.summary["cache_hits"] == EXPECT["compile_actions"], done.output
    build = (other / place).resolve()
    moved = products(build)
    configure((*CMAKE, "-DCMAKE_BUILD_TYPE=Release"), other, build)
    run(["ninja", "-C", str(build), "-d", "keepdepfile"])
    assert products(build) == moved
    assert any(name.endswith(".d") for name in moved)


@pytest.mark.skipif(shutil.which("ccache") is None, reason="ccache is not installed")
def test_ccache_in_front_of_the_compiler_is_seen_through(
    calculator: Path, shared_cluster: Cluster, tmp_path: Path
) -> None:
    """`ccache cc` compiles remotely as cc does, unless its settings change what is compiled."""
    option = "--option=-DCMAKE_C_COMPILER_LAUNCHER=ccache"
    cache = {"CCACHE_DIR": str(tmp_path / "ccache")}
    done = shared_cluster.build(calculator, option, **cache)
    assert done.status == 0
    assert done.summary["local_reasons"].keys() == LEFT_HERE
    (calculator / "include/calc/calc.h").touch()
    based = shared_cluster.build(calculator, CCACHE_BASEDIR=str(tmp_path), **cache)
    assert based.status == 0
    reason = "ccache is set up to change what is compiled: base_dir"
    assert reason in based.summary["local_reasons"]


@pytest.mark.skipif(shutil.which("ccache") is None, reason="ccache is not installed")
def test_what_stands_in_for_the_compiler_is_seen_through(
    calculator: Path, shared_cluster: Cluster, tmp_path: Path
) -> None:
    """A script calls a link to ccache, which starts the next compiler in PATH: the same bytes."""
    (tmp_path / "masquerade").mkdir()
    for name in ("cc", "c++"):
        (tmp_path / "masquerade" / name).symlink_to(str(shutil.which("ccache")))
        script = tmp_path / f"wrapped-{name}"
        script.write_text(
            f'#!/bin/sh\n# ours\nexec {tmp_path}/masquerade/{name} -DWRAPPED="1" "$@"\n'
        )
        script.chmod(0o755)
    names = (("C", "cc"), ("CXX", "c++"))
    options = [f"-DCMAKE_{language}_COMPILER={tmp_path}/wrapped-{name}" for language, name in names]
    cache = {"CCACHE_DIR": str(tmp_path / "ccache")}
    done = shared_cluster.build(calculator, *(f"--option={o}" for o in options), **cache)
    assert done.status == 0
    assert done.summary["remote"] == EXPECT["compile_actions"]
    made = products(calculator / "build")
    shutil.rmtree(calculator / "build")
    configure((*CMAKE, *options), calculator, calculator / "build")
    run(["ninja", "-C", str(calculator / "build")])
    assert products(calculator / "build") == made


@pytest.mark.parametrize("arguments", [("calc_test",), ("libcalc.a", "calculator")])
def test_named_targets(
    calculator: Path, shared_cluster: Cluster, arguments: tuple[str, ...]
) -> None:
    """Only what the named targets need is built."""
    done = shared_cluster.build(calculator, *arguments)
    assert done.status == 0, done.output
    for name in ("calc_test", "calculator"):
        assert (calculator / "build" / name).exists() == (name in arguments)


def test_build_goes_to_a_configured_cluster(calculator: Path, shared_cluster: Cluster) -> None:
    """With a token `cyxmake build` goes the way of `dbuild`, without one and with --local not."""
    full = environment(
        CYXMAKE_CACHE_DIR=str(shared_cluster.home / "cache"),
        CYXMAKE_STATE_DIR=str(shared_cluster.home / "state"),
        CYXMAKE_CONFIG_DIR=str(shared_cluster.home / "config"),
        CYXMAKE_TOKEN=shared_cluster.token("client"),
    )

    def build(*arguments: str) -> dict[str, Any]:
        argv = python("cyxmake_cli.main", "build", "-C", str(calculator), "--json", *arguments)
        done = subprocess.run(argv, env=full, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    found = build("--type", "release")
    assert found["where"] == "cluster"
    compiled = found["cluster"]["remote"] + found["cluster"]["cache_hits"]
    assert compiled == EXPECT["compile_actions"]
    check_program(calculator / "build")
    assert build("--local")["where"] == "local"
    run(["cmake", "-S", str(calculator), "-B", str(calculator / "other"), "-G", "Unix Makefiles"])
    assert build("--build-dir", "other")["where"] == "local"
    del full["CYXMAKE_TOKEN"]
    assert build()["where"] == "local"


def test_the_doctor_compiles_on_a_worker(tmp_path: Path, shared_cluster: Cluster) -> None:
    """With a cluster the doctor asks the coordinator and has a worker compile something new."""
    full = environment(
        CYXMAKE_CACHE_DIR=str(shared_cluster.home / "cache"),
        CYXMAKE_STATE_DIR=str(shared_cluster.home / "state"),
        CYXMAKE_CONFIG_DIR=str(shared_cluster.home / "config"),
        CYXMAKE_TOKEN=shared_cluster.token("client"),
    )
    argv = python("cyxmake_cli.main", "doctor", "-C", str(tmp_path), "--json")
    done = subprocess.run(argv, env=full, capture_output=True, text=True, check=False)
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert found["workers"]["detail"].startswith("2 take work")
    assert found["compile on a worker"]["detail"].startswith("done by w")
    assert done.returncode == 0, done.stdout
