"""The rows of the table for C and C++: CMake, Meson, autotools, Bazel, SCons, ninja, make.

Knows only words: nothing is run or looked at here.
"""

from __future__ import annotations

from typing import Final

from cyxmake_cli.systems.manifests import holds
from cyxmake_cli.systems.model import (
    BuildType,
    FactRule,
    Mark,
    Place,
    Step,
    SystemName,
    SystemSpec,
    TargetWords,
    Verb,
)
from cyxmake_cli.systems.plan import CONFIGURED, RELAYERED, tool_fact

_C: Final = ("C", "C++")
_NATIVE_ARTEFACTS: Final = ("*", "bin/*", "lib/*", "src/*", "*/*.so*", "*/*.a")
_COMPILER: Final = ("cc", "gcc", "clang", "c++", "g++", "clang++")
_HAS_NINJA: Final = frozenset((tool_fact("ninja"),))
_CONFIGURED: Final = frozenset((CONFIGURED,))
_RELAYERED: Final = frozenset((RELAYERED,))

CMAKE: Final = SystemSpec(
    SystemName.CMAKE,
    "CMake",
    marks=(Mark("CMakeLists.txt", 0.95, "project(", holds(r"^\s*project\s*\("), 0.6),),
    tools=(("cmake",), ("ninja", "make"), _COMPILER),
    build_dir="build",
    configured=("CMakeCache.txt",),
    types={
        BuildType.DEBUG: ("-DCMAKE_BUILD_TYPE=Debug",),
        BuildType.RELEASE: ("-DCMAKE_BUILD_TYPE=Release",),
        BuildType.RELEASE_DEBUG: ("-DCMAKE_BUILD_TYPE=RelWithDebInfo",),
        BuildType.SMALL: ("-DCMAKE_BUILD_TYPE=MinSizeRel",),
    },
    jobs=("--parallel", "{n}"),
    serial=True,
    test_builds=False,
    verbose=("--verbose",),
    targets=TargetWords(first=("--target",)),
    steps={
        Verb.CONFIGURE: (
            Step(("cmake", "-S", "{source}", "-B", "{build}", "{type}", "{options}"),
                 needs=_CONFIGURED),
            Step(("cmake", "-S", "{source}", "-B", "{build}", "-G", "Ninja", "{type}", "{options}"),
                 needs=_HAS_NINJA, unless=_CONFIGURED),
            Step(("cmake", "-S", "{source}", "-B", "{build}", "{type}", "{options}"),
                 unless=_HAS_NINJA | _CONFIGURED),
        ),
        Verb.BUILD: (
            Step(("cmake", "--build", "{build}", "{jobs}", "{verbose}", "{targets}")),
        ),
        Verb.TEST: (
            Step(("ctest", "--test-dir", "{build}", "--output-on-failure", "{jobs}", "{verbose}")),
        ),
        Verb.CLEAN: (Step(("cmake", "--build", "{build}", "--target", "clean")),),
        Verb.INSTALL: (Step(("cmake", "--install", "{build}", "--prefix", "{prefix}")),),
    },
    artefacts=_NATIVE_ARTEFACTS,
    made=("build",),
    languages=_C,
)  # fmt: skip

MESON: Final = SystemSpec(
    SystemName.MESON,
    "Meson",
    marks=(Mark("meson.build", 0.94, "project(", holds(r"^\s*project\s*\("), 0.5),),
    tools=(("meson",), ("ninja", "ninja-build", "samu"), _COMPILER),
    build_dir="build",
    configured=("meson-private/coredata.dat", "build.ninja"),
    types={
        BuildType.DEBUG: ("-Dbuildtype=debug",),
        BuildType.RELEASE: ("-Dbuildtype=release",),
        BuildType.RELEASE_DEBUG: ("-Dbuildtype=debugoptimized",),
        BuildType.SMALL: ("-Dbuildtype=minsize",),
    },
    jobs=("-j", "{n}"),
    verbose=("--verbose",),
    steps={
        Verb.CONFIGURE: (
            Step(("meson", "setup", "{type}", "{options}", "{build}", "{source}"),
                 unless=_CONFIGURED),
            # `setup --reconfigure` of older releases keeps the old values.
            Step(("meson", "configure", "{type}", "{options}", "{build}"), needs=_CONFIGURED,
                 unless=_RELAYERED),
            # Flags and what was found are read anew only where nothing is remembered of them.
            Step(("meson", "setup", "{options}", "{type}", "{build}", "{source}"),
                 needs=_CONFIGURED | _RELAYERED),
        ),
        Verb.BUILD: (
            Step(("meson", "compile", "-C", "{build}", "{jobs}", "{verbose}", "{targets}")),
        ),
        Verb.TEST: (Step(("meson", "test", "-C", "{build}", "--print-errorlogs", "{verbose}")),),
        Verb.CLEAN: (Step(("meson", "compile", "-C", "{build}", "--clean")),),
        Verb.INSTALL: (
            Step(("meson", "configure", "{build}", "--prefix", "{prefix}")),
            Step(("meson", "install", "-C", "{build}")),
        ),
    },
    artefacts=_NATIVE_ARTEFACTS,
    made=("build",),
    languages=_C,
)  # fmt: skip

_SCRIPT: Final = "configure-script"
_AUTOCONF: Final = "autoconf-script"
_NO_TYPE_HERE: Final = "-O2 -g"

AUTOTOOLS: Final = SystemSpec(
    SystemName.AUTOTOOLS,
    "autotools",
    marks=(
        Mark("configure.ac", 0.9, "AC_INIT"),
        Mark("configure.in", 0.9, "AC_INIT"),
        Mark("configure", 0.85, "", holds(r"^#!.*\bsh\b|GNU Autoconf"), 0.4),
    ),
    tools=(("make", "gmake"), _COMPILER),
    build_dir="build",
    facts=(
        FactRule(_SCRIPT, ("configure",)),
        # A script that somebody wrote by hand seldom works from another directory.
        FactRule(_AUTOCONF, ("configure.ac", "configure.in")),
    ),
    configured=("config.status", "Makefile"),
    types={
        BuildType.DEBUG: ("CFLAGS=-O0 -g", "CXXFLAGS=-O0 -g"),
        BuildType.RELEASE: ("CFLAGS=-O2 -DNDEBUG", "CXXFLAGS=-O2 -DNDEBUG"),
        BuildType.RELEASE_DEBUG: (f"CFLAGS={_NO_TYPE_HERE}", f"CXXFLAGS={_NO_TYPE_HERE}"),
        BuildType.SMALL: ("CFLAGS=-Os -DNDEBUG", "CXXFLAGS=-Os -DNDEBUG"),
    },
    jobs=("-j{n}",),
    serial=True,
    verbose=("V=1",),
    steps={
        Verb.CONFIGURE: (
            Step(("autoreconf", "--install"), needs=frozenset((_AUTOCONF,)),
                 unless=frozenset((_SCRIPT,))),
            Step(("{source}/configure", "{type}", "{options}"), place=Place.BUILD),
        ),
        Verb.BUILD: (Step(("make", "-C", "{build}", "{jobs}", "{verbose}", "{targets}")),),
        Verb.TEST: (Step(("make", "-C", "{build}", "{jobs}", "{verbose}", "check")),),
        Verb.CLEAN: (Step(("make", "-C", "{build}", "clean")),),
        Verb.INSTALL: (Step(("make", "-C", "{build}", "prefix={prefix}", "install")),),
    },
    artefacts=(*_NATIVE_ARTEFACTS, "*/.libs/*"),
    made=("build", "autom4te.cache"),
    languages=_C,
)  # fmt: skip

_TEST_TARGET: Final = "target:test"
_CHECK_TARGET: Final = "target:check"
_MAKEFILES: Final = ("GNUmakefile", "makefile", "Makefile")

MAKE: Final = SystemSpec(
    SystemName.MAKE,
    "make",
    marks=tuple(Mark(name, 0.6, ":") for name in _MAKEFILES),
    tools=(("make", "gmake"),),
    facts=(
        FactRule(_TEST_TARGET, _MAKEFILES, holds(r"^test\s*:")),
        FactRule(_CHECK_TARGET, _MAKEFILES, holds(r"^check\s*:")),
    ),
    jobs=("-j{n}",),
    serial=True,
    verbose=("V=1",),
    steps={
        Verb.BUILD: (Step(("make", "-C", "{build}", "{jobs}", "{verbose}", "{options}",
                           "{targets}")),),
        Verb.TEST: (
            Step(("make", "-C", "{build}", "{jobs}", "{options}", "test"),
                 needs=frozenset((_TEST_TARGET,))),
            Step(("make", "-C", "{build}", "{jobs}", "{options}", "check"),
                 needs=frozenset((_CHECK_TARGET,)), unless=frozenset((_TEST_TARGET,))),
        ),
        Verb.CLEAN: (Step(("make", "-C", "{build}", "clean")),),
        Verb.INSTALL: (Step(("make", "-C", "{build}", "prefix={prefix}", "PREFIX={prefix}",
                             "install")),),
    },
    artefacts=_NATIVE_ARTEFACTS,
    languages=_C,
)  # fmt: skip

NINJA: Final = SystemSpec(
    SystemName.NINJA,
    "ninja",
    marks=(Mark("build.ninja", 0.7, "build "),),
    tools=(("ninja", "ninja-build", "samu"),),
    facts=(FactRule(_TEST_TARGET, ("build.ninja",), holds(r"^build test\s*:")),),
    jobs=("-j{n}",),
    verbose=("-v",),
    steps={
        Verb.BUILD: (Step(("ninja", "-C", "{build}", "{jobs}", "{verbose}", "{options}",
                           "{targets}")),),
        Verb.TEST: (
            Step(("ninja", "-C", "{build}", "{jobs}", "{verbose}", "test"),
                 needs=frozenset((_TEST_TARGET,))),
        ),
        Verb.CLEAN: (Step(("ninja", "-C", "{build}", "-t", "clean")),),
    },
    artefacts=_NATIVE_ARTEFACTS,
    languages=_C,
)  # fmt: skip

BAZEL: Final = SystemSpec(
    SystemName.BAZEL,
    "Bazel",
    marks=(
        Mark("MODULE.bazel", 0.92, "module("),
        Mark("WORKSPACE.bazel", 0.92, "workspace("),
        Mark("WORKSPACE", 0.9, "workspace("),
    ),
    tools=(("bazel", "bazelisk"),),
    types={
        BuildType.DEBUG: ("-c", "dbg"),
        BuildType.RELEASE: ("-c", "opt"),
        BuildType.RELEASE_DEBUG: ("-c", "opt", "--copt=-g", "--strip=never"),
        BuildType.SMALL: ("-c", "opt", "--copt=-Os"),
    },
    jobs=("--jobs={n}",),
    verbose=("--subcommands",),
    targets=TargetWords(default=("//...",)),
    steps={
        Verb.BUILD: (Step(("bazel", "build", "{type}", "{jobs}", "{verbose}", "{options}", "--",
                           "{targets}")),),
        Verb.TEST: (Step(("bazel", "test", "{type}", "{jobs}", "{verbose}", "{options}",
                          "--test_output=errors", "--", "{targets}")),),
        Verb.CLEAN: (Step(("bazel", "clean")),),
    },
    artefacts=("bazel-bin/**",),
    made=("bazel-*",),
    languages=_C,
)  # fmt: skip

SCONS: Final = SystemSpec(
    SystemName.SCONS,
    "SCons",
    marks=tuple(
        Mark(name, 0.9, "Environment(") for name in ("SConstruct", "Sconstruct", "sconstruct")
    ),
    tools=(("scons",),),
    jobs=("-j{n}",),
    serial=True,
    steps={
        Verb.BUILD: (Step(("scons", "-C", "{source}", "{jobs}", "{options}", "{targets}")),),
        Verb.CLEAN: (Step(("scons", "-C", "{source}", "-c", "{targets}")),),
        Verb.INSTALL: (Step(("scons", "-C", "{source}", "prefix={prefix}", "install")),),
    },
    artefacts=_NATIVE_ARTEFACTS,
    made=(".sconsign.dblite",),
    languages=_C,
)  # fmt: skip
