"""The options of cl and clang-cl as data: what each one means for running the compile elsewhere.

Knows no command line, only single options. Names stand with `/`, but `-` begins them as well; they
are case-sensitive. An option that is in no table is never sent.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Final

from cyxmake_common.toolchain.tables import Found, Option, Role, Shape


class MsvcKind(Enum):
    """Which of the two compilers with this command line it is."""

    CL = "cl"
    CLANG_CL = "clang-cl"


_EITHER: Final[dict[Role, str]] = {
    Role.PLAIN: "/D /U",
    Role.INCLUDE: "/I",
    Role.SYSTEM: "/external:I",
    Role.FORCED: "/FI",
    Role.LANGUAGE: "/Tc /Tp",
}
_JOINED: Final[dict[Role, str]] = {
    Role.OUTPUT: "/Fo",
    # Only where the program database goes: whether there is one, /Zi says. CMake always writes it.
    Role.PLAIN: "/Fd",
}
_SEPARATE: Final[dict[Role, str]] = {Role.DEPS_FILE: "/sourceDependencies"}
_FLAG: Final[dict[Role, str]] = {
    Role.COMPILE: "/c",
    Role.LANGUAGE: "/TC /TP",
    Role.DEPS: "/showIncludes",
    Role.SEARCH: "/X",
    Role.LINK: "/link",
    Role.PLAIN: (
        "/nologo /bigobj /utf-8 /source-charset:utf-8 /execution-charset:utf-8 /validate-charset"
        " /validate-charset- /permissive /permissive- /FC /FS /J /u /w /Z7 /Za /Ze /Zl /Zo /Zo- /Zf"
        " /kernel /kernel- /hotpatch /homeparams /sdl /sdl- /openmp /openmp- /await /await:strict"
        " /analyze- /Brepro /Brepro- /experimental:deterministic /experimental:external /Qspectre"
        " /Qspectre- /Qspectre-load /Qspectre-load-cf /Qpar /Qpar- /QIfist /Qimprecise_fwaits"
        " /Qfast_transcendentals /Qsafe_fp_loads /QIntel-jcc-erratum /jumptablerdata /LD /LDd"
        " /external:anglebrackets /external:templates- /arm64EC /fastfail /Wall"
    ),
}
_PLAIN_FAMILIES: Final = re.compile(
    "/(?:"
    + "|".join(
        (
            r"O(?:[12dgistxy]|b[0-3])+-?",
            r"W(?:[0-4]|X-?|L|v:[\d.]+|p64)",
            r"w(?:[deo]\d+|[1-4]\d+)",
            r"G(?:[dehrvwyzAFHRSTXZ]-?|[L345678m]-|s\d*|[345678B])",
            r"guard:[\w-]+(?:[,+][\w-]+)*",
            r"EH[acsr-]+",
            r"M[DT]d?",
            r"MP\d*",
            r"RTC[1csu]+",
            r"std:c(?:\+\+)?\w+",
            r"Zc:[\w+-]+(?:[:=]\w+)?-?",
            r"Zp\d*",
            r"Zm\d+",
            r"ZH:\w+",
            r"arch:[\w.+-]+",
            r"favor:\w+",
            r"fp:[\w-]+",
            r"volatile:\w+",
            r"vd[012]",
            r"vm[bgmsv]",
            r"vlen(?:=\d+)?",
            r"constexpr:\w+",
            r"cgthreads\d",
            r"diagnostics:[\w-]+",
            r"errorReport:\w+",
            r"external:W[0-4]",
            r"openmp:\w+",
            r"Qpar-report:\d",
            r"Qvec-report:\d",
            r"fsanitize=address",
            r"fno-sanitize-address-vcasan-lib",
        )
    )
    + r")\Z",
    re.ASCII,
)
"""Families of which every member only changes code or diagnostics."""

_LOCAL_FLAG: Final[dict[str, str]] = {
    "stops after preprocessing": "/E /EP /P /PD /C",
    "only checks the syntax": "/Zs",
    "only prints": "/? /help /HELP /Zg",
    "leaves compiling to the linker": "/GL",
    "keeps a state of its own": "/Gm",
    "leaves system headers out of its dependencies": "/showIncludes:user",
    "only lists dependencies": "/sourceDependencies:directives /scanDependencies",
    "uses modules": (
        "/interface /internalPartition /exportHeader /experimental:module /translateInclude"
    ),
}
_LOCAL_PREFIX: Final[dict[str, str]] = {
    "uses a precompiled header of the machine": "/Yc /Yu /Yd /Yl /Y- /Fp",
    "writes a listing": "/FA /Fa /Fm /FR /Fr /Fx",
    "stops after preprocessing": "/Fi",
    "names a program": "/Fe /F",
    "uses modules": (
        "/reference /ifcOutput /ifcSearchDir /ifcMap /ifcOnly /stdIfcDir /headerUnit /headerName"
        " /module"
    ),
    "only lists dependencies": "/scanDependencies",
    "may write into a folder": "/sourceDependencies",
    "writes documentation": "/doc",
    "runs analysers": "/analyze",
    "is not C or C++": "/clr /ZW /AI /FU",
    "converts character sets with the machine's tables": "/source-charset: /execution-charset:",
    "takes directories from a variable": "/external:env:",
    "measures the compiler": "/Bt",
    "is the inner compiler": "/B1 /B2 /Bx",
    "passes options on unread": "/d1 /d2",
    "is experimental": "/experimental:",
}
_CL_LOCAL_FLAG: Final[dict[str, str]] = {
    "writes a program database, which compiles share": "/Zi /ZI",
}
_CLANG_LOCAL_FLAG: Final[dict[str, str]] = {
    "writes a program database, which compiles share": "/ZI",
    "is not written by this compiler": "/sourceDependencies",
}
_CLANG_FLAG: Final[dict[Role, str]] = {Role.PLAIN: "/Zi"}
"""To clang-cl it means /Z7: debug information goes into the object."""

_CLANG_EITHER: Final[dict[Role, str]] = {
    Role.OUTPUT: "/o",
    Role.SYSTEM: "/imsvc",
    Role.SEARCH: "/winsysroot /winsdkdir /winsdkversion /vctoolsdir /vctoolsversion",
}
_CLANG_JOINED: Final[dict[Role, str]] = {Role.FRONTEND: "/clang:"}
_CLANG_SEPARATE: Final[dict[Role, str]] = {Role.FRONTEND: "-Xclang -mllvm"}

PASSED_ON: Final = re.compile(r"-(?:[fmg]\w|Wno-|W[a-z]|O[0-3sz]\Z|-target=)")
"""How options of clang begin that clang-cl takes as they are."""

_Tables = tuple[dict[str, Option], dict[str, Option]]


def _build(kind: MsvcKind) -> _Tables:
    exact: dict[str, Option] = {}
    prefixes: dict[str, Option] = {}

    def add(names: str, role: Role, shape: Shape, note: str = "") -> None:
        for name in names.split():
            option = Option(name, role, shape, note)
            if shape is not Shape.JOINED:
                exact[name] = option
            if shape in (Shape.JOINED, Shape.EITHER):
                prefixes[name] = option

    plain = [
        (_EITHER, Shape.EITHER),
        (_JOINED, Shape.JOINED),
        (_SEPARATE, Shape.SEPARATE),
        (_FLAG, Shape.FLAG),
    ]
    local = [(_LOCAL_PREFIX, Shape.JOINED), (_LOCAL_FLAG, Shape.FLAG)]
    if kind is MsvcKind.CLANG_CL:
        plain += [
            (_CLANG_EITHER, Shape.EITHER),
            (_CLANG_JOINED, Shape.JOINED),
            (_CLANG_SEPARATE, Shape.SEPARATE),
            (_CLANG_FLAG, Shape.FLAG),
        ]
        local.append((_CLANG_LOCAL_FLAG, Shape.FLAG))
    else:
        local.append((_CL_LOCAL_FLAG, Shape.FLAG))
    for table, shape in plain:
        for role, names in table.items():
            add(names, role, shape)
    for reasons, shape in local:
        for reason, names in reasons.items():
            add(names, Role.LOCAL, shape, reason)
    return exact, prefixes


_TABLES: Final = {kind: _build(kind) for kind in MsvcKind}


@lru_cache(maxsize=16384)
def look_up_msvc(argument: str, kind: MsvcKind) -> Found | None:
    """Return what an argument that begins with `/` or `-` is; None when no table knows it."""
    exact, prefixes = _TABLES[kind]
    slashed = "/" + argument[1:]
    option = exact.get(argument) or exact.get(slashed)
    if option is not None:
        return Found(option, "" if option.shape is Shape.FLAG else None)
    if _PLAIN_FAMILIES.match(slashed):
        return Found(Option(slashed, Role.PLAIN, Shape.FLAG), "")
    for length in range(len(slashed), 1, -1):
        if option := prefixes.get(slashed[:length]):
            # A joined option that lacks its value: only a reason needs none.
            if length == len(slashed) and option.role is not Role.LOCAL:
                return None
            return Found(option, slashed[length:])
    return None
