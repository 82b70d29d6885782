"""Two checkouts of the same bytes at different places: what they share is what both would make."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cyxmake_common.action import ActionResult
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_worker.standpoints import shows
from cyxmake_worker.toolchains import LocalToolchains
from support.worker_bench import Bench, bench
from support.worker_client import Project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the namespace sandbox")

_PLACES = ("/project", "/elsewhere/and/deeper")
_PREDEF = Path("/usr/include/stdc-predef.h")

_PASTE = "#define P(a, b) a##b\n#define Q(a, b) P(a, b)\n"
_LENGTH = "constexpr int n(const char *s) { int i = 0; while (s[i]) ++i; return i; }\n"
_LOOP = "void f(int *a) {\n%s\n    for (int i = 0; i < 96; i++) a[i] *= 3;\n}\n"
_UNIT = "static __attribute__((noinline)) int f(int a) { return a * 3; }\n"
_UNIT += "int g(int a) { return f(a) + f(a + 1); }\n"
_LOCATION = """namespace std {
struct source_location {
    struct __impl { const char *_M_file_name, *_M_function_name; unsigned _M_line, _M_column; };
    static constexpr source_location current(const void *p = __builtin_source_location())
    { return {static_cast<const __impl *>(p)}; }
    const __impl *at;
};
}
"""


@dataclass(frozen=True)
class Trap:
    """Code, in `src/NAME`, whose object holds no path and is another one at another place."""

    code: str
    flags: tuple[str, ...] = ()
    name: str = "a.c"


_BOTH = {
    "length": Trap("int n = sizeof(__FILE__);\n"),
    "letter": Trap("char f(void) { return __FILE__[3]; }\n", ("-O2",)),
    "base": Trap("int n = sizeof(__BASE_FILE__);\n"),
    "hash": Trap(
        "constexpr unsigned h(const char *s) {"
        " unsigned v = 5; while (*s) v = v * 33 + *s++; return v; }\n"
        "constexpr unsigned n = h(__FILE__); unsigned v = n;\n",
        ("-std=c++17",),
        "a.cpp",
    ),
    "pasted": Trap(_PASTE + "int n = sizeof(Q(__FI, LE__));\n"),
    "pasted underscore": Trap(_PASTE + "int n = sizeof(Q(_, _FILE__));\n"),
    "spliced": Trap("int n = sizeof(__FI\\\nLE__);\n"),
    "argument": Trap("int n = sizeof(ME);\n", ("-DME=__FILE__",)),
    "caller": Trap(
        _LENGTH + "constexpr int v = n(__builtin_FILE()); int w = v;\n", ("-std=c++17",), "a.cpp"
    ),
    "in an assembler's condition": Trap(
        '.ifeqs __FILE__, "/project/src/a.S"\n.long 1\n.else\n.long 2\n.endif\n', (), "a.S"
    ),
    "in a condition of the language": Trap(
        '_Static_assert(sizeof(__FILE__) == sizeof("/project/src/a.c"), "");\nint n;\n'
    ),
}
_GCC = {
    "source_location": Trap(
        _LOCATION + _LENGTH + "constexpr auto l = std::source_location::current();\n"
        "constexpr int v = n(l.at->_M_file_name); int w = v;\n",
        ("-std=c++20",),
        "a.cpp",
    ),
    "in a pragma": Trap(
        _LOOP % "#pragma omp parallel for num_threads(sizeof(__FILE__))", ("-O2", "-fopenmp")
    ),
    "list of files": Trap(
        _UNIT, ("-O1", "-finstrument-functions", "-finstrument-functions-exclude-file-list=proj")
    ),
    "map of a part": Trap("int n;\n", ("-g", "-ffile-prefix-map=/proj=/x")),
}
_CLANG = {
    "type": Trap(
        "template <class T> constexpr int n() { return sizeof(__PRETTY_FUNCTION__); }\n"
        "int v = n<decltype([] {})>();\n",
        ("-std=c++20",),
        "a.cpp",
    ),
    "mapped type": Trap(
        "template <class T> constexpr int n() { return sizeof(__PRETTY_FUNCTION__); }\n"
        "int v = n<decltype([] {})>();\n",
        ("-std=c++20", "-ffile-prefix-map={root}=/x"),
        "a.cpp",
    ),
    "in a pragma": Trap(
        _LOOP % "#pragma clang loop unroll_count(sizeof(__FILE__))", ("-O2", "-fno-vectorize")
    ),
    "profile": Trap(_UNIT, ("-O1", "-fprofile-generate")),
    "coverage": Trap(_UNIT, ("-O1", "-fprofile-instr-generate", "-fcoverage-mapping")),
    "unique names": Trap(_UNIT, ("-O1", "-funique-internal-linkage-names")),
}
_ALIKE = {
    "nothing": Trap("int n;\n"),
    "left out": Trap("#ifdef D\nconst char *f = __FILE__;\n#endif\nint n;\n"),
    "dropped": Trap("#define LOG(x) ((void)0)\nint f(void) { LOG(__FILE__); return 1; }\n"),
    "never used": Trap("#define WHERE __FILE__, __builtin_FILE()\nint n;\n"),
    "pieces": Trap(_PASTE + "int Q(__FI, x);\n"),
    "mapped": Trap("int n = sizeof(__FILE__);\n", ("-ffile-prefix-map={root}=/x",)),
    "no name of a type": Trap("#define NAME __PRETTY_FUNCTION__\nint n;\n"),
}


@dataclass(frozen=True)
class _Made:
    shared: bool
    equal: bool


async def build(room: Bench, toolchain: Toolchain, compiler: str, trap: Trap) -> _Made:
    """Compile at both places; tell whether one result serves the other, and may do so."""
    made = []
    for root in _PLACES:
        source = f"{root}/src/{trap.name}"
        system = {str(_PREDEF): _PREDEF.read_bytes()} if _PREDEF.exists() else {}
        files = {source: trap.code.encode(), **system}
        project = Project(root, files, toolchain, directories=("/usr/include",))
        flags = tuple(flag.replace("{root}", root) for flag in trap.flags)
        argv = (compiler, *flags, "-c", source, "-o", "a.o")
        done = await room.run(project.job(argv, ("a.o",)))
        result = ActionResult.from_bytes(done.result)
        assert done.entry is not None or result.exit_code, result
        made.append((done.entry, {o.path: o.digest for o in result.outputs}))
    (one, first), (other, second) = made
    shared = (
        one is not None
        and not one.root
        and (other is None or (one.key, one.manifest) == (other.key, other.manifest))
    )
    return _Made(shared, first == second)


@pytest.mark.parametrize("name", [*_BOTH, *_GCC])
async def test_gccs_objects_that_depend_on_the_place_are_not_shared(
    home: Path, gcc: Toolchain, name: str
) -> None:
    """Neither a length nor a letter nor a hash of the path gets into another checkout."""
    async with bench(home, LocalToolchains([gcc])) as room:
        made = await build(room, gcc, "gcc", (_BOTH | _GCC)[name])
    assert made == _Made(shared=False, equal=False)


@pytest.mark.parametrize("name", [*_BOTH, *_CLANG])
async def test_clangs_objects_that_depend_on_the_place_are_not_shared(
    home: Path, clang: Toolchain, name: str
) -> None:
    """The same of clang, which also puts paths into names of types and hashes into symbols."""
    async with bench(home, LocalToolchains([clang])) as room:
        made = await build(room, clang, "clang", (_BOTH | _CLANG)[name])
    assert made == _Made(shared=False, equal=False)


@pytest.mark.parametrize("name", list(_ALIKE))
async def test_objects_that_do_not_depend_on_it_are_shared(
    home: Path, gcc: Toolchain, clang: Toolchain, name: str
) -> None:
    """A name that the preprocessor drops binds nothing; where nothing is named, nothing is asked."""  # noqa: E501
    async with bench(home, LocalToolchains([gcc, clang])) as room:
        for toolchain, compiler in ((gcc, "gcc"), (clang, "clang")):
            made = await build(room, toolchain, compiler, _ALIKE[name])
            assert made == _Made(shared=True, equal=True), compiler
        asked = "<Standpoints 0 asked>" in repr(room.recorder)
    assert asked is (name in ("nothing", "mapped"))


async def test_a_system_header_whose_shorter_name_depends_on_the_depth(
    home: Path, gcc: Toolchain
) -> None:
    """gcc writes its real path where that is shorter than the relative one of the command."""
    keys = set()
    async with bench(home, LocalToolchains([gcc])) as room:
        for root in ("/r", "/a/long/way/down/from/the/top"):
            files = {f"{root}/a/b/c/u.c": b"#include <x.h>\n", f"{root}/inc/x.h": b"int n;\n"}
            if _PREDEF.exists():
                files[str(_PREDEF)] = _PREDEF.read_bytes()
            project = Project(root, files, gcc, directories=("/usr/include",))
            argv = ("gcc", "-isystem", "a/b/../../inc", "-MD", "-MF", "u.d", "-c", "a/b/c/u.c")
            done = await room.run(project.job((*argv, "-o", "u.o"), ("u.o", "u.d")))
            assert done.entry is not None
            depfile = next(
                o for o in ActionResult.from_bytes(done.result).outputs if o.path == "u.d"
            )
            text = room.far.blobs[depfile.digest]
            assert isinstance(text, bytes)
            keys.add((done.entry.key, b" /r/inc/x.h" in text))
    assert len({key for key, _ in keys}) == 2
    assert {real for _, real in keys} == {True, False}


def test_a_root_that_literals_spell_otherwise_is_never_trusted() -> None:
    """What only the compiler proper replaces counts as the place, as does a pragma's number."""
    gcc, clang = CompilerKind.GCC, CompilerKind.CLANG
    assert shows(b'f("/r/a.c")', "/r", gcc)
    assert shows(b"f(__builtin_FILE())", "/r", gcc)
    assert shows(b"#pragma unroll LEN\n", "/r", clang)
    assert shows(b"f(__PRETTY_FUNCTION__)", "/r", clang)
    assert not shows(b"f(__PRETTY_FUNCTION__)", "/r", gcc)
    assert not shows(b"#pragma GCC diagnostic push\nint n = __FILE__x;\n", "/r", gcc)
