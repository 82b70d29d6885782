"""What is shipped for deployments: every file passes the check of those who made its format.

Checks whose tools are missing are skipped with their name; the container tests run the files.
"""

from __future__ import annotations

import json
import os
import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.containers import BASE_IMAGE, Engine, EngineUnavailable
from support.processes import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
_EXPOSURE = {"cyxmake-coordinator.service": 2.0, "cyxmake-worker.service": 3.0}


def _tool(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _check(*argv: str) -> str:
    done = subprocess.run(
        argv, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"LC_ALL": "C", "SYSTEMD_COLORS": "0"},
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_dockerfile_is_clean() -> None:
    """hadolint has nothing to say, not even for information."""
    said = _check(_tool("hadolint"), "--failure-threshold", "style", str(DEPLOY / "Dockerfile"))
    assert said == ""


def test_compose_file_fits_the_specification() -> None:
    """The published schema takes the file."""
    check = _tool("check-jsonschema")
    _check(check, "--builtin-schema", "vendor.compose-spec", str(REPOSITORY / "docker-compose.yml"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_are_sound_and_hardened(unit: Path, tmp_path: Path) -> None:
    """No word that systemd does not know; exposure below what is promised."""
    analyze = _tool("systemd-analyze")
    # A program that exists stands for ours, else only its absence would be found.
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", unit.read_text(), flags=re.M))
    assert _check(analyze, "verify", "--man=no", str(copy)) == ""
    said = _check(analyze, "security", "--offline=true", "--no-pager", str(copy))
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert level is not None, said
    assert float(level[1]) <= _EXPOSURE[unit.name], said


def test_every_setting_named_in_a_file_exists() -> None:
    """Variables in units, images, compositions and manifests are settings of their program."""
    from cyxmake_coordinator.config import CoordinatorConfig
    from cyxmake_worker.config import WorkerConfig

    known = {f"CYXMAKE_COORDINATOR_{key.upper()}" for key in CoordinatorConfig.model_fields}
    known |= {f"CYXMAKE_WORKER_{key.upper()}" for key in WorkerConfig.model_fields}
    used = set()
    for file in [REPOSITORY / "docker-compose.yml", *DEPLOY.rglob("*")]:
        if file.is_file():
            used |= set(re.findall(r"\bCYXMAKE_(?:COORDINATOR|WORKER)_\w+", file.read_text()))
    assert len(used) > 8
    assert used - known == set()


def test_every_setting_is_explained() -> None:
    """OPERATIONS.md has a row for each setting of coordinator and worker, and for none besides."""
    from cyxmake_coordinator.config import CoordinatorConfig
    from cyxmake_worker.config import WorkerConfig

    text = (REPOSITORY / "docs/OPERATIONS.md").read_text("utf-8")
    for title, model in (("coordinator", CoordinatorConfig), ("worker", WorkerConfig)):
        section = text.partition(f"## Settings of the {title}\n")[2].partition("\n## ")[0]
        rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
        listed = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
        assert listed == set(model.model_fields)


def test_launchd_lists_start_the_programs() -> None:
    """Both are property lists, start what is installed, and keep secrets out of the arguments."""
    lists = sorted((DEPLOY / "launchd").glob("*.plist"))
    assert len(lists) == 2
    for file in lists:
        job = plistlib.loads(file.read_bytes())
        assert job["Label"] == file.stem
        program = "cyxmake-" + file.stem.partition(".")[2]
        assert job["ProgramArguments"][0] == f"/opt/cyxmake/bin/{program}"
        assert job["KeepAlive"] == {"SuccessfulExit": False}
        assert job["UserName"] == "_cyxmake"


def test_worker_profile_forbids_what_no_build_needs() -> None:
    """The profile leaves open what a sandbox is made of, and closes the ways into the kernel."""
    profile = json.loads((DEPLOY / "seccomp-worker.json").read_text())
    (rule,) = profile["syscalls"]
    closed = set(rule["names"])
    assert rule["action"] == "SCMP_ACT_ERRNO"
    assert not closed & {"unshare", "setns", "mount", "umount2", "pivot_root", "clone", "clone3"}
    assert closed >= {"bpf", "kexec_load", "init_module", "perf_event_open", "io_uring_setup"}


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_install_script_refuses_and_rehearses(tmp_path: Path) -> None:
    """A wrong word is an error with a next step; a rehearsal touches nothing."""
    script, home = str(DEPLOY / "install.sh"), tmp_path / "home"
    home.mkdir()

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", script, *arguments], capture_output=True, text=True, check=False, timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
        )  # fmt: skip

    for wrong in (["--nonsense"], ["--service", "worker"], ["--prefix"], ["--python", "/none"]):
        done = call(*wrong)
        assert done.returncode == 2, done
        assert done.stderr.startswith("error: ")
        assert "next: " in done.stderr
    taken = home / "taken"
    taken.mkdir()
    (taken / "mine").touch()
    assert "was not made by this script" in call("--prefix", str(taken)).stderr
    assert "was not made by this script" in call("--uninstall", "--prefix", str(taken)).stderr
    assert call("--dry-run", "--python", sys.executable).returncode == 0
    assert sorted(p.name for p in home.rglob("*")) == ["mine", "taken"]


@pytest.mark.deploy
@pytest.mark.timeout(900)
def test_install_upgrade_uninstall(tmp_path: Path) -> None:
    """The programs work from their own environment; afterwards nothing of it is left."""
    home = tmp_path / "home"
    home.mkdir()
    env = os.environ | {"HOME": str(home), "XDG_DATA_HOME": str(home / "data")}
    script = [str(DEPLOY / "install.sh"), "--user", "--python", sys.executable]
    for _ in ("install", "upgrade"):
        done = subprocess.run(script, env=env, text=True, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
        for program in ("cyxmake", "cyxmake-coordinator", "cyxmake-worker"):
            _check(str(home / ".local/bin" / program), "--version")
    (home / ".local/bin/cyxmake-worker").unlink()
    (home / ".local/bin/cyxmake-worker").write_text("somebody else's")
    subprocess.run([*script, "--uninstall"], env=env, check=True)
    # Only where it installs: pip's helpers leave files of their own in a fresh home.
    places = [home / ".local", home / "data"]
    left = [path for place in places for path in place.rglob("*") if not path.is_dir()]
    assert [path.name for path in left] == ["cyxmake-worker"]


_SYSTEM = """
set -e
mkdir /tree && cd /src
cp -r pyproject.toml README.md LICENSE common coordinator worker cli deploy /tree
/tree/deploy/install.sh --system --service coordinator --service worker
cyxmake-worker --version && cyxmake-coordinator --version && cyxmake --version
id cyxmake && test -d /etc/cyxmake && test -f /etc/systemd/system/cyxmake-worker.service
/tree/deploy/install.sh --system --uninstall
test ! -e /opt/cyxmake && ! ls /etc/systemd/system/cyxmake-* /usr/local/bin/cyxmake*
test -d /etc/cyxmake && echo all is well
"""


@pytest.mark.deploy
@pytest.mark.timeout(900)
def test_install_for_a_whole_machine() -> None:
    """On a fresh Debian: user, units and programs are there, then gone; settings stay."""
    try:
        engine = Engine.prepare("cyxtest")
    except EngineUnavailable as missing:
        pytest.skip(str(missing))
    said = engine.podman(
        "run", "--rm", "--network", "host", "--volume", f"{REPOSITORY}:/src:ro", BASE_IMAGE,
        "sh", "-c", _SYSTEM,
    )  # fmt: skip
    assert said.splitlines()[-1] == "all is well"


@pytest.mark.deploy
@pytest.mark.timeout(900)
def test_manifests_fit_kubernetes() -> None:
    """Every object passes the strict schema of the newest version that the checker knows."""
    try:
        validate = Engine.prepare("cyxtest").tool("kubernetes-validate")
    except EngineUnavailable as missing:
        pytest.skip(str(missing))
    files = [f for f in (DEPLOY / "kubernetes").glob("*.yaml") if f.name != "kustomization.yaml"]
    said = _check(validate, "--strict", *map(str, files))
    assert said.count(" passed ") == 6, said
