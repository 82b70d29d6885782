"""The options of gcc and clang as data: what each one means for running the compile elsewhere.

Knows no command line, only single options. An option that is in no table is never sent: a new
compiler's new option runs locally until someone has read what it does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final


class Role(Enum):
    """What an option does, seen from a remote compile."""

    PLAIN = "plain"
    """Changes the code or the diagnostics; reads and writes no file."""
    COMPILE = "compile"
    ASSEMBLE = "assemble"
    OUTPUT = "output"
    LANGUAGE = "language"
    QUOTE = "quote"
    INCLUDE = "include"
    SYSTEM = "system"
    AFTER = "after"
    FORCED = "forced"
    MACROS = "macros"
    PRECOMPILED = "precompiled"
    """Its value names a precompiled header."""
    SYSROOT = "sysroot"
    HEADER_ROOT = "header-root"
    NATIVE = "native"
    """Expands to the processor of the machine that it runs on."""
    PROFILE = "profile"
    """Its value names a profile: one file to clang, to gcc where to look for one of many."""
    PROVIDED = "provided"
    """Its value names a file that exists only where the command runs remotely."""
    SEARCH = "search"
    """Changes which built-in include directories the compiler has."""
    DEPS = "deps"
    USER_DEPS = "user-deps"
    DEPS_FILE = "deps-file"
    DEPS_TARGET = "deps-target"
    DEPS_PHONY = "deps-phony"
    INPUT = "input"
    """Its value names a file that the compiler reads."""
    SIDE = "side"
    """Writes one more file, named after the output."""
    SIDE_FILE = "side-file"
    """Writes one more file, named by the value."""
    PREPROCESSOR = "preprocessor"
    ASSEMBLER = "assembler"
    FRONTEND = "frontend"
    LINK = "link"
    COLOUR = "colour"
    LOCAL = "local"
    """Must run here; the value of the option's entry says why."""


class Shape(Enum):
    """How an option carries its value."""

    FLAG = "flag"
    JOINED = "joined"
    SEPARATE = "separate"
    EITHER = "either"
    """Joined, or in the next argument."""


@dataclass(frozen=True, slots=True)
class Option:
    """One entry: `note` is the reason of a LOCAL role, the suffix of a SIDE role."""

    name: str
    role: Role
    shape: Shape
    note: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """An option recognised in an argument; `value` is None when it is in the next argument."""

    option: Option
    value: str | None


NATIVE: Final = ("-march=native", "-mtune=native", "-mcpu=native")
"""Options that mean another thing on each machine."""

PROVIDED_SPECS: Final = "/.cyxmake/native-"
"""How the paths begin of files that tell gcc what "native" means; they end with their digest."""

_SEPARATE: Final[dict[Role, str]] = {
    Role.PRECOMPILED: "-include-pch",
    Role.SIDE_FILE: "--serialize-diagnostics -serialize-diagnostics",
    Role.SYSROOT: "--sysroot",
    Role.SEARCH: "-target -gcc-toolchain",
    Role.PLAIN: "--param -mthread-model -A",
    Role.FRONTEND: "-Xclang -mllvm",
    Role.LINK: "-Xlinker -z -u -T -framework",
}
_EITHER: Final[dict[Role, str]] = {
    Role.OUTPUT: "-o",
    Role.LANGUAGE: "-x",
    Role.QUOTE: "-iquote",
    Role.INCLUDE: "-I",
    Role.SYSTEM: "-isystem",
    Role.AFTER: "-idirafter",
    Role.FORCED: "-include",
    Role.MACROS: "-imacros",
    Role.HEADER_ROOT: "-isysroot",
    Role.DEPS_FILE: "-MF",
    Role.DEPS_TARGET: "-MT -MQ",
    Role.PLAIN: "-D -U",
    Role.LINK: "-l -L",
}
_JOINED: Final[dict[Role, str]] = {
    Role.SYSROOT: "--sysroot=",
    Role.INCLUDE: "--include-directory=",
    Role.SEARCH: ("-march= -mcpu= -mabi= -mfloat-abi= -mfpu= --target= --gcc-toolchain= -stdlib="),
    Role.INPUT: (
        "-fsanitize-ignorelist= -fsanitize-blacklist= -fsanitize-system-ignorelist="
        " -fsanitize-coverage-allowlist= -fsanitize-coverage-ignorelist="
        " -fsanitize-coverage-whitelist= -fsanitize-coverage-blacklist="
        " -fxray-always-instrument= -fxray-never-instrument= -fxray-attr-list= -fprofile-list="
    ),
    Role.PROFILE: "-fprofile-use= -fprofile-instr-use=",
    Role.PROVIDED: f"-specs={PROVIDED_SPECS}",
    Role.PREPROCESSOR: "-Wp,",
    Role.ASSEMBLER: "-Wa,",
    Role.LINK: "-Wl, -fuse-ld= -z",
    Role.COLOUR: "-fdiagnostics-color=",
    # Families whose members only change code or diagnostics, but for those named in this module.
    Role.PLAIN: (
        "-W -f -m -O -g -std= --std= --param= -A -ffile-prefix-map= -fdebug-prefix-map="
        " -fmacro-prefix-map= -fcoverage-prefix-map= -fdebug-compilation-dir="
        " -fprofile-generate -rtlib= --rtlib= -unwindlib= --unwindlib="
        " -fmodulo-sched -fno- -mtune= -fprofile-update="
    ),
}
_FLAG: Final[dict[Role, str]] = {
    Role.COMPILE: "-c --compile",
    Role.ASSEMBLE: "-S --assemble",
    Role.DEPS: "-MD --write-dependencies",
    Role.USER_DEPS: "-MMD --write-user-dependencies",
    Role.DEPS_PHONY: "-MP",
    Role.NATIVE: " ".join(NATIVE),
    Role.SEARCH: (
        "-nostdinc -nostdinc++ --no-standard-includes -nostdlibinc -nobuiltininc -EL -EB"
        " -m16 -m32 -m64 -mx32 -mthumb -marm -mlittle-endian -mbig-endian -no-canonical-prefixes"
    ),
    Role.COLOUR: (
        "-fdiagnostics-color -fno-diagnostics-color -fcolor-diagnostics -fno-color-diagnostics"
        " -fansi-escape-codes"
    ),
    Role.LINK: (
        "-rdynamic -s -shared -static -static-libgcc -static-libstdc++ -static-libasan"
        " -static-libtsan -static-libubsan -static-liblsan -static-pie -pie -no-pie -nopie"
        " -nostdlib -nodefaultlibs -nostartfiles -nolibc -symbolic -shared-libgcc"
    ),
    Role.PLAIN: (
        "-w -ansi -pedantic -pedantic-errors --pedantic --pedantic-errors -pthread -pthreads -p -pg"
        " -pipe -O -g -undef -trigraphs -H -Qunused-arguments -Qn -Qy -pass-exit-codes"
        " -fopt-info -fdiagnostics-format=text -fdiagnostics-format=json"
        " -fdiagnostics-format=json-stderr -finput-charset=UTF-8 -finput-charset=utf-8"
        " -fexec-charset=UTF-8 -fexec-charset=utf-8 -fdiagnostics-format=clang"
        " -fbasic-block-sections=all -fbasic-block-sections=labels -fbasic-block-sections=none"
        " -integrated-as -no-integrated-as -emit-llvm -fprofile-instr-generate"
        " -fcs-profile-generate -W -gsplit-dwarf=single"
    ),
}
_SIDE: Final[dict[str, str]] = {
    "-gsplit-dwarf": ".dwo",
    "-gsplit-dwarf=split": ".dwo",
    "-fstack-usage": ".su",
    "-fcallgraph-info": ".ci",
    "--coverage": ".gcno",
    "-coverage": ".gcno",
    "-ftest-coverage": ".gcno",
}
_SIDE_PREFIX: Final[dict[str, str]] = {"-fcallgraph-info=": ".ci"}

_LOCAL_FLAG: Final[dict[str, str]] = {
    "stops after preprocessing": "-E --preprocess",
    "only lists dependencies": "-M -MM -MG --dependencies --user-dependencies",
    "only checks the syntax": "-fsyntax-only --analyze",
    "only prints": "-v -### --help --version -dumpversion -dumpfullversion -dumpmachine -dumpspecs",
    "times the compiler itself": "-time -Q",
    "keeps intermediate files": "-save-temps --save-temps",
    "writes files that depend on the run": (
        "-fsave-optimization-record -ftime-trace -fproc-stat-report -fdump"
    ),
    "reads a profile": (
        "-fprofile-use -fbranch-probabilities -fauto-profile -fprofile-instr-use -fcs-profile-use"
    ),
    "uses modules": (
        "-fmodules -fmodules-ts -fcxx-modules -fmodule-only -fmodule-header -gmodules --precompile"
    ),
    "compiles twice to compare": "-fcompare-debug -fcompare-debug-second",
    "writes template repositories": "-frepo",
    "is the inner compiler": "-cc1 -cc1as",
    "runs another preprocessor": "-no-integrated-cpp -traditional -traditional-cpp -remap -I-",
    "measures the compiler": "-ftime-report -ftime-report-details -fmem-report -fstats",
    "is not C or C++": "-ObjC -ObjC++",
    "searches headers as MSVC does": "-fms-compatibility",
    "works on preprocessed text": "-fpreprocessed -fdirectives-only -frewrite-includes",
}
_LOCAL_SEPARATE: Final[dict[str, str]] = {
    "reads its own configuration": "-specs --specs --config -wrapper",
    "finds other programs": "-B",
    "passes options on unread": "-Xpreprocessor -Xassembler",
    "compiles for several machines": "-arch",
    "searches by prefix": (
        "-iprefix -iwithprefix -iwithprefixbefore -iwithsysroot -imultilib -imultiarch"
    ),
    "searches in an order of its own": "-isystem-after -cxx-isystem -stdlib++-isystem",
    "searches frameworks": "-F -iframework -iframeworkwithsysroot",
    "uses a file system overlay": "-ivfsoverlay",
    "changes the working directory": "-working-directory -working-directory=",
    "writes an index": "-index-store-path -MJ",
    "names its dumps itself": "-dumpbase -dumpbase-ext -dumpdir -aux-info",
}
_LOCAL_PREFIX: Final[dict[str, str]] = {
    "only prints": "-print- --print- --help= -dump",
    "keeps intermediate files": "-save-temps= --save-temps=",
    "writes dumps": "-d -fdump- -fopt-info- -fdbg-cnt -fself-test",
    "writes files that depend on the run": (
        "-fsave-optimization-record= -foptimization-record -ftime-trace= -ftime-trace-"
        " -fproc-stat-report= -fcrash-diagnostics-dir= -ftime-report= -fdiagnostics-add-output"
        " -fdiagnostics-set-output -fdiagnostics-format= -fdeps- -aux-info"
    ),
    "loads a plugin": "-fplugin= -fplugin-arg- -fpass-plugin=",
    "reads its own configuration": "-specs= --specs= --config= --config-",
    "finds other programs": "-B -wrapper, -resource-dir --resource-dir -ccc- -gcc",
    "reads a profile": (
        "-fauto-profile= -fprofile-sample-use"
        " -fcs-profile-use= -fprofile-remapping-file -fmemory-profile-use= -fthinlto-index="
        " -fprofile-instrument-use-path= -fbasic-block-sections= -fprofile-dir="
        " -fprofile-note="
    ),
    "uses modules": (
        "-fmodule-file -fmodule-map -fmodule-name -fmodule-output -fmodule-mapper -fmodule-header="
        " -fmodule-lazy -fmodule-implicit -fmodule-version -fmodules- -fprebuilt- -fimplicit-module"
        " -fsystem-module -fbuiltin-module-map -fbuild-session -fmodule-feature -fmodule-private"
    ),
    "compiles twice to compare": "-fcompare-debug=",
    "converts character sets with the machine's tables": (
        "-finput-charset= -fexec-charset= -fwide-exec-charset="
    ),
    "compiles for an accelerator": (
        "-foffload -fcuda -fgpu -fsycl --cuda --offload --hip --rocm -fembed-offload"
        " -fopenmp-targets -fopenmp-host -Xopenmp-target"
    ),
    "is a step of link-time optimisation": "-fltrans -fwpa -fresolution= -flinker-output=",
    "works on preprocessed text": "-fpch-preprocess -frewrite-",
    "reads interface notes": "-fapinotes -iapinotes",
    "passes options on unread": "-Xarch_ -Xanalyzer -Xcuda -Xhip",
    "measures the compiler": "-fmem-report- -fstats-",
    "imitates another driver": "--driver-mode=",
    "depends on another tool's cache": "-fcas -fdepscan",
    "writes a bug report": "-gen-",
    "passes options to the backend unread": "-mllvm -mmlir",
}

FRONTEND_VALUES: Final = {
    "-target-feature": re.compile(r"[+-][\w.-]+\Z"),
    "-include": re.compile(r"[^-]"),
    "-include-pch": re.compile(r"[^-]"),
}
"""Options of -Xclang that take a value, itself after -Xclang, and what it may be."""

FRONTEND_OK: Final = frozenset(
    (
        "-fno-pch-timestamp",
        "-fcolor-diagnostics",
        "-disable-llvm-passes",
        "-disable-O0-optnone",
        "-fno-validate-pch",
        "-fexperimental-strict-floating-point",
        "-mconstructor-aliases",
    )
)
"""Values of -Xclang that read and write nothing."""

BACKEND_OK: Final = re.compile(
    r"-(?:inline-threshold|inlinehint-threshold|unroll-[a-z-]+|enable-[a-z0-9-]+"
    r"|disable-[a-z0-9-]+|vectorize-[a-z-]+|x86-[a-z-]+|aarch64-[a-z-]+|arm-[a-z-]+"
    r"|align-all-[a-z-]+|polly[a-z-]*|asan-[a-z-]+|hwasan-[a-z-]+|msan-[a-z-]+|tsan-[a-z-]+)"
    r"(?:=[\w.-]+)?\Z"
)
"""Values of -mllvm that read and write nothing."""

ASSEMBLER_OK: Final = re.compile(
    r"(?:--noexecstack|--execstack|-mbig-obj|--(?:no)?compress-debug-sections(?:=[\w-]+)?|-g"
    r"|-W|--(?:no-)?warn|--fatal-warnings|--gdwarf-?\w*|-m[\w=,.+-]+|--divide|--strip-local-absolute"
    r"|-L|--32|--64|--x32|--defsym|\w+=\w+|--reduce-memory-overheads|-gdwarf-\d"
    r"|--generate-missing-build-notes=\w+|-Z)\Z"
)
"""Words after -Wa, that change the object and touch no other file."""


def _build() -> tuple[dict[str, Option], dict[str, Option]]:
    exact: dict[str, Option] = {}
    prefixes: dict[str, Option] = {}

    def add(names: str, role: Role, shape: Shape, note: str = "") -> None:
        for name in names.split():
            option = Option(name, role, shape, note)
            if shape is not Shape.JOINED:
                exact[name] = option
            if shape in (Shape.JOINED, Shape.EITHER):
                prefixes[name] = option

    for table, shape in (
        (_JOINED, Shape.JOINED),
        (_EITHER, Shape.EITHER),
        (_SEPARATE, Shape.SEPARATE),
        (_FLAG, Shape.FLAG),
    ):
        for role, names in table.items():
            add(names, role, shape)
    for names, suffix in _SIDE.items():
        add(names, Role.SIDE, Shape.FLAG, suffix)
    for names, suffix in _SIDE_PREFIX.items():
        add(names, Role.SIDE, Shape.JOINED, suffix)
    for local, shape in (
        (_LOCAL_PREFIX, Shape.JOINED),
        (_LOCAL_SEPARATE, Shape.SEPARATE),
        (_LOCAL_FLAG, Shape.FLAG),
    ):
        for reason, names in local.items():
            add(names, Role.LOCAL, shape, reason)
    return exact, prefixes


_EXACT, _PREFIXES = _build()

TWO_WAYS: Final = frozenset(name for names in _EITHER.values() for name in names.split())
"""Options whose value may be joined or apart."""

_LENGTHS: Final = sorted({len(name) for name in _PREFIXES}, reverse=True)


@lru_cache(maxsize=16384)
def look_up(argument: str) -> Found | None:
    """Return what an argument that begins with `-` is, or None when no table knows it."""
    option = _EXACT.get(argument)
    if option is not None:
        return Found(option, "" if option.shape is Shape.FLAG else None)
    for length in _LENGTHS:
        # An exact name longer than the argument can't be its prefix; the longest match wins.
        if length < len(argument) and (option := _PREFIXES.get(argument[:length])):
            return Found(option, argument[length:])
    return None
