"""What stands before a compiler: seen through where the compiler's own call is sure."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_cli.cluster.wrappers import Meant, Wrappers
from cyxmake_common.toolchain.compiler_caches import (
    CacheSettings,
    behind_ccache,
    distributes,
    read_ccache,
)
from cyxmake_common.toolchain.local import LocalOnly

GCC = shutil.which("gcc")
CLANG = shutil.which("clang")
CCACHE = shutil.which("ccache")
needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is not installed")
needs_ccache = pytest.mark.skipif(CCACHE is None, reason="ccache is not installed")


def script(path: Path, text: str) -> Path:
    """Write a script that can be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Return folders of compilers that only tell how they were called, and links to ccache."""
    for name in ("one/gcc", "one/clang", "two/gcc"):
        script(tmp_path / name, '#!/bin/sh\nprintf "%s\\0" "$0" "$@"\n')
    for name in ("masquerade/gcc", "masquerade/clang"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(str(CCACHE))
    return tmp_path


@needs_ccache
@pytest.mark.parametrize(
    ("settings", "argv"),
    [
        ({}, ["gcc", "-c", "a b.c"]),
        ({}, ["ccache", "gcc", "-c", "a.c"]),
        ({}, ["ccache", "ccache", "{tools}/two/gcc", "-c", "a.c"]),
        ({"CCACHE_COMPILER": "clang"}, ["gcc", "-c", "a.c"]),
        ({"CCACHE_COMPILER": "{tools}/two/gcc"}, ["ccache", "gcc", "-c", "a.c"]),
        ({"CCACHE_PATH": "{tools}/two"}, ["gcc", "-c", "a.c"]),
        ({"CCACHE_CONFIGPATH": "{tools}/ccache.conf"}, ["gcc", "-c", "a.c"]),
    ],
)
def test_ccache_starts_what_we_say(tools: Path, settings: dict[str, str], argv: list[str]) -> None:
    """Its own call of the compiler, by every setting that chooses one, is the one foretold."""
    (tools / "ccache.conf").write_text(f"compiler = {tools}/two/gcc\n")
    path = f"{tools}/masquerade:{tools}/one:{tools}/two:{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "CCACHE_DIR": str(tools / "cache")}
    environ |= {name: value.format(tools=tools) for name, value in settings.items()}
    argv = [word.format(tools=tools) for word in argv]
    shown = subprocess.run([str(CCACHE), "-p"], env=environ, capture_output=True, check=True)
    read = read_ccache(shown.stdout)
    assert isinstance(read, CacheSettings), read
    # Disabled, it hands its arguments on as they are, so that the test need not sort them.
    off = {**environ, "CCACHE_DISABLE": "1"}
    told = subprocess.run(
        argv, env=off, capture_output=True, check=True, executable=shutil.which(argv[0], path=path)
    ).stdout
    assert behind_ccache(argv, read, path) == told.decode().split("\0")[:-1]


def test_ccache_for_itself() -> None:
    """Without a compiler, or with one that is not there, there is nothing to see."""
    for argv in (["ccache"], ["ccache", "-c", "a.c"], ["ccache", "no-such-gcc", "-c"]):
        assert isinstance(behind_ccache(argv, CacheSettings(), "/usr/bin"), LocalOnly)
    assert isinstance(read_ccache(b"gcc (Debian)"), LocalOnly)


def test_sccache_that_distributes(tmp_path: Path) -> None:
    """Its settings tell; those that cannot be read may say anything."""
    environ = {"HOME": str(tmp_path)}
    assert not distributes(environ)
    (tmp_path / ".config/sccache").mkdir(parents=True)
    (tmp_path / ".config/sccache/config").write_text("[cache.disk]\n")
    assert not distributes(environ)
    (tmp_path / ".config/sccache/config").write_text('[dist]\nscheduler_url = "http://x"\n')
    assert distributes(environ)
    assert distributes({"SCCACHE_CONF": str(tmp_path)})


def elf(path: Path) -> None:
    """Make a file that begins as a program does; nobody may start it."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)


@needs_gcc
async def test_chains_of_wrappers(tmp_path: Path) -> None:
    """Scripts, links and caches are followed to the compiler's own argv; the rest stays here."""
    for name in ("distcc", "sccache", "icecc"):
        elf(tmp_path / "shims" / name)
    (tmp_path / "masquerade").mkdir()
    (tmp_path / "masquerade/gcc").symlink_to("../shims/distcc")
    first = script(tmp_path / "first/gcc", f'#!/bin/sh\nexec {GCC} -DONE "$@" -DLAST\n')
    script(tmp_path / "my-compiler", f'#!/bin/sh\nA={first}\nexec "$A" -DTWO "$@"\n')
    script(tmp_path / "loop", f'#!/bin/sh\nexec {tmp_path}/loop "$@"\n')
    script(tmp_path / "ccache-gcc", '#!/bin/sh\nexec sccache gcc "$@"\n')
    script(tmp_path / "other", '#!/bin/sh\nexec cat "$@"\n')
    (tmp_path / "unfit").write_text('#!/bin/sh\nexec gcc "$@"\n')
    path = f"{tmp_path}/shims:{os.environ['PATH']}"
    environ = {"PATH": path, "HOME": str(tmp_path)}
    wrappers = Wrappers(Toolchains(tmp_path / "cache", environ))

    async def see(text: str) -> Meant | LocalOnly:
        return await wrappers.see(text.split(), str(tmp_path))

    plain = await see("gcc -c a.c")
    assert isinstance(plain, Meant)
    assert plain.argv == ["gcc", "-c", "a.c"]
    for text, argv in (
        ("./my-compiler -c a.c", [str(GCC), "-DONE", "-DTWO", "-c", "a.c", "-DLAST"]),
        ("sccache gcc -c a.c", ["gcc", "-c", "a.c"]),
        ("./ccache-gcc -c a.c", ["gcc", "-c", "a.c"]),
    ):
        seen = await see(text)
        assert isinstance(seen, Meant), seen
        assert seen.argv == argv
        assert seen.toolchain == plain.toolchain
    for text, reason in (
        ("masquerade/gcc -c a.c", "is distcc, which may compile elsewhere"),
        ("icecc gcc -c a.c", "is icecc, which may compile elsewhere"),
        ("sccache --show-stats", "called for itself"),
        ("./loop -c a.c", "leads from wrapper to wrapper"),
        ("./other -c a.c", "cat is no known compiler"),
        ("./unfit -c a.c", "is no program"),
        ("no-such-gcc -c a.c", "is not found"),
    ):
        refused = await see(text)
        assert isinstance(refused, LocalOnly), refused
        assert reason in refused.reason
    # A wrapper that changes in the middle of a build is read again.
    script(first, f'#!/bin/sh\nexec {GCC} -DTHREE "$@"\n')
    changed = await see("./my-compiler -c a.c")
    assert isinstance(changed, Meant)
    assert changed.argv == [str(GCC), "-DTHREE", "-DTWO", "-c", "a.c"]


@pytest.mark.skipif(CLANG is None, reason="clang is not installed")
async def test_a_recorded_command_line_is_not_a_caches(tmp_path: Path) -> None:
    """clang writes its arguments into the object, and a cache has its own order for them."""
    elf(tmp_path / "sccache")
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    wrappers = Wrappers(Toolchains(tmp_path / "cache", environ))
    seen = await wrappers.see(["clang", "-grecord-command-line", "-c", "a.c"], "/")
    assert isinstance(seen, Meant)
    behind = await wrappers.see(["sccache", "clang", "-grecord-command-line", "-c", "a.c"], "/")
    assert isinstance(behind, LocalOnly)
    assert "rearranges" in behind.reason
