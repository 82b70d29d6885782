"""The table of real projects: how each is configured, built and tested, and the configurations.

Data only; knows nothing of clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class System(Enum):
    """What builds a project, and so how options reach its compiler."""

    CMAKE = "cmake"
    MESON = "meson"
    AUTOTOOLS = "autotools"
    MAKE = "make"

    @property
    def uses_make(self) -> bool:
        """Tell whether `make` does the build."""
        return self in (System.AUTOTOOLS, System.MAKE)


@dataclass(frozen=True)
class Configuration:
    """Options for the compiler; an empty tuple leaves the project's own release options."""

    flags: tuple[str, ...] = ()
    holds_paths: bool = False
    """Whether objects name the directory they were made in: another checkout cannot share them."""


CONFIGURATIONS = {
    "plain": Configuration(),
    "g": Configuration(("-g",), holds_paths=True),
    "O0": Configuration(("-O0",)),
    "sanitizers": Configuration(("-fsanitize=address,undefined",)),
    "coverage": Configuration(("--coverage", "-frandom-seed=1"), holds_paths=True),
    "split": Configuration(("-O0", "-g", "-gsplit-dwarf"), holds_paths=True),
}
"""Every project is built in every configuration. `split` leaves `.dwo` files; without -O2, with
which gcc 12 gives them a new id every time."""


@dataclass(frozen=True)
class Corpus:
    """One project; `{source}` and `{build}` are filled in everywhere."""

    package: str
    system: System
    options: tuple[str, ...] = ()
    """For cmake, meson or configure; variables of make."""
    plain_options: tuple[str, ...] = ()
    """More of them for the configuration that is tested too."""
    other_options: tuple[str, ...] = ()
    flag_variables: tuple[str, ...] = ()
    """What make calls the variables that take the configuration's options."""
    folder: str = ""
    """Where in the sources the build system starts."""
    prepare: tuple[tuple[str, ...], ...] = ()
    """Run in the sources before they are configured."""
    targets: tuple[str, ...] = ()
    other_targets: tuple[str, ...] = ()
    """In configurations other than plain; the same as `targets` when empty."""
    tests: tuple[tuple[str, ...], ...] = ()
    """The project's own tests, run in its build directory after a cluster build."""
    tests_said: str = ""
    """Which part of its tests that is."""
    needs: tuple[str, ...] = ()
    """Files of the Debian packages without which it cannot be configured."""
    holds_paths: bool = False
    """Whether its objects name their sources in every configuration, and not as plain bytes."""
    one_source: str = ""
    hot_header: str = ""


_CTEST = ("ctest", "--timeout", "120", "--no-tests=error")
_GTEST = "/usr/include/gtest/gtest.h"

CORPORA = {
    "zstd": Corpus(
        "libzstd",
        System.CMAKE,
        options=("-DZSTD_BUILD_SHARED=ON", "-DZSTD_LEGACY_SUPPORT=OFF"),
        plain_options=("-DZSTD_BUILD_TESTS=ON",),
        folder="build/cmake",
        targets=("zstd", "libzstd_shared", "fuzzer", "zstreamtest"),
        other_targets=("zstd",),
        tests=(("{build}/tests/fuzzer", "-T5s"), ("{build}/tests/zstreamtest", "-T5s")),
        tests_said="fuzzer and zstreamtest, 5 s each",
        one_source="programs/util.c",
        hot_header="lib/common/mem.h",
    ),
    "leveldb": Corpus(
        "leveldb",
        System.CMAKE,
        options=("-DLEVELDB_BUILD_BENCHMARKS=OFF",),
        other_options=("-DLEVELDB_BUILD_TESTS=OFF",),
        tests=((*_CTEST, "-j2"),),
        tests_said="ctest, all",
        needs=(_GTEST, "/usr/include/gmock/gmock.h", "/usr/include/benchmark/benchmark.h"),
        one_source="db/db_impl.cc",
        hot_header="include/leveldb/slice.h",
    ),
    "fmt": Corpus(
        "fmtlib",
        System.CMAKE,
        options=("-DFMT_TEST=ON", "-DFMT_DOC=OFF"),
        other_targets=("fmt", "args-test"),
        tests=((*_CTEST, "-j2"),),
        tests_said="ctest, all",
        needs=(_GTEST, "/usr/include/gmock/gmock.h"),
        one_source="src/os.cc",
        hot_header="include/fmt/core.h",
    ),
    "spdlog": Corpus(
        "spdlog",
        System.CMAKE,
        options=("-DSPDLOG_FMT_EXTERNAL=ON",),
        plain_options=("-DSPDLOG_BUILD_TESTS=ON",),
        tests=(_CTEST,),
        tests_said="ctest, all",
        needs=("/usr/include/fmt/core.h", "/usr/include/catch2/catch.hpp"),
        one_source="src/async.cpp",
        hot_header="include/spdlog/common.h",
    ),
    "lua": Corpus(
        "lua5.4",
        System.MAKE,
        flag_variables=("MYCFLAGS", "MYLDFLAGS"),
        targets=("linux",),
        tests=(("{build}/src/lua", "-e", "assert(load('return 6 * 7')() == 42)"),),
        tests_said="one script: the sources hold no tests",
        one_source="src/lapi.c",
        hot_header="src/lobject.h",
    ),
    "redis": Corpus(
        "redis",
        System.MAKE,
        options=("MALLOC=libc", "OPTIMIZATION=-O1", "DEBUG=", "DEBUG_FLAGS="),
        flag_variables=("REDIS_CFLAGS", "REDIS_LDFLAGS"),
        tests=(
            ("./runtest", "--clients", "2", "--single", "unit/type/string", "--single",
             "unit/type/hash", "--single", "unit/expire"),
        ),
        tests_said="runtest: strings, hashes, expiry",
        needs=("/usr/bin/tclsh",),
        one_source="src/adlist.c",
        hot_header="src/sds.h",
    ),
    "libgit2": Corpus(
        "libgit2",
        System.CMAKE,
        options=(
            "-DBUILD_CLI=OFF", "-DUSE_HTTPS=OFF", "-DUSE_SSH=OFF", "-DUSE_GSSAPI=OFF",
            "-DUSE_NTLMCLIENT=OFF", "-DUSE_HTTP_PARSER=system", "-DREGEX_BACKEND=pcre2",
        ),
        other_options=("-DBUILD_TESTS=OFF",),
        tests=(
            # One of `path` takes it that nobody is root, which a container's user mostly is.
            ("{build}/util_tests", "-q", "-xpath"),
            ("{build}/libgit2_tests", "-q", "-sobject", "-sindex", "-srefs", "-sdiff"),
        ),
        tests_said="util without path; objects, index, refs, diff",
        needs=("/usr/include/http_parser.h", "/usr/include/pcre2.h", "/usr/include/zlib.h"),
        one_source="src/libgit2/blob.c",
        hot_header="src/util/vector.h",
    ),
    "capnproto": Corpus(
        "capnproto",
        System.CMAKE,
        other_options=("-DBUILD_TESTING=OFF",),
        targets=("capnp_tool", "capnpc_cpp", "kj-tests"),
        other_targets=("kj",),
        tests=(("{build}/src/kj/kj-tests",),),
        tests_said="kj-tests",
        one_source="src/kj/array.c++",
        hot_header="src/kj/common.h",
    ),
    "fribidi": Corpus(
        "fribidi",
        System.MESON,
        options=("-Ddocs=false",),
        tests=(("meson", "test", "--no-rebuild"),),
        tests_said="meson test, all",
        needs=("/usr/bin/meson",),
        one_source="lib/fribidi.c",
        hot_header="lib/common.h",
    ),
    "ninja": Corpus(
        "ninja-build",
        System.CMAKE,
        # It is built for link-time optimisation: random names, and the sources' paths.
        options=("-DCMAKE_CXX_FLAGS=-frandom-seed=1",),
        holds_paths=True,
        other_options=("-DBUILD_TESTING=OFF",),
        tests=(("{build}/ninja_test",),),
        tests_said="ninja_test, all",
        one_source="src/graph.cc",
        hot_header="src/util.h",
    ),
    "re2": Corpus(
        "re2",
        System.CMAKE,
        prepare=(
            ("env", "PATH=/usr/bin:/bin", "make", "REBUILD_TABLES=1", "re2/perl_groups.cc",
             "re2/unicode_casefold.cc", "re2/unicode_groups.cc"),
        ),
        other_options=("-DRE2_BUILD_TESTING=OFF",),
        plain_options=("-DRE2_BUILD_TESTING=ON",),
        tests=((*_CTEST, "-j2", "-E", "exhaustive|random|dfa"),),
        tests_said="ctest without the exhaustive ones",
        needs=("/usr/share/unicode/CaseFolding.txt", "/usr/lib/python3/dist-packages/six.py"),
        one_source="re2/dfa.cc",
        hot_header="re2/regexp.h",
    ),
    "curl": Corpus(
        "curl",
        System.AUTOTOOLS,
        options=(
            "--without-ssl", "--disable-ldap", "--without-libpsl", "--without-brotli",
            "--without-zstd", "--without-nghttp2", "--without-libidn2", "--disable-manual",
        ),
        tests=(
            ("make", "-C", "tests", "-j2"),
            ("make", "-C", "tests/unit", "-j2"),
            ("sh", "-c", "cd tests && perl {source}/tests/runtests.pl -n -a 1 to 40 1300 to 1330"),
        ),
        tests_said="runtests 1 to 40 and units 1300 to 1330",
        needs=("/usr/bin/perl",),
        one_source="lib/base64.c",
        hot_header="lib/curl_setup.h",
    ),
}  # fmt: skip


def configure_commands(
    corpus: Corpus, configuration: str, source: Path, build: Path
) -> list[list[str]]:
    """Return what configures a project, each to be run in its build directory."""
    flags = " ".join(CONFIGURATIONS[configuration].flags)
    more = corpus.plain_options if configuration == "plain" else corpus.other_options
    options = [*corpus.options, *more]
    start = str(source / corpus.folder)
    match corpus.system:
        case System.CMAKE:
            argv = ["cmake", "-S", start, "-B", str(build), "-G", "Ninja"]
            argv.append("-DCMAKE_BUILD_TYPE=Release")
            if flags:
                # Without assertions, as in a release: they name their sources.
                release = f"FLAGS_RELEASE={flags} -DNDEBUG"
                argv += [f"-DCMAKE_{kind}_{release}" for kind in ("C", "CXX")]
            return [[*argv, *options]]
        case System.MESON:
            argv = ["meson", "setup", str(build), start]
            argv.append("--buildtype=plain" if flags else "--buildtype=release")
            if flags:
                kinds = ("c_args", "c_link_args", "cpp_args", "cpp_link_args")
                argv += [f"-D{kind}={flags}" for kind in kinds]
            return [[*argv, *options]]
        case System.AUTOTOOLS:
            wanted = flags or "-O2"
            variables = [f"{kind}={wanted}" for kind in ("CFLAGS", "CXXFLAGS")]
            return [[f"{start}/configure", *options, *variables]]
        case System.MAKE:
            return []


def targets(corpus: Corpus, configuration: str) -> list[str]:
    """Return the targets of a build, with the variables that make wants on its command line."""
    plain = configuration == "plain" or not corpus.other_targets
    chosen = list(corpus.targets if plain else corpus.other_targets)
    flags = " ".join(CONFIGURATIONS[configuration].flags)
    if corpus.system is System.MAKE:
        chosen += corpus.options
        chosen += [f"{name}={flags}" for name in corpus.flag_variables if flags]
    return chosen


def holds_paths(project: str, configuration: str) -> bool:
    """Tell whether objects name the directory they were made in."""
    return CORPORA[project].holds_paths or CONFIGURATIONS[configuration].holds_paths
