"""Names become the packages that a person would install, and nothing is invented."""

from __future__ import annotations

import gzip
import tomllib
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from cyxmake_cli.knowledge.contents import (
    ContentsIndex,
    IndexUnavailable,
    build_index,
    index_path,
    open_index,
    split_path,
)
from cyxmake_cli.knowledge.names import Manager, Name, NameKind, in_tree, name_of
from cyxmake_cli.knowledge.rank import Owned
from cyxmake_cli.knowledge.resolve import FileIndex, resolve
from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import LogInput

_HERE = Path(__file__).parent
_Expected = dict[str, dict[str, list[str]]]


def _expected(file: str) -> _Expected:
    return tomllib.loads((_HERE / file).read_text("utf-8"))


class _Slice:
    """A part of a real index: every file that has one of the names asked for, wherever it lies."""

    def __init__(self) -> None:
        self._owned: dict[str, list[Owned]] = {}
        text = gzip.decompress((_HERE / "bookworm-slice.tsv.gz").read_bytes()).decode("utf-8")
        for line in text.splitlines():
            path, package = line.split("\t")
            if path:
                self._owned.setdefault(split_path(path)[1], []).append(Owned(path, package))
        self._packages = {line.split("\t")[1] for line in text.splitlines()}

    def owners(self, base_name: str) -> list[Owned]:
        return self._owned.get(base_name, [])

    def has_package(self, package: str) -> bool:
        return package in self._packages


@pytest.fixture(scope="module")
def index() -> FileIndex:
    return _Slice()


def _score(index: FileIndex, expected: _Expected) -> tuple[int, int, list[str]]:
    cases = right = 0
    misses = []
    for kind, names in expected.items():
        for text, wanted in names.items():
            found = resolve(Name(NameKind(kind), text), Manager.APT, index)
            first = [candidate.package for candidate in found[:1]]
            good = bool(first) and first[0] in wanted if wanted else not found
            cases += 1
            right += good
            if not good:
                misses.append(f"{kind} {text}: {first}, not {wanted}")
            assert all(candidate.verified for candidate in found), text
    return cases, right, misses


@pytest.mark.parametrize(("file", "share"), [("expected.toml", 0.97), ("unseen.toml", 0.95)])
def test_the_first_candidate_is_right(index: FileIndex, file: str, share: float) -> None:
    """Over 230 names on the files of Debian 12: nearly all right, and every answer exists."""
    cases, right, misses = _score(index, _expected(file))
    assert cases >= 100
    assert right / cases >= share, misses


@pytest.mark.corpus
def test_the_same_on_the_index_of_this_machine() -> None:
    """The index is fetched by apt and built; what holds on the recorded part holds on the whole."""
    cache = platformdirs.user_cache_path("cyxmake-tests")
    try:
        whole = open_index(cache) or build_index(cache)
    except IndexUnavailable as reason:
        pytest.skip(str(reason))
    if "bookworm" not in index_path(cache).name:
        pytest.skip("expectations are those of Debian 12")
    for file in ("expected.toml", "unseen.toml"):
        cases, right, misses = _score(whole, _expected(file))
        assert right / cases >= 0.95, misses


def test_what_no_index_has_is_not_proposed(index: FileIndex) -> None:
    """A name that nobody owns has no candidate; a table cannot bring in what does not exist."""

    class Empty:
        def owners(self, base_name: str) -> list[Owned]:
            return []

        def has_package(self, package: str) -> bool:
            return False

    assert resolve(Name(NameKind.COMMAND, "bison"), Manager.APT, Empty()) == []
    unseen = resolve(Name(NameKind.COMMAND, "bison"), Manager.APT)
    assert [c.package for c in unseen] == ["bison"]
    assert not any(c.verified for c in unseen)


@pytest.mark.parametrize(
    ("kind", "text", "manager", "package"),
    [
        ("header", "openssl/ssl.h", "dnf", "openssl-devel"),
        ("pkg-config", "glib-2.0", "dnf", "glib2-devel"),
        ("pkg-config", "libsecret-1", "dnf", "pkgconfig(libsecret-1)"),
        ("cmake", "fmt", "zypper", "fmt-devel"),
        ("command", "ninja", "pacman", "ninja"),
        ("library", "z", "apk", "zlib-dev"),
        ("command", "xsltproc", "apk", "cmd:xsltproc"),
        ("library", "ssl", "brew", "openssl@3"),
        ("cmake", "SDL2", "vcpkg", "sdl2"),
        ("cmake", "SDL2", "conan", "sdl"),
        ("command", "cmake", "winget", "Kitware.CMake"),
        ("python", "yaml", "pip", "PyYAML"),
        ("python", "numpy.core", "pip", "numpy"),
        ("node", "@babel/core/lib/index.js", "npm", "@babel/core"),
        ("node", "chalk", "npm", "chalk"),
        ("rust", "serde", "cargo", "serde"),
        ("java", "org.slf4j:slf4j-api", "maven", "org.slf4j:slf4j-api"),
        ("go", "golang.org/x/text", "go", "golang.org/x/text"),
    ],
)
def test_every_manager_has_its_own_name(kind: str, text: str, manager: str, package: str) -> None:
    """What no index here can check is named, but never called verified."""
    found = resolve(Name(NameKind(kind), text), Manager(manager))
    assert found[0].package == package
    assert not found[0].verified


def test_a_name_that_is_no_name_is_no_package() -> None:
    """Output is hostile: what could be an option or a path is not handed to a manager."""
    for text in ("--index-url=http://x", "$(reboot)", "a b", "; rm -rf /"):
        assert resolve(Name(NameKind.PYTHON, text), Manager.PIP) == []
        assert resolve(Name(NameKind.NODE, text), Manager.NPM) == []


@pytest.mark.parametrize(
    ("header", "own"),
    [
        ("util/log.h", ["src/util/log.h"]),
        ("log.h", ["src/util/log.h"]),
        ("../vgmstream.h", ["../vgmstream.h"]),
        ("config.h", ["config.h"]),
        ("zlib.h", []),
        ("og.h", []),
    ],
)
def test_headers_of_the_project_itself_are_no_packages(header: str, own: list[str]) -> None:
    """A header in the tree, one that climbs, and one that the build makes are the project's own."""
    files = ["src/util/log.h", "src/main.c"]
    assert in_tree(Name(NameKind.HEADER, header), files) == own


@pytest.mark.parametrize(
    ("log", "name"),
    [
        ("a.c:1:10: fatal error: pcap.h: No such file or directory", ("header", "pcap.h")),
        ("/usr/bin/ld: cannot find -lssl", ("library", "ssl")),
        ("x: error while loading shared libraries: libq.so.5: cannot open shared object file",
         ("runtime", "libq.so.5")),
        ("Package 'libffi', required by 'gobject-2.0', not found", ("pkg-config", "libffi")),
        ("  Could not find a package configuration file provided by \"fmt\" with any",
         ("cmake", "fmt")),
        ("make: bison: No such file or directory", ("command", "bison")),
        ("ModuleNotFoundError: No module named 'yaml'", ("python", "yaml")),
        ("configure.ac:4: error: possibly undefined macro: AC_PROG_LIBTOOL",
         ("macro", "AC_PROG_LIBTOOL")),
        ("a.cc:1:1: error: expected ';'", None),
    ],
)  # fmt: skip
def test_a_diagnosis_says_which_name_is_asked_for(log: str, name: tuple[str, str] | None) -> None:
    """From output over facts to a name; an error in the code asks for none."""
    (found,) = diagnose(LogInput(log, 1))
    got = name_of(found)
    assert (None if got is None else (got.kind.value, got.text)) == name


def test_an_index_answers_from_its_file(tmp_path: Path) -> None:
    """What is written into an index comes out of it, Python packages by their directory."""
    from cyxmake_cli.knowledge.contents import _fill

    path = tmp_path / "index.sqlite"

    def entries() -> Iterator[tuple[str, list[str]]]:
        yield "usr/include/zlib.h", ["zlib1g-dev", "other-dev"]
        yield "usr/lib/python3/dist-packages/yaml/__init__.py", ["python3-yaml"]

    _fill(path, entries())
    index = ContentsIndex(path)
    assert {o.package for o in index.owners("zlib.h")} == {"zlib1g-dev", "other-dev"}
    assert [o.path for o in index.owners("yaml/__init__.py")] == [
        "usr/lib/python3/dist-packages/yaml/__init__.py"
    ]
    assert index.has_package("zlib1g-dev")
    assert not index.has_package("zlib")
    index.close()
