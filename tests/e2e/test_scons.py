"""A SCons project through the stand-ins: SCons calls compilers by name and trusts no times."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import products
from support.launcher_user import User, make_user
from support.processes import Cluster

pytestmark = pytest.mark.skipif(shutil.which("scons") is None, reason="scons is not installed")

_SCONSTRUCT = """import os
env = Environment(ENV=os.environ, CPPPATH=["include"], CCFLAGS=["-O1"])
env.Program("program", ["main.c", "part.cpp"], LINK="g++")
"""


@pytest.fixture
def user(tmp_path: Path, shared_cluster: Cluster) -> Iterator[User]:
    """A user of the shared cluster whose agent ends with the test."""
    made = make_user(tmp_path / "home", CYXMAKE_TOKEN=shared_cluster.token("client"))
    yield made
    made.stop()


def scons(user: User, directory: Path, *arguments: str, stand_ins: bool = True) -> str:
    """Run SCons, with or without the stand-ins first in PATH; returns what it said."""
    path = user.env["PATH"]
    if stand_ins:
        path = f"{user.home / 'cache/launcher/bin'}:{path}"
    done = subprocess.run(
        ["scons", *arguments], cwd=directory, env=user.env | {"PATH": path}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_scons_compiles_on_the_cluster(user: User, tmp_path: Path) -> None:
    """The same products as without us, hits after a clean, and nothing to do for SCons itself."""
    project = tmp_path / "p"
    (project / "include").mkdir(parents=True)
    (project / "SConstruct").write_text(_SCONSTRUCT)
    (project / "include/part.h").write_text(f"/* {tmp_path} */\n#define PART 3\n")
    (project / "main.c").write_text("int part(void);\nint main(void) { return part() - 3; }\n")
    (project / "part.cpp").write_text(
        '#include "part.h"\nextern "C" int part(void) { return PART; }\n'
    )
    scons(user, project, stand_ins=False)
    wanted = products(project)
    assert {"main.o", "part.o", "program"} <= wanted.keys()
    user.cyxmake("launcher", "install")
    user.cyxmake("launcher", "start")
    for served in ((0, 2, 0), (2, 2, 0)):
        scons(user, project, "-c", stand_ins=False)
        scons(user, project)
        assert products(project) == wanted
        assert user.served() == served
    assert "is up to date" in scons(user, project)
    subprocess.run([project / "program"], check=True)
    (project / "include/part.h").write_text("#define PART 4\n")
    scons(user, project)
    assert subprocess.run([project / "program"], check=False).returncode == 1
