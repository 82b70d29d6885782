"""What layers add to builds, from the names of their files alone."""

from __future__ import annotations

from pathlib import Path

from cyxmake_cli.layers.configured import checked, left_behind
from cyxmake_cli.layers.environment import (
    cmake_script,
    cmake_values,
    environment,
    merged,
    variables,
    with_words,
)
from cyxmake_cli.layers.layout import layout_of
from cyxmake_cli.layers.model import Layer, LayerPlan, Layout, Package
from cyxmake_cli.layers.relocate import rewritten
from cyxmake_cli.systems.model import SystemName

_FILES = (
    "usr/include/fmt/core.h",
    "usr/include/x86_64-linux-gnu/curl/curl.h",
    "usr/lib/x86_64-linux-gnu/libfmt.so.9",
    "usr/lib/x86_64-linux-gnu/blas/libblas.so",
    "usr/lib/x86_64-linux-gnu/pkgconfig/fmt.pc",
    "usr/lib/x86_64-linux-gnu/gtk-3.0/modules/plugin.so",
    "usr/share/pkgconfig/more.pc",
    "usr/share/aclocal/fmt.m4",
    "usr/bin/bison",
    "usr/share/bison/skeletons/c.m4",
    "usr/lib/python3/dist-packages/mako/__init__.py",
    "usr/share/perl5/XML/Parser.pm",
    "usr/share/doc/libfmt9/copyright",
)


def _layer(name: str, layout: Layout) -> Layer:
    package = Package(name, "1", "amd64", "0" * 64)
    plan = LayerPlan("apt", "debian-bookworm-amd64", (name,), (package,))
    return Layer(plan, Path("/store", name), layout)


def test_the_directories_of_a_layer() -> None:
    """Multiarch directories count beside the plain ones; plug-ins are no libraries."""
    assert layout_of(_FILES) == Layout(
        include=("usr/include", "usr/include/x86_64-linux-gnu"),
        libraries=("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/blas"),
        programs=("usr/bin",),
        pkg_config=("usr/lib/x86_64-linux-gnu/pkgconfig", "usr/share/pkgconfig"),
        prefixes=("usr",),
        aclocal=("usr/share/aclocal",),
        python=("usr/lib/python3/dist-packages",),
        perl=("usr/share/perl5",),
        data=(("BISON_PKGDATADIR", "usr/share/bison"),),
    )


def test_cmake_is_told_by_options_and_searches_by_variables() -> None:
    """No variable that a compiler reads is set: command lines say everything."""
    added = environment([_layer("a", layout_of(_FILES)), _layer("b", Layout(include=("usr/i",)))])
    found = variables(
        added, SystemName.CMAKE, {"PATH": "/bin", "CMAKE_PREFIX_PATH": "/opt"}, running=False
    )
    assert found["PATH"] == "/store/a/usr/bin:/bin"
    assert found["CMAKE_PREFIX_PATH"] == "/store/a/usr:/opt"
    assert not {"CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "LD_LIBRARY_PATH"} & set(found)
    values = cmake_values(added)
    include = "/store/a/usr/include;/store/a/usr/include/x86_64-linux-gnu;/store/b/usr/i"
    assert values["CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES"] == include
    script = cmake_script(values | {"CMAKE_BUILD_RPATH": ""})
    assert f"set(CMAKE_C_STANDARD_INCLUDE_DIRECTORIES [==[{include}]==]" in script
    assert "unset(CMAKE_BUILD_RPATH CACHE)" in script
    assert not any(cmake_values(environment([])).values())


def test_a_persons_own_options_lose_nothing() -> None:
    """An option that sets what layers set keeps its value, in front of ours."""
    added = environment([_layer("a", Layout(libraries=("l",)))])
    told = merged(cmake_values(added), ("-DCMAKE_BUILD_RPATH=/opt", "-DX=1", "-GNinja"))
    assert told == ("-DCMAKE_BUILD_RPATH=/opt;/store/a/l", "-DX=1", "-GNinja")
    flags = variables(added, SystemName.AUTOTOOLS, {}, running=False)
    assert with_words(("LDFLAGS=-s", "--x"), flags) == (f"LDFLAGS=-s {flags['LDFLAGS']}", "--x")


def test_adding_twice_is_adding_once() -> None:
    """Variables that hold our entries already stay the same, and keep what else they held."""
    added = environment([_layer("a", layout_of(_FILES))])
    for system in (SystemName.AUTOTOOLS, SystemName.MAKE):
        once = variables(added, system, {"CPPFLAGS": "-DX", "PATH": "/bin"}, running=True)
        assert variables(added, system, once, running=True) | once == once
    assert once["LD_LIBRARY_PATH"].startswith("/store/a/usr/lib/x86_64-linux-gnu:")


def test_flags_for_configure_scripts() -> None:
    """Headers come after -I; programs find the libraries where they are, others of theirs too."""
    added = environment([_layer("a", Layout(include=("i",), libraries=("l",)))])
    found = variables(added, SystemName.AUTOTOOLS, {"CPPFLAGS": "-DX"}, running=False)
    assert found["CPPFLAGS"] == "-DX -isystem /store/a/i"
    assert found["LDFLAGS"] == "-L/store/a/l -Wl,-rpath,/store/a/l -Wl,--disable-new-dtags"


def test_paths_in_texts() -> None:
    """Only whole paths of files that the layer has are changed."""
    present = frozenset(("usr", "usr/lib", "usr/lib/libz.so", "usr/include"))
    before = b"a=/usr b=/lib/libz.so. c=${x}/usr d=/usr/bin/perl e=-I/usr/include;x/usr /usrlocal"
    after = b"a=/L/usr b=/L/usr/lib/libz.so. c=${x}/usr d=/usr/bin/perl e=-I/usr/include;x/usr"
    assert (
        rewritten(before, "/L", present)
        == after.replace(b"-I/usr/include", b"-I/L/usr/include") + b" /usrlocal"
    )


def test_what_a_layer_that_is_gone_left_in_a_cmake_cache() -> None:
    """Entries that lead into another layer are found; ours, and our own options, are not."""
    cache = (
        "//Directory of fmt: /store/x\nfmt_DIR:PATH=/store/old/root/usr/lib/cmake/fmt\n"
        "Z_DIR:PATH=/store/new/root/usr\nCMAKE_BUILD_RPATH:STRING=/store/old/root/usr/lib\n"
        "A:STRING=/store/new/root/a;/store/old/root/b\nB:PATH=/usr/lib\n"
    )
    assert left_behind(cache, "/store", ("/store/new/root",)) == ["fmt_DIR", "A"]


def test_checks_are_made_again_with_other_layers() -> None:
    """Results that CMake keeps are found by what it writes beside them, and nothing else is."""
    cache = (
        "//Have include pcap.h\nHAVE_PCAP:INTERNAL=\n//Test C99\nC99:INTERNAL=1\n"
        "//Path to a program.\nCMAKE_AR:FILEPATH=/usr/bin/ar\n//Have a nice day\nDAY:BOOL=ON\n"
    )
    assert checked(cache) == ["HAVE_PCAP", "C99"]
