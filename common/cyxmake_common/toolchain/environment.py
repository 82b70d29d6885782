"""Which environment variables reach a remote compile, and which make it impossible.

Knows no process: the client's environment is passed in. The worker sees these variables, no others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.local import LocalOnly

DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"

_BOTH: Final = (
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "SOURCE_DATE_EPOCH",
    "GCC_COLORS",
    "COMPILER_PATH",
)
_KEPT: Final[dict[CompilerKind, tuple[str, ...]]] = {
    CompilerKind.GCC: (*_BOTH, "GCC_EXEC_PREFIX", "GCC_URLS", "TERM_URLS"),
    CompilerKind.CLANG: (*_BOTH, "OBJCPLUS_INCLUDE_PATH"),
}
_IMPOSSIBLE: Final = {
    "DEPENDENCIES_OUTPUT": "adds to a file of its own",
    "SUNPRO_DEPENDENCIES": "adds to a file of its own",
    "GCC_COMPARE_DEBUG": "compiles twice to compare",
    "CC_PRINT_HEADERS": "writes a log of its own",
    "CC_PRINT_HEADERS_FILE": "writes a log of its own",
    "CC_PRINT_OPTIONS": "writes a log of its own",
    "CC_PRINT_PROC_STAT": "writes a log of its own",
    "CC_LOG_DIAGNOSTICS": "writes a log of its own",
    "CCC_OVERRIDE_OPTIONS": "changes the command line",
    "CCC_ADD_ARGS": "changes the command line",
    "QA_OVERRIDE_GCC3_OPTIONS": "changes the command line",
    "CL": "changes the command line",
    "_CL_": "changes the command line",
    "SDKROOT": "searches another system's headers",
    "LD_PRELOAD": "changes every program",
    "GCC_EXTRA_DIAGNOSTIC_OUTPUT": "adds to the diagnostics",
    "GCC_COMPARE_DEBUG_OPT": "compiles twice to compare",
    "EXPERIMENTAL_SARIF_SOCKET": "talks to another program",
}
_PLAIN_LOCALES: Final = frozenset(("C", "POSIX", ""))


def relevant_environment(
    kind: CompilerKind,
    environ: Mapping[str, str],
    *,
    path: str = DEFAULT_PATH,
    locales: Collection[str] | None = None,
) -> tuple[tuple[str, str], ...] | LocalOnly:
    """Return the variables of a remote compile, sorted by name; `path` is the toolchain's own PATH.

    `locales` are those installed at the client (normalised as by `locale -a`): a locale that is
    named but not installed means "C" to a compiler. None: whatever is named is installed.
    """
    for name, what in _IMPOSSIBLE.items():
        if environ.get(name):
            return LocalOnly(f"{name} is set: it {what}")
    language = _language(environ, locales)
    if isinstance(language, LocalOnly):
        return language
    result = {name: environ[name] for name in _KEPT[kind] if name in environ}
    result["PATH"] = path
    if language != "C":
        result["LC_ALL"] = language
    return tuple(sorted(result.items()))


def normal_locale(name: str) -> str:
    """Return a locale's name as `locale -a` spells it: `en_US.UTF-8` is `en_US.utf8`."""
    stem, dot, charset = name.partition(".")
    return stem + dot + charset.lower().replace("-", "")


def _language(environ: Mapping[str, str], locales: Collection[str] | None) -> str | LocalOnly:
    """Return C or C.UTF-8: the locales in which every machine says the same.

    English messages are the compiler's own texts; only the quotes around names differ between the
    character sets. Any other language needs message files that a worker does not have.
    """
    everything = environ.get("LC_ALL") or ""
    names = [
        everything or environ.get(category) or environ.get("LANG") or "C"
        for category in ("LC_CTYPE", "LC_MESSAGES")
    ]
    names = [name if _installed(name, locales) else "C" for name in names]
    if all(name in _PLAIN_LOCALES for name in names):
        return "C"
    ctype, messages = names
    if not messages.startswith(("C", "POSIX", "en_US")):
        return LocalOnly(f"its messages are in the language of {messages}")
    if messages.startswith("en_US") and environ.get("LANGUAGE", "en").partition(":")[0] not in (
        "en",
        "en_US",
        "C",
        "",
    ):
        return LocalOnly(f"its messages are in the language {environ['LANGUAGE']}")
    if ctype in _PLAIN_LOCALES:
        return "C"
    if not normal_locale(ctype).endswith(".utf8"):
        return LocalOnly(f"its character set is that of {ctype}")
    return (
        "C.UTF-8" if _installed("C.UTF-8", locales) else LocalOnly("the locale C.UTF-8 is missing")
    )


def _installed(name: str, locales: Collection[str] | None) -> bool:
    return locales is None or name in _PLAIN_LOCALES or normal_locale(name) in locales
