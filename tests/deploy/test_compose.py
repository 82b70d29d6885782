"""The composition for real: images, three workers, a build from outside, a loss, and the end.

Run with `pytest -m deploy`; what it needs is set up by prepare.sh.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyxmake_common.net.token import JoinToken
from support.builds import products, run
from support.containers import Engine, EngineUnavailable, wait_until
from support.processes import environment, python
from support.source_packages import SourceUnavailable, source_package

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1800)]

_WORKERS = 3


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine with fresh images and everything up; `down --volumes` leaves nothing of it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    try:
        made = Engine.prepare(
            "cyxtest", CYXMAKE_PORT=port, CYXMAKE_WORKERS=str(_WORKERS), CYXMAKE_WORKER_SLOTS="1"
        )
    except EngineUnavailable as missing:
        pytest.skip(str(missing))
    made.compose("down", "--volumes")
    made.compose("build")
    made.compose("up", "--detach")
    yield made
    made.compose("down", "--volumes")
    # The workers' own volumes have no name; podman-compose leaves those, docker compose does not.
    made.podman("volume", "prune", "--force")
    assert made.leftovers() == []


def _healthy(engine: Engine, container: str) -> bool:
    """Run a container's own health check, which the engine itself does only below systemd."""
    kind, *command = engine.inspect(container)["Config"]["Healthcheck"]["Test"]
    assert kind == "CMD"
    return engine.succeeds("exec", container, *command)


def _environment_of(process: int) -> bytes:
    root = Path(f"/proc/{process}")
    return (root / "environ").read_bytes() + (root / "cmdline").read_bytes()


def test_three_workers_become_healthy_without_a_hand(engine: Engine) -> None:
    """`up` is enough: no token was made by hand, and none is in an environment, argv or log."""
    (coordinator,), workers = engine.containers("coordinator"), engine.containers("worker")
    assert len(workers) == _WORKERS
    for name in (coordinator, *workers):
        wait_until(
            lambda name=name: _healthy(engine, name),  # type: ignore[misc]
            180,
            lambda name=name: engine.podman("logs", name),  # type: ignore[misc]
        )
    table = engine.podman("exec", coordinator, "cyxmake-coordinator", "workers")
    assert table.count("cyxmake-sandbox=namespace") == _WORKERS, table
    for name in (coordinator, *workers):
        assert "cyx1." not in engine.podman("logs", name)
        assert b"cyx1." not in _environment_of(engine.inspect(name)["State"]["Pid"])


def test_containers_have_no_rights(engine: Engine) -> None:
    """A user of their own, no capability at all, no way to gain one, nothing to write but data."""
    (coordinator,), workers = engine.containers("coordinator"), engine.containers("worker")
    for name in (coordinator, *workers):
        status = engine.podman("exec", name, "cat", "/proc/1/status")
        fields = dict(re.findall(r"^(\w+):\t(.*)$", status, re.MULTILINE))
        assert set(fields["Uid"].split()) == {"10001"}
        assert {fields[f"Cap{kind}"] for kind in ("Prm", "Eff", "Bnd", "Inh")} == {"0" * 16}
        assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
        assert "Read-only" in engine.podman("exec", name, "touch", "/opt/x", check=False)
    for name in workers:
        token = "/run/cyxmake/join/worker.token"
        assert "Read-only" in engine.podman("exec", name, "touch", token, check=False)
        check = engine.podman("exec", name, "cyxmake-worker", "check").splitlines()
        assert check == ["sandbox: namespace (/var/lib/cyxmake)"]  # nothing to advise


def test_without_the_profile_a_worker_says_what_it_lacks(engine: Engine) -> None:
    """The engine's own filter, or covered parts of /proc, are named together with the remedy."""
    argv = ("run", "--rm", "--cap-drop", "all", "--security-opt", "no-new-privileges")
    image = ("--volume", "/var/lib/cyxmake", "localhost/cyxmake-worker:local", "check")
    said = engine.podman(*argv, *image, check=False)
    assert "sandbox: none" in said
    assert "deploy/seccomp-worker.json" in said
    profile = ("--security-opt", "seccomp=deploy/seccomp-worker.json")
    said = engine.podman(*argv, *profile, *image)
    assert "sandbox: namespace" in said
    assert "systempaths=unconfined" in said


def test_a_build_from_outside_survives_a_killed_worker(engine: Engine, tmp_path: Path) -> None:
    """lua, built through the published port while a worker container dies, has the right bytes."""
    try:
        sources = source_package("lua5.4")
    except SourceUnavailable as missing:
        pytest.skip(str(missing))
    (coordinator,), workers = engine.containers("coordinator"), engine.containers("worker")
    project = tmp_path / "lua"
    shutil.copytree(sources, project)
    run(["make", "linux"], project)
    expected = products(project)
    assert len(expected) > 30
    run(["make", "clean"], project)

    token = engine.podman(
        "exec", coordinator, "cyxmake-coordinator", "token", "create", "--role", "client",
        "--expires", "1h", "--address", f"wss://127.0.0.1:{engine.settings['CYXMAKE_PORT']}",
    ).strip()  # fmt: skip
    assert JoinToken.parse(token)
    env = environment(
        CYXMAKE_TOKEN=token,
        CYXMAKE_CACHE_DIR=str(tmp_path / "cache"),
        CYXMAKE_CONFIG_DIR=str(tmp_path / "config"),
    )
    log = tmp_path / "build.log"
    with log.open("wb") as file:
        build = subprocess.Popen(
            python("cyxmake_cli.main", "dbuild", "-v", "-C", str(project), "-j", "3", "linux"),
            env=env, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        victim = ""

        def busy() -> bool:
            nonlocal victim
            table = engine.podman("exec", coordinator, "cyxmake-coordinator", "workers")
            for line in table.splitlines()[1:]:
                name, _, running, done = line.split()[:4]
                if running.startswith("1") and int(done) > 0:
                    victim = name
            return bool(victim) or build.poll() is not None

        wait_until(busy, 240, log.read_text)
        assert build.poll() is None, log.read_text()
        (container,) = [n for n in workers if engine.inspect(n)["Id"].startswith(victim)]
        os.kill(engine.inspect(container)["State"]["Pid"], signal.SIGKILL)
        assert build.wait(600) == 0, log.read_text()[-3000:]
    finally:
        if build.poll() is None:
            build.kill()
            build.wait()
    assert products(project) == expected, log.read_text()[-3000:]
    remote = re.search(r"(\d+) remote", log.read_text())
    assert remote is not None
    assert int(remote[1]) > 30, log.read_text()[-3000:]
    status = json.loads(
        engine.podman("exec", coordinator, "cyxmake-coordinator", "status", "--json")
    )
    counters = {counter["name"]: counter["value"] for counter in status["counters"]}
    assert counters["workers_left"] == 1, counters
