"""Cache entries of real compiles: exact inputs, absences, keys equal to the client's."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cyxmake_common.action import ISA, OS_FAMILY, ActionResult
from cyxmake_common.cache.key import KeyInputs, expand, manifest, tokenise, unpack_paths
from cyxmake_common.digest import Digest
from cyxmake_common.includes.depfile_layout import Layout, fill
from cyxmake_common.platform import isa, os_family
from cyxmake_common.protocol.messages import CacheEntry
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.normalise import normalise
from cyxmake_worker.entries import PRIVATE_DEPFILE
from cyxmake_worker.toolchains import LocalToolchains
from support.worker_bench import Bench, bench
from support.worker_client import Project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the namespace sandbox")

HEADERS = {
    "/project/src/a.c": b'#include "a.h"\n#include <b.h>\nint f(void) { return A + B; }\n',
    "/project/src/a.h": b"#define A 1\n",
    "/project/include/b.h": b"#if __has_include(<c.h>)\n#include <c.h>\n#endif\n#define B 2\n",
}
FLAGS = ("-Isrc/../generic", "-Iinclude")
COMPILE = ("gcc", *FLAGS, "-c", "src/a.c", "-o", "a.o")
WITH_DEPS = ("gcc", *FLAGS, "-MD", "-MF", "a.d", "-c", "src/a.c", "-o", "a.o")
SYSTEM = ("/usr/include/stdc-predef.h",)


@pytest.fixture
async def room(home: Path, gcc: Toolchain) -> AsyncIterator[Bench]:
    """Open a worker's rooms with gcc standing there."""
    async with bench(home, LocalToolchains([gcc])) as opened:
        yield opened


def project(toolchain: Toolchain, **files: bytes) -> Project:
    """Return the project of these tests, with more or other files by path."""
    more = {path.replace("__", "/"): data for path, data in files.items()}
    system = {path: Path(path).read_bytes() for path in SYSTEM if Path(path).exists()}
    return Project(
        files={**HEADERS, **system, **more},
        toolchain=toolchain,
        directories=("/project/generic", "/usr/include"),
    )


def client_key(
    made: Project, argv: tuple[str, ...], environment: tuple[tuple[str, str], ...] = ()
) -> Digest:
    """Return the reduced key as the client computes it."""
    command = parse_compile(argv)
    assert not isinstance(command, LocalOnly), command
    assert made.toolchain is not None
    return KeyInputs(
        toolchain=made.toolchain.id,
        arguments=normalise(command, made.root),
        environment=tuple(sorted((("PATH", made.toolchain.path), *environment))),
        directory=tokenise(made.root, made.root),
        source=Digest.of(made.files[posixpath.join(made.root, command.source)]),
        platform=tuple(sorted(((ISA, isa()), (OS_FAMILY, os_family())))),
    ).key()


def paths(entry: CacheEntry, root: str = "/project") -> set[str]:
    """Return the entry's dependencies, for a project at a root."""
    return {posixpath.normpath(expand(p, root)) for p in unpack_paths(entry.paths)}


def absent(entry: CacheEntry, root: str = "/project") -> set[str]:
    """Return the paths that must not exist."""
    return {posixpath.normpath(expand(p, root)) for p in unpack_paths(entry.absent)}


def applies(entry: CacheEntry, made: Project) -> bool:
    """Tell whether an entry holds for the files of a project, as the client decides it."""
    lines = []
    for token in unpack_paths(entry.paths):
        path = posixpath.normpath(expand(token, made.root))
        if path in made.files:
            lines.append((token, Digest.of(made.files[path])))
        else:
            lines.append((token, Digest.of_file(path)))
    if Digest.of(manifest(lines)) != entry.manifest:
        return False
    gone = {posixpath.normpath(expand(t, made.root)) for t in unpack_paths(entry.absent)}
    return not gone & made.files.keys()


async def test_the_entry_has_the_clients_key_and_the_exact_inputs(
    room: Bench, gcc: Toolchain
) -> None:
    """Dependencies come from the depfile; every place looked at before is named as absent."""
    made = project(gcc)
    done = await room.run(made.job(WITH_DEPS, ("a.o", "a.d")))
    entry = done.entry
    assert entry is not None
    assert entry.key == client_key(made, WITH_DEPS)
    found = paths(entry)
    assert {"/project/src/a.c", "/project/src/a.h", "/project/include/b.h"} <= found
    assert "/project/generic/b.h" in absent(entry)
    assert "/project/generic/c.h" in absent(entry)
    assert "/project/include/c.h" in absent(entry)
    assert applies(entry, made)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/project/src/a.h", b"#define A 5\n"),
        ("/project/generic/b.h", b"#define B 7\n"),
        ("/project/generic/c.h", b""),
    ],
)
async def test_a_changed_or_appearing_header_ends_the_entrys_use(
    room: Bench, gcc: Toolchain, path: str, data: bytes
) -> None:
    """A header that changes, shadows another or answers __has_include makes the entry miss."""
    made = project(gcc)
    entry = (await room.run(made.job(WITH_DEPS, ("a.o", "a.d")))).entry
    assert entry is not None
    assert not applies(entry, replace(made, files={**made.files, path: data}))


async def test_a_command_without_a_depfile_gets_one_of_ours(room: Bench, gcc: Toolchain) -> None:
    """The result names what the client asked for and nothing else; the inputs are as exact."""
    made = project(gcc)
    done = await room.run(made.job(COMPILE, ("a.o",)))
    assert done.entry is not None
    assert [o.path for o in ActionResult.from_bytes(done.result).outputs] == ["a.o"]
    assert done.entry.key == client_key(made, COMPILE)
    assert "/project/include/b.h" in paths(done.entry)
    assert done.entry.result == done.result


async def test_two_checkouts_share_an_entry_unless_the_object_names_its_place(
    room: Bench, gcc: Toolchain
) -> None:
    """Without debug information the root is empty and the key the same; with -g it is not."""
    here = project(gcc)
    files = {p.replace("/project", "/elsewhere", 1): d for p, d in here.files.items()}
    there = replace(here, root="/elsewhere", files=files, directories=("/elsewhere/generic",))
    one = (await room.run(here.job(COMPILE, ("a.o",)))).entry
    other = (await room.run(there.job(COMPILE, ("a.o",)))).entry
    assert one is not None
    assert other is not None
    assert (one.root, other.root) == ("", "")
    assert (one.key, one.manifest) == (other.key, other.manifest)
    assert applies(one, there)
    debug = (await room.run(here.job(("gcc", "-g", *COMPILE[1:]), ("a.o",)))).entry
    assert debug is not None
    assert debug.root == "/project"
    packed = (await room.run(here.job(("gcc", "-g", "-gz", *COMPILE[1:]), ("a.o",)))).entry
    assert packed is not None
    assert packed.root == "/project", "compressed sections hide the path"


@pytest.mark.parametrize("mode", ["-MD", "-MMD"])
async def test_a_depfile_that_names_the_place_becomes_a_template(
    home: Path, gcc: Toolchain, mode: str
) -> None:
    """Filled for another root it has the bytes that the compiler would have written there."""
    here = project(gcc)
    moved = "/some/where/much/further/away/from/here"
    files = {p.replace("/project", moved, 1): d for p, d in here.files.items()}
    there = replace(here, root=moved, files=files, directories=(f"{moved}/generic",))

    def argv(root: str) -> tuple[str, ...]:
        return (
            "gcc",
            f"-I{root}/include",
            mode,
            "-MF",
            "a.d",
            "-c",
            f"{root}/src/a.c",
            "-o",
            "a.o",
        )

    async with bench(home, LocalToolchains([gcc])) as room:
        one = await room.run(here.job(argv("/project"), ("a.o", "a.d")))
        other = await room.run(there.job(argv(moved), ("a.o", "a.d")))
        assert one.entry is not None
        assert other.entry is not None
        assert (one.entry.root, one.entry.depfile, one.entry.layout) == ("", "a.d", "gcc")
        assert (one.entry.key, one.entry.manifest) == (other.entry.key, other.entry.manifest)
        marked = output(room, one.entry.result, "a.d")
        written = output(room, other.result, "a.d")
        assert fill(marked, moved, Layout.GCC) == written
        assert fill(marked, "/project", Layout.GCC) == output(room, one.result, "a.d")


def output(room: Bench, result: bytes, path: str) -> bytes:
    """Return the bytes of an output as they came to the far side."""
    files = {o.path: o.digest for o in ActionResult.from_bytes(result).outputs}
    data = room.far.blobs[files[path]]
    assert isinstance(data, bytes)
    return data


@pytest.mark.parametrize("source", ["src/a.c", "src/../src/a.c", "/project/src/a.c"])
async def test_user_depfiles_are_completed_by_the_closure(
    room: Bench, gcc: Toolchain, source: str
) -> None:
    """-MMD leaves system headers out; the entry has them nevertheless, however all is spelled."""
    made = project(gcc)
    argv = ("gcc", "-isystem", "include", "-MMD", "-MF", "a.d", "-c", source, "-o", "a.o")
    done = await room.run(made.job(argv, ("a.o", "a.d")))
    assert b"b.h" not in output(room, done.result, "a.d")
    assert done.entry is not None
    assert {"/project/include/b.h", "/project/src/a.h"} <= paths(done.entry)
    assert "/project/include/c.h" in absent(done.entry)


async def test_an_include_by_a_place_in_the_project_holds_for_this_checkout(
    room: Bench, gcc: Toolchain
) -> None:
    """A copy of the tree with the same bytes still includes the file of the first one."""
    made = project(gcc)
    made.files["/project/src/a.c"] = b'#include "/project/src/a.h"\nint a = A;\n'
    entry = (await room.run(made.job(COMPILE, ("a.o",)))).entry
    assert entry is not None
    assert entry.root == "/project"


@pytest.mark.parametrize(
    "line",
    [b"const char *t = __DATE__;", b"const char *t = __TIMESTAMP__;", b"const char *t = __TIME__;"],
)
async def test_the_time_of_day_makes_no_entry(room: Bench, gcc: Toolchain, line: bytes) -> None:
    """Not even in a header; a frozen clock allows it, except for the modification time."""
    made = project(gcc)
    made.files["/project/src/a.h"] += line + b"\n"
    assert (await room.run(made.job(COMPILE, ("a.o",)))).entry is None
    frozen = made.job(COMPILE, ("a.o",), {"SOURCE_DATE_EPOCH": "1"})
    entry = (await room.run(frozen)).entry
    assert (entry is not None) is (b"TIMESTAMP" not in line)


@pytest.mark.parametrize("flags", [("-m64",), ("-nostdinc",), ("-nostdinc", "-m32")])
async def test_flags_that_change_the_search_are_asked_of_the_shipped_compiler(
    room: Bench, gcc: Toolchain, flags: tuple[str, ...]
) -> None:
    """What the toolchain does not tell is found out in the sandbox, once."""
    made = project(gcc)
    argv = ("gcc", *flags, *COMPILE[1:])
    entry = (await room.run(made.job(argv, ("a.o",)))).entry
    assert entry is not None
    assert entry.key == client_key(made, argv)
    again = (await room.run(made.job(("gcc", "-O1", *argv[1:]), ("a.o",)))).entry
    assert again is not None
    assert "1 asked" in repr(room.recorder._builtins)


async def test_failures_and_uncached_actions_make_no_entry(room: Bench, gcc: Toolchain) -> None:
    """A compile error is a verdict without an entry; so is what the client does not want kept."""
    made = project(gcc)
    made.files["/project/src/a.h"] = b"#error no\n"
    failed = await room.run(made.job(COMPILE, ("a.o",)))
    assert ActionResult.from_bytes(failed.result).exit_code == 1
    assert failed.entry is None
    good = project(gcc)
    assert (await room.run(good.job(COMPILE, ("a.o",), do_not_cache=True))).entry is None


async def test_data_included_by_the_assembler_is_an_input(room: Bench, gcc: Toolchain) -> None:
    """.incbin reads a file that no depfile lists."""
    made = project(gcc)
    made.files["/project/src/a.c"] = b'__asm__(".incbin \\"src/data.bin\\"");\n'
    made.files["/project/src/data.bin"] = b"data"
    entry = (await room.run(made.job(COMPILE, ("a.o",)))).entry
    assert entry is not None
    assert "/project/src/data.bin" in paths(entry)


@pytest.mark.parametrize(
    "flags",
    [
        ("-O0",),
        ("-g", "-grecord-gcc-switches"),
        ("-g3", "-ggdb", "-O2"),
        ("-frecord-gcc-switches",),
        ("-flto",),
        ("--coverage",),
        ("-S",),
    ],
)
async def test_a_depfile_of_ours_does_not_change_the_object(
    home: Path, gcc: Toolchain, flags: tuple[str, ...]
) -> None:
    """The object is that of the same command run by hand in the same place."""
    await _same_object(home, gcc, ("gcc", *flags))


@pytest.mark.parametrize("flags", [("-O1", "-g"), ("-g", "-grecord-command-line")])
async def test_a_depfile_of_ours_does_not_change_clangs_object(
    home: Path, clang: Toolchain, flags: tuple[str, ...]
) -> None:
    """clang can record its whole command line in the object: then nothing is added."""
    await _same_object(home, clang, ("clang", *flags))


async def _same_object(home: Path, toolchain: Toolchain, start: tuple[str, ...]) -> None:
    mode = () if "-S" in start else ("-c",)
    argv = (*start, *FLAGS, *mode, "src/a.c", "-frandom-seed=1", "-o", "a.o")
    outputs = ("a.o", "a.gcno") if "--coverage" in start else ("a.o",)
    made = project(toolchain)
    async with bench(home, LocalToolchains([toolchain])) as room:
        ours = ActionResult.from_bytes((await room.run(made.job(argv, outputs))).result)
        plain_job = made.job(argv, outputs, do_not_cache=True)
        plain = ActionResult.from_bytes((await room.run(plain_job)).result)
    assert ours.exit_code == plain.exit_code == 0
    assert ours.outputs == plain.outputs
    assert all(PRIVATE_DEPFILE not in output.path for output in ours.outputs)
