"""What the agent decides before it asks a cluster, and what it remembers of files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cyxmake_cli.cluster.inputs import UnitInputs
from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_cli.launcher.inputs import CHANGED, FreshInputs
from cyxmake_cli.launcher.protocol import CompileRequest
from cyxmake_cli.launcher.rooms import _wants_colours, project_root, refusal
from cyxmake_cli.strategies.compile_units import CompileUnit, plan_unit
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.toolchain.local import LocalOnly


def request(*argv: str, directory: str = "/", compiler: str = "/usr/bin/gcc") -> CompileRequest:
    """Return a compile request."""
    return CompileRequest(directory, compiler, argv or ("gcc", "-c", "a.c"), {})


def test_the_project_is_the_nearest_one_above(tmp_path: Path) -> None:
    """A version control directory or file marks it; CYXMAKE_ROOT wins where it is above."""
    deep = tmp_path / "outer" / "inner" / "src"
    deep.mkdir(parents=True)
    assert project_root(str(deep), {}) == str(deep)
    (tmp_path / "outer/.hg").mkdir()
    assert project_root(str(deep), {}) == str(tmp_path / "outer")
    (tmp_path / "outer/inner/.git").write_text("gitdir: elsewhere\n")
    assert project_root(str(deep), {}) == str(tmp_path / "outer/inner")
    assert project_root(str(deep), {"CYXMAKE_ROOT": str(tmp_path)}) == str(tmp_path)
    assert project_root(str(deep), {"CYXMAKE_ROOT": "/elsewhere"}) == str(tmp_path / "outer/inner")
    assert project_root("/", {}) == "/"


def test_what_a_worker_could_not_repeat_is_refused(tmp_path: Path) -> None:
    """Dots in the directory's name, bytes of no encoding, a compiler without a place."""
    assert refusal(request(directory=str(tmp_path))) is None
    assert "dots in it" in str(refusal(request(directory=f"{tmp_path}/.")))
    assert "Unicode" in str(refusal(request("gcc", "-c", "\udcff.c")))
    assert "relative" in str(refusal(request(compiler="./gcc")))
    assert "no known compiler" in str(refusal(request("moc", "-c", "a.c")))


@pytest.mark.parametrize(
    ("argv", "terminal", "term", "wanted"),
    [
        ((), False, "xterm", False),
        ((), True, "xterm", True),
        ((), True, "dumb", False),
        (("-fdiagnostics-color=always",), False, "", True),
        (("-fdiagnostics-color=never",), True, "xterm", False),
        (("-fdiagnostics-color=auto",), True, "xterm", True),
        (("-fcolor-diagnostics", "-fno-color-diagnostics"), True, "xterm", False),
    ],
)
def test_colours_are_wanted_when_the_compiler_would_write_them(
    argv: tuple[str, ...], terminal: bool, term: str, wanted: bool
) -> None:
    """By options, else by the terminal."""
    asked = CompileRequest("/", "/usr/bin/gcc", ("gcc", *argv), {"TERM": term}, 0, terminal)
    assert _wants_colours(asked) is wanted


# ── inputs that change between any two requests ─────────────────────────────────────────────────


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for the captured compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    return tmp_path_factory.mktemp("cache")


async def unit_of(cache: Path, folder: Path) -> CompileUnit:
    """Return the compile of main.c in a folder."""
    found = await Toolchains(cache).find("gcc", "/")
    assert not isinstance(found, LocalOnly)
    argv = ["gcc", "-Iinclude", "-c", "main.c"]
    unit = plan_unit(argv, (), str(folder), found[1], found[0], os.environ)
    assert not isinstance(unit, LocalOnly)
    return unit


def project_files(inputs: UnitInputs | LocalOnly, folder: Path) -> set[str]:
    """Return the files of the project that a unit may read."""
    assert isinstance(inputs, UnitInputs), inputs
    below = str(folder) + "/"
    return {path.removeprefix(below) for path, _ in inputs.files if path.startswith(below)}


async def test_every_change_is_seen_by_the_next_request(cache: Path, tmp_path: Path) -> None:
    """Headers that appear, go, change, become links; directories that come into being."""
    (tmp_path / "main.c").write_text('#include "a.h"\n')
    inputs = FreshInputs(FileDigests(), lambda: Toolchains(cache))
    unit = await unit_of(cache, tmp_path)

    async def files() -> set[str]:
        return project_files(await inputs.prepare(unit), tmp_path)

    assert await files() == {"main.c"}
    (tmp_path / "include").mkdir()
    (tmp_path / "include/a.h").write_text("")
    assert await files() == {"main.c", "include/a.h"}
    (tmp_path / "a.h").write_text('#include "b.h"\n')
    assert await files() == {"main.c", "a.h"}
    (tmp_path / "b.h").symlink_to("real.h")
    assert await files() == {"main.c", "a.h"}
    (tmp_path / "real.h").write_text("")
    assert await files() == {"main.c", "a.h", "b.h"}
    (tmp_path / "a.h").write_text('#include "c.h"\n')
    (tmp_path / "c.h").write_text("")
    assert await files() == {"main.c", "a.h", "c.h"}
    (tmp_path / "a.h").unlink()
    assert await files() == {"main.c", "include/a.h"}
    shutil.rmtree(tmp_path / "include")
    assert await files() == {"main.c"}


async def test_a_removed_header_is_in_no_later_root(cache: Path, tmp_path: Path) -> None:
    """A root holds what is there now, not what was there once: the worker must not find more."""
    (tmp_path / "main.c").write_text('#include "a.h"\n')
    inputs = FreshInputs(FileDigests(), lambda: Toolchains(cache))
    unit = await unit_of(cache, tmp_path)
    before = await inputs.prepare(unit)
    (tmp_path / "a.h").write_text("int unique;\n")
    await inputs.prepare(unit)
    (tmp_path / "a.h").unlink()
    after = await inputs.prepare(unit)
    assert isinstance(before, UnitInputs) and isinstance(after, UnitInputs)
    assert after.root.digest == before.root.digest


async def test_a_changed_input_is_noticed_after_the_compile(cache: Path, tmp_path: Path) -> None:
    """What was sent and what is there now differ: the result is not to be used."""
    (tmp_path / "main.c").write_text("int x;\n")
    inputs = FreshInputs(FileDigests(), lambda: Toolchains(cache))
    prepared = await inputs.prepare(await unit_of(cache, tmp_path))
    assert isinstance(prepared, UnitInputs)
    assert inputs.unchanged(prepared)
    (tmp_path / "main.c").write_text("int y;\n")
    assert not inputs.unchanged(prepared)
    (tmp_path / "main.c").unlink()
    assert not inputs.unchanged(prepared)


async def test_a_compiler_that_is_another_now_stays_local(cache: Path, tmp_path: Path) -> None:
    """The unit was planned with a toolchain that the machine no longer has."""
    (tmp_path / "main.c").write_text("int x;\n")
    unit = await unit_of(cache, tmp_path)
    (tmp_path / "gcc").write_text("#!/bin/sh\n")

    class Changed(Toolchains):
        """Finds a script where the compiler was."""

        async def find(self, program: str, directory: str):  # type: ignore[no-untyped-def]
            return LocalOnly("a script")

    inputs = FreshInputs(FileDigests(), lambda: Changed(cache))
    assert await inputs.prepare(unit) is CHANGED
