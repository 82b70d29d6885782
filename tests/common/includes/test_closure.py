"""The closure follows a compiler's search order, and shares work between translation units."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from cyxmake_common.includes.closure import Closure, IncludeClosure, RealFileSystem
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand
from support.fake_files import FakeFiles

Files = Mapping[str, str | bytes]


def command(text: str) -> CompileCommand:
    """Return a command that must be accepted."""
    parsed = parse_compile(text.split())
    assert isinstance(parsed, CompileCommand), parsed
    return parsed


def closure(
    files: Files,
    text: str = "gcc -c a.c",
    builtin: tuple[str, ...] = ("/usr/include",),
    links: Mapping[str, str] = {},
    environment: tuple[tuple[str, str], ...] = (),
) -> Closure:
    """Return the closure of a command that runs in /p."""
    fake = FakeFiles(files, links)
    return IncludeClosure(fake).closure(command(text), "/p", builtin, environment)


def test_quoted_names_begin_beside_the_file() -> None:
    """A quoted name is looked for beside its includer first, an angled one never."""
    files = {
        "/p/a.c": '#include "sub/b.h"\n#include <c.h>',
        "/p/sub/b.h": '#include "c.h"',
        "/p/sub/c.h": "",
        "/p/c.h": "",
        "/usr/include/c.h": "",
    }
    assert closure(files).files == {"/p/a.c", "/p/sub/b.h", "/p/sub/c.h", "/usr/include/c.h"}


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("-Ii -isystem s -iquote q -idirafter l", "q"),
        ("-Ii -isystem s -idirafter l", "i"),
        ("-isystem s -idirafter l", "s"),
        ("-idirafter l", "/usr/include"),
        ("-Ii -Is", "i"),
        ("-Is -Ii", "s"),
        ("-Imissing -Ii", "i"),
        # A directory that is also a system directory keeps its place among those.
        ("-Ii -isystem i -isystem s -Is", "i"),
        ("-Is -isystem i -isystem s", "i"),
        ("-I/usr/include -isystem s", "s"),
    ],
)
def test_search_order(flags: str, found: str) -> None:
    """Quote, -I, -isystem, built-in, after: with gcc's rule for directories named twice."""
    places = ["/p/q", "/p/i", "/p/s", "/p/l", "/usr/include"]
    files = {"/p/a.c": '#include "x.h"', **{f"{place}/x.h": "" for place in places}}
    expected = found if found.startswith("/") else f"/p/{found}"
    assert closure(files, f"gcc {flags} -c a.c").files == {"/p/a.c", f"{expected}/x.h"}


def test_include_path_variables() -> None:
    """CPATH stands after -I, the language's own path after -isystem (trap 34)."""
    files = {
        "/p/a.c": "#include <x.h>\n#include <y.h>\n#include <z.h>",
        **{f"/{place}/x.h": "" for place in ("p/i", "cpath", "cinc", "usr/include")},
        **{f"/{place}/y.h": "" for place in ("cpath", "p/s", "cinc", "usr/include")},
        **{f"/{place}/z.h": "" for place in ("cinc", "usr/include")},
    }
    environment = (("CPATH", "/cpath"), ("C_INCLUDE_PATH", "/cinc"), ("CPLUS_INCLUDE_PATH", "/no"))
    found = closure(files, "gcc -Ii -isystem s -c a.c", environment=environment).files
    assert found == {"/p/a.c", "/p/i/x.h", "/cpath/y.h", "/cinc/z.h"}


def test_include_next_ships_every_match() -> None:
    """Which file is next depends on the first one: all of them are shipped."""
    files = {
        "/p/a.c": "#include <x.h>",
        "/p/i/x.h": "#include_next <x.h>",
        "/p/j/x.h": "",
        "/usr/include/x.h": "",
    }
    expected = {"/p/a.c", "/p/i/x.h", "/p/j/x.h", "/usr/include/x.h"}
    assert closure(files, "gcc -Ii -Ij -c a.c").files == expected


def test_dotted_paths_need_their_directories() -> None:
    """`a/../b.h` needs `a`, even an empty one; the file itself has one path (trap 14)."""
    files = {
        "/p/a.c": '#include "x/../b.h"\n#include "../p/./b.h"',
        "/p/x/other.txt": "",
        "/p/b.h": "",
    }
    found = closure(files, "gcc -Ix/../x -c a.c")
    assert found.files == {"/p/a.c", "/p/b.h"}
    assert {"/p", "/p/x"} <= found.directories


def test_dots_after_a_symlink_follow_it() -> None:
    """`link/../b.h` is beside what the link leads to, never simply `b.h` (trap 14)."""
    files = {
        "/p/a.c": '#include "link/../b.h"\n#include "link/c.h"',
        "/p/b.h": "",
        "/far/b.h": "",
        "/far/dir/c.h": "",
    }
    found = closure(files, links={"/p/link": "../far/dir"})
    assert found.files == {"/p/a.c", "/far/b.h", "/p/link/c.h"}
    assert "/p/link" in found.directories


def test_circles_end() -> None:
    """Headers that include each other by ever longer paths are one file each."""
    files = {
        "/p/a.c": '#include "x/a.h"',
        "/p/x/a.h": '#include "../y/b.h"',
        "/p/y/b.h": '#include "../x/a.h"',
    }
    assert closure(files).files == {"/p/a.c", "/p/x/a.h", "/p/y/b.h"}


def test_directories_exist_in_the_tree() -> None:
    """Every existing search directory is wanted, missing ones are not (trap 15)."""
    files = {"/p/a.c": "", "/p/i/unused.h": "", "/usr/include/x.h": ""}
    found = closure(files, "gcc -Ii -Imissing -c a.c")
    assert {"/p/i", "/usr/include", "/p"} <= found.directories
    assert not any("missing" in path for path in found.directories)


def test_forced_includes_and_inputs() -> None:
    """-include and -imacros are looked for in the working directory first, then as quoted."""
    files = {
        "/p/src/a.c": "",
        "/p/pre.h": '#include "deep.h"',
        "/p/deep.h": "",
        "/p/src/pre.h": "",
        "/p/i/m.h": "",
        "/p/list": "",
    }
    found = closure(
        files, "clang -Ii -include pre.h -imacros m.h -fsanitize-ignorelist=list -c src/a.c"
    )
    assert found.files == {"/p/src/a.c", "/p/pre.h", "/p/deep.h", "/p/i/m.h", "/p/list"}
    assert closure({"/p/a.c": ""}, "gcc -include no.h -c a.c").unresolved == ("-include no.h",)


def test_gcc_includes_its_own_header_first() -> None:
    """stdc-predef.h is read by gcc without being named."""
    files = {"/p/a.c": "", "/usr/include/stdc-predef.h": ""}
    assert "/usr/include/stdc-predef.h" in closure(files).files
    assert "/usr/include/stdc-predef.h" not in closure(files, "clang -c a.c").files


def test_probed_files_are_shipped_unread() -> None:
    """What __has_include asks for must exist there too, but nothing in it matters (trap 21)."""
    files = {
        "/p/a.c": '#define HAS(x) __has_include(x)\n#if HAS("w.h") || __has_include("x.h")',
        "/p/x.h": "#include <y.h>",
        "/p/w.h": "#include <y.h>",
        "/usr/include/y.h": "",
    }
    assert closure(files).files == {"/p/a.c", "/p/x.h", "/p/w.h"}


def test_computed_includes() -> None:
    """A macro may be defined anywhere in the closure or on the command line (trap 22)."""
    files = {
        "/p/a.c": '#include "conf.h"\n#include FIRST\n#include SECOND\n#include THIRD',
        "/p/conf.h": '#define FIRST "one.h"\n#define SECOND ALIAS\n#define ALIAS <two.h>',
        "/p/one.h": "#define THIRD <three.h>",
        "/usr/include/two.h": "",
        "/usr/include/three.h": "",
        "/p/four.h": "",
    }
    found = closure(files)
    assert {"/p/one.h", "/usr/include/two.h", "/usr/include/three.h"} <= found.files
    assert not found.unresolved
    parsed = parse_compile(["gcc", '-DFIRST="four.h"', "-c", "a.c"])
    assert isinstance(parsed, CompileCommand)
    files["/p/conf.h"] = ""
    assert "/p/four.h" in IncludeClosure(FakeFiles(files)).closure(parsed, "/p", ()).files


def test_includes_put_together_are_unresolved() -> None:
    """A name made by a function-like macro needs the compiler itself."""
    files = {"/p/a.c": "#define S(x) #x\n#define H S(x.h)\n#include H\n#include NOWHERE"}
    (reason,) = closure(files).unresolved
    assert "#include H" in reason


def test_assembler_files() -> None:
    """.include and .incbin are found from the working directory and along -I (trap 24)."""
    files = {
        "/p/src/a.S": '#include "h.h"\n.include "m.inc"\n.incbin "blob"\n.incbin "here"',
        "/p/src/h.h": "",
        "/p/src/m.inc": "",
        "/p/i/m.inc": '.incbin "more"',
        "/p/i/blob": '#include "never.h"',
        "/p/here": "",
        "/p/more": "",
        "/p/i/never.h": "",
    }
    found = closure(files, "clang -Ii -c src/a.S")
    expected = {"/p/src/a.S", "/p/src/h.h", "/p/i/m.inc", "/p/i/blob", "/p/here", "/p/more"}
    assert found.files == expected
    plain = {"/p/a.s": '#include "h.h"\n.include "m.inc"', "/p/h.h": "", "/p/m.inc": ""}
    assert closure(plain, "gcc -c a.s").files == {"/p/a.s", "/p/m.inc"}


def test_time_and_precompiled_headers_are_told() -> None:
    """Macros of time and silently preferred headers reach the caller (traps 19 and 35)."""
    files = {"/p/a.c": '#include "x.h"', "/p/x.h": "__DATE__", "/p/x.h.gch": "\0"}
    found = closure(files)
    assert found.uses_time
    assert "/p/x.h.gch" in found.files
    assert not found.precompiled
    folder = {"/p/a.c": '#include "x.h"', "/p/x.h": "", "/p/x.h.gch/one": "\0"}
    assert closure(folder).precompiled == ("/p/x.h.gch",)
    alone = {"/p/a.c": "", "/p/x.h.gch": "\0"}
    assert closure(alone, "gcc -include x.h -c a.c").precompiled == ("/p/x.h.gch",)


def test_an_explicit_precompiled_header_comes_with_its_header() -> None:
    """clang compares the headers that it was made of; without them nothing is known."""
    files = {"/p/a.c": "", "/p/x.h": '#include "y.h"', "/p/y.h": "", "/p/x.h.pch": "\0"}
    text = "clang -Xclang -include-pch -Xclang x.h.pch -c a.c"
    assert closure(files, text).files == set(files)
    assert closure({"/p/a.c": "", "/p/x.pch": "\0"}, "clang -include-pch x.pch -c a.c").precompiled


def test_missing_source_is_in_the_closure() -> None:
    """A source that is not there is named all the same: who ships it notices."""
    assert closure({"/p/x": ""}).files == {"/p/a.c"}


def test_headers_are_read_once() -> None:
    """Translation units share scans."""
    files = FakeFiles(
        {"/p/a.c": '#include "x.h"', "/p/b.c": '#include "x.h"', "/p/x.h": '#include "y.h"'}
    )
    owner = IncludeClosure(files)
    for name in ("a.c", "b.c", "a.c"):
        owner.closure(command(f"gcc -c {name}"), "/p", ())
    assert sorted(files.reads) == ["/p/a.c", "/p/b.c", "/p/x.h"]
    assert "3 files scanned" in repr(owner)


def test_generated_header_appears(tmp_path: Path) -> None:
    """A file made by the build is seen once the build says so (traps 23 and 51)."""
    (tmp_path / "a.c").write_text('#include "gen/made.h"\n#include "late.h"\n#include <other.h>\n')
    (tmp_path / "i").mkdir()
    (tmp_path / "i/late.h").write_text("")
    owner = IncludeClosure(RealFileSystem())
    text = command("gcc -Ii -Inew -c a.c")

    def found() -> set[str]:
        files = owner.closure(text, str(tmp_path), ()).files
        return {path.removeprefix(f"{tmp_path}/") for path in files}

    assert found() == {"a.c", "i/late.h"}
    (tmp_path / "gen").mkdir()
    (tmp_path / "gen/made.h").write_text('#include "../late.h"\n')
    assert found() == {"a.c", "i/late.h"}
    owner.forget(f"{tmp_path}/gen/made.h")
    assert found() == {"a.c", "i/late.h", "gen/made.h"}
    (tmp_path / "late.h").write_text("")
    owner.forget(f"{tmp_path}/late.h")
    assert found() == {"a.c", "late.h", "gen/made.h"}
    (tmp_path / "new").mkdir()
    (tmp_path / "new/other.h").write_text("")
    owner.forget(f"{tmp_path}/new/other.h")
    assert found() == {"a.c", "late.h", "gen/made.h", "new/other.h"}
    (tmp_path / "gen/made.h").write_text("int x;\n")
    (tmp_path / "late.h").unlink()
    owner.forget(f"{tmp_path}/gen/made.h")
    owner.forget(f"{tmp_path}/late.h")
    assert found() == {"a.c", "i/late.h", "gen/made.h", "new/other.h"}


def test_new_generation_looks_at_everything_again(tmp_path: Path) -> None:
    """A new build believes no listing, but keeps the scans of unchanged files."""
    (tmp_path / "a.c").write_text('#include "x.h"\n')
    files = RealFileSystem()
    owner = IncludeClosure(files)
    assert len(owner.closure(command("gcc -c a.c"), str(tmp_path), ()).files) == 1
    (tmp_path / "x.h").write_text("")
    files.new_generation()
    assert len(owner.closure(command("gcc -c a.c"), str(tmp_path), ()).files) == 2
    (tmp_path / "a.c").write_text("/* nothing any more */\n")
    files.new_generation()
    assert len(owner.closure(command("gcc -c a.c"), str(tmp_path), ()).files) == 1
