"""The projects that builds are broken in: real ones, fetched by package name, and a few small ones.

Data only: how each is built, and what that leaves behind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.injection import Base
from support.source_packages import source_package

_OWN = Path(__file__).parents[1] / "failures" / "injected" / "projects"


def _debian(package: str) -> Callable[[Path], Path]:
    return lambda place: source_package(package)


def _own(name: str) -> Callable[[Path], Path]:
    return lambda place: _OWN / name


def _cmake(*options: str, generator: str = "Ninja") -> tuple[tuple[str, ...], ...]:
    return (
        ("cmake", "-S", ".", "-B", "build", "-G", generator, *options),
        ("cmake", "--build", "build", "--parallel", "2"),
    )


_MESON = (("meson", "setup", "build"), ("meson", "compile", "-C", "build"))
_CONFIGURE = (
    ("mkdir", "-p", "build"),
    ("sh", "-c", "cd build && exec ../configure"),
    ("make", "-C", "build", "-j2"),
)
_NINJA = ("cmake", "ninja", "cc", "c++")


def _apart(
    fetch: Callable[[Path], Path],
    build: tuple[tuple[str, ...], ...],
    product: str,
    needs: tuple[str, ...],
    arguments: tuple[str, ...] = (),
) -> Base:
    """Return a project that is built in a directory of its own."""
    return Base(fetch, build, product, needs, "build", arguments)


def _inside(
    fetch: Callable[[Path], Path],
    build: tuple[tuple[str, ...], ...],
    product: str,
    needs: tuple[str, ...],
    arguments: tuple[str, ...] = (),
) -> Base:
    """Return a project that is built among its sources."""
    return Base(fetch, build, product, needs, "", arguments)


BASES = {
    "tinyxml2": _apart(_debian("tinyxml2"), _cmake(), "build/libtinyxml2.a", _NINJA),
    "cjson": _apart(
        _debian("cjson"),
        _cmake("-DENABLE_CJSON_TEST=OFF"),
        "build/libcjson.so",
        _NINJA,
        ("--option=-DENABLE_CJSON_TEST=OFF",),
    ),
    "json-c": _apart(
        _debian("json-c"),
        _cmake("-DBUILD_TESTING=OFF"),
        "build/libjson-c.a",
        _NINJA,
        ("--option=-DBUILD_TESTING=OFF",),
    ),
    "libyaml": _apart(_debian("libyaml"), _cmake(), "build/libyaml.a", _NINJA),
    "jansson": _apart(
        _debian("jansson"),
        _cmake("-DJANSSON_BUILD_DOCS=OFF", "-DJANSSON_WITHOUT_TESTS=ON"),
        "build/lib/libjansson.a",
        _NINJA,
        ("--option=-DJANSSON_BUILD_DOCS=OFF", "--option=-DJANSSON_WITHOUT_TESTS=ON"),
    ),
    "mawk": _apart(_debian("mawk"), _CONFIGURE, "build/mawk", ("make", "cc")),
    "hello": _apart(_debian("hello"), _CONFIGURE, "build/hello", ("make", "cc")),
    "bzip2": _inside(
        _debian("bzip2"), (("make", "-j2", "bzip2"),), "bzip2", ("make", "cc"), ("bzip2",)
    ),
    "lua": _inside(
        _debian("lua5.4"),
        (("make", "-j2", "linux", "MYCFLAGS=-O0"),),
        "src/lua",
        ("make", "cc"),
        ("linux", "MYCFLAGS=-O0"),
    ),
    "fribidi": _apart(
        _debian("fribidi"),
        (("meson", "setup", "build", "-Ddocs=false"), _MESON[1]),
        "build/lib/libfribidi.so",
        ("meson", "ninja", "cc"),
        ("--option=-Ddocs=false",),
    ),
    "make": _inside(_own("make"), (("make",),), "bin/greeter", ("make", "cc")),
    "cmake": _apart(_own("cmake"), _cmake(), "build/draw", _NINJA),
    "cmake-make": _apart(
        _own("cmake"),
        _cmake(generator="Unix Makefiles"),
        "build/draw",
        ("cmake", "make", "cc", "c++"),
        ("--option=-GUnix Makefiles",),
    ),
    "meson": _apart(_own("meson"), _MESON, "build/counter", ("meson", "ninja", "cc")),
    "autotools": _apart(
        _own("autotools"),
        (("autoreconf", "-fi"), *_CONFIGURE),
        "build/ticker",
        ("autoreconf", "make", "cc"),
    ),
    "python": _inside(
        _own("python"), (("python3", "setup.py", "build"),), "build/**/_fast*.so", ("python3", "cc")
    ),
    "rust": _inside(_own("rust"), (("cargo", "build"),), "target/debug/ledger", ("cargo",)),
    "go": _inside(_own("go"), (("go", "build", "./..."),), "go.mod", ("go",)),
    "node": _inside(_own("node"), (("npm", "run", "build"),), "dist/banner.txt", ("npm",)),
    "maven": _inside(
        _own("maven"), (("mvn", "-B", "package"),), "target/greeter-1.2.jar", ("mvn",)
    ),
}
"""By the name that a recipe calls it."""
