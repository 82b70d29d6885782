"""The options of linkers as data: what each one means for running a link elsewhere.

Knows no command line, only single options. Drivers' options that are inert without sources come
from `tables`; here is what changes a link. An option that is in no table keeps the link here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cyxmake_common.toolchain.tables import Role


class LinkRole(Enum):
    """What an option of a driver or a linker does, seen from a remote link."""

    PLAIN = "plain"
    """Changes the output; reads and writes no file."""
    OUTPUT = "output"
    LIBRARY = "library"
    """Names a library that is searched."""
    SEARCH = "search"
    """Adds a directory in which libraries, and scripts, are searched."""
    NEEDED_SEARCH = "needed-search"
    """Adds directories in which the libraries of shared libraries are searched."""
    FILE = "file"
    """Reads the file that its value names."""
    SCRIPT = "script"
    """Reads a linker script, which may name others."""
    WRITES = "writes"
    """Writes one more file."""
    LINKER = "linker"
    """Chooses the linker."""
    WORDS = "words"
    """Hands words to the linker, separated by commas."""
    WORD = "word"
    """Hands the next argument to the linker."""
    LOCAL = "local"


class Form(Enum):
    """How an option carries its value."""

    NONE = "none"
    JOINED = "joined"
    """In the same word: after `=` for a long option, directly for a short one."""
    NEXT = "next"
    BOTH = "both"
    """In the same word or in the next one."""


@dataclass(frozen=True, slots=True)
class LinkOption:
    """One entry; `note` is the reason of a LOCAL role."""

    role: LinkRole
    form: Form
    note: str = ""


@dataclass(frozen=True, slots=True)
class FoundOption:
    """An option recognised in a word; `value` is None when it is in the next word."""

    option: LinkOption
    value: str | None


# ── the driver ──────────────────────────────────────────────────────────────────────────────────

_DRIVER: Final[dict[tuple[LinkRole, Form], str]] = {
    (LinkRole.OUTPUT, Form.BOTH): "-o",
    (LinkRole.LIBRARY, Form.BOTH): "-l",
    (LinkRole.SEARCH, Form.BOTH): "-L",
    (LinkRole.SCRIPT, Form.BOTH): "-T",
    (LinkRole.PLAIN, Form.BOTH): "-z -u -e",
    (LinkRole.LINKER, Form.JOINED): "-fuse-ld=",
    (LinkRole.WORDS, Form.JOINED): "-Wl,",
    (LinkRole.WORD, Form.NEXT): "-Xlinker",
    (LinkRole.PLAIN, Form.NONE): (
        "-rdynamic -s -shared -static -static-libgcc -static-libstdc++ -static-libasan"
        " -static-libtsan -static-libubsan -static-liblsan -static-pie -pie -no-pie -nopie"
        " -nostdlib -nodefaultlibs -nostartfiles -nolibc -symbolic -shared-libgcc -r -nostdlib++"
        " -m64 -stdlib=libstdc++"
    ),
}
_DRIVER_LOCAL: Final[dict[str, str]] = {
    "-flto=jobserver": "takes part in make's job server",
    "-fno-use-linker-plugin": "links objects without the linker's help",
}

INERT: Final = frozenset(
    (
        Role.PLAIN,
        Role.QUOTE,
        Role.INCLUDE,
        Role.SYSTEM,
        Role.AFTER,
        Role.FORCED,
        Role.MACROS,
        Role.PREPROCESSOR,
        Role.COLOUR,
    )
)
"""What options of a compile may do in a command that only links."""

INERT_SEARCH: Final = ("-march=", "-mcpu=", "-nostdinc")
"""Options that choose headers, or the processor, but no other libraries."""

# ── the linkers: GNU ld, gold, lld, mold ────────────────────────────────────────────────────────

_LONG: Final[dict[tuple[LinkRole, Form], str]] = {
    (LinkRole.PLAIN, Form.NONE): (
        "as-needed no-as-needed no-undefined gc-sections no-gc-sections build-id no-build-id"
        " export-dynamic no-export-dynamic start-group end-group whole-archive no-whole-archive"
        " enable-new-dtags disable-new-dtags strip-all strip-debug discard-all discard-locals"
        " discard-none eh-frame-hdr no-eh-frame-hdr sort-common fatal-warnings no-fatal-warnings"
        " warn-common warn-execstack no-warn-execstack warn-rwx-segments no-warn-rwx-segments"
        " warn-shared-textrel warn-unresolved-symbols warn-once warn-textrel"
        " warn-alternate-em no-warn-mismatch no-warn-search-mismatch error-unresolved-symbols"
        " allow-multiple-definition Bstatic Bdynamic Bsymbolic Bsymbolic-functions Bgroup dn dy"
        " Bno-symbolic Bsymbolic-non-weak Bsymbolic-non-weak-functions"
        " call_shared non_shared static shared pie pic-executable no-pie no-dynamic-linker demangle"
        " no-demangle threads no-threads allow-shlib-undefined no-allow-shlib-undefined"
        " push-state pop-state no-relax relax no-keep-memory reduce-memory-overheads"
        " copy-dt-needed-entries no-copy-dt-needed-entries default-symver default-imported-symver"
        " dynamic-list-data dynamic-list-cpp-new dynamic-list-cpp-typeinfo no-omagic omagic nmagic"
        " emit-relocs gdb-index no-gdb-index ld-generated-unwind-info no-ld-generated-unwind-info"
        " print-gc-sections no-print-gc-sections start-lib end-lib no-rosegment rosegment"
        " undefined-version no-undefined-version fix-cortex-a53-843419 be8 nostdlib"
        " no-add-needed add-needed accept-unknown-input-arch no-ctors-in-init-array"
        " enable-non-contiguous-regions no-define-common define-common"
    ),
    (LinkRole.PLAIN, Form.JOINED): (
        "build-id icf hash-style sort-section unresolved-symbols compress-debug-sections"
        " threads thread-count pack-dyn-relocs orphan-handling exclude-libs package-metadata"
        " color-diagnostics sort-common demangle no-demangle noinhibit-exec spare-dynamic-tags"
        " error-limit"
    ),
    (LinkRole.PLAIN, Form.BOTH): (
        "soname undefined require-defined entry init fini wrap defsym auxiliary filter"
        " dynamic-linker image-base section-start Ttext Tdata Tbss Ttext-segment"
        " Trodata-segment max-page-size common-page-size oformat-none undefined-glob"
        " export-dynamic-symbol exclude-libs split-stack-adjust-size"
    ),
    (LinkRole.LIBRARY, Form.BOTH): "library",
    (LinkRole.SEARCH, Form.BOTH): "library-path",
    (LinkRole.NEEDED_SEARCH, Form.BOTH): "rpath rpath-link",
    (LinkRole.FILE, Form.BOTH): (
        "version-script dynamic-list retain-symbols-file symbol-ordering-file"
        " section-ordering-file export-dynamic-symbol-list"
    ),
    (LinkRole.SCRIPT, Form.BOTH): "script",
    (LinkRole.WRITES, Form.BOTH): "Map dependency-file out-implib",
    (LinkRole.OUTPUT, Form.BOTH): "output",
}
_SHORT: Final[dict[tuple[LinkRole, Form], str]] = {
    (LinkRole.PLAIN, Form.NONE): "E s S x X q N n G ( )",
    (LinkRole.PLAIN, Form.JOINED): "O",
    (LinkRole.PLAIN, Form.BOTH): "z h u e m y f F I",
    (LinkRole.LIBRARY, Form.BOTH): "l",
    (LinkRole.SEARCH, Form.BOTH): "L",
    (LinkRole.SCRIPT, Form.BOTH): "T",
}
_LOCAL_WORDS: Final[dict[str, str]] = {
    "is new every time": "build-id=uuid",
    "loads a plugin": "plugin plugin-opt plugin-save-temps",
    "keeps a cache of its own": "thinlto-cache-dir thinlto-cache-policy incremental",
    "writes files that depend on the run": "reproduce time-trace stats save-temps print-map M"
    " cref trace t verbose v V version print-memory-usage Map=-",
    "searches another system's libraries": "sysroot chroot",
}


def _expand(table: dict[tuple[LinkRole, Form], str]) -> dict[str, list[LinkOption]]:
    result: dict[str, list[LinkOption]] = {}
    for (role, form), names in table.items():
        for name in names.split():
            result.setdefault(name, []).append(LinkOption(role, form))
    return result


_DRIVER_OPTIONS: Final = _expand(_DRIVER)
_LONG_OPTIONS: Final = _expand(_LONG)
_SHORT_OPTIONS: Final = _expand(_SHORT)
_REFUSED: Final = {
    name: LinkOption(LinkRole.LOCAL, Form.NONE, reason)
    for reason, names in _LOCAL_WORDS.items()
    for name in names.split()
}
_DRIVER_REFUSED: Final = {
    name: LinkOption(LinkRole.LOCAL, Form.NONE, reason) for name, reason in _DRIVER_LOCAL.items()
}

OBJECT: Final = re.compile(r"\.(?:o|obj|os|lo|a|so|ld|lds)(?:\.\d+)*\Z")
"""Names of files that a driver hands to the linker."""


def driver_option(word: str) -> FoundOption | None:
    """Return what an argument of a driver does to a link; None when it is none of these."""
    if word in _DRIVER_REFUSED:
        return FoundOption(_DRIVER_REFUSED[word], "")
    for option in _DRIVER_OPTIONS.get(word, ()):
        if option.form is not Form.JOINED:
            return FoundOption(option, "" if option.form is Form.NONE else None)
    for name in (word[:2], word[: word.find("=") + 1], "-Wl,"):
        if name and word.startswith(name) and len(word) > len(name):
            for option in _DRIVER_OPTIONS.get(name, ()):
                if option.form in (Form.JOINED, Form.BOTH):
                    return FoundOption(option, word[len(name) :])
    return None


def linker_option(word: str) -> FoundOption | None:
    """Return what a word for the linker does; None for one that no table knows."""
    stripped = word[2:] if word.startswith("--") else word[1:]
    name, equals, value = stripped.partition("=")
    for refused in (stripped, name):
        if refused in _REFUSED:
            return FoundOption(_REFUSED[refused], "")
    for option in _LONG_OPTIONS.get(name, ()):
        if found := _found(option, value if equals else None):
            return found
    if word.startswith("--"):
        return None
    short, rest = stripped[:1], stripped[1:]
    for option in _SHORT_OPTIONS.get(short, ()):
        if found := _found(option, rest or None):
            return found
    return None


def _found(option: LinkOption, value: str | None) -> FoundOption | None:
    """Match a value, or its absence, with the form that an option has."""
    match option.form:
        case Form.NONE:
            return FoundOption(option, "") if value is None else None
        case Form.JOINED:
            return FoundOption(option, value) if value is not None else None
        case Form.NEXT:
            return FoundOption(option, None) if value is None else None
        case Form.BOTH:
            return FoundOption(option, value)
