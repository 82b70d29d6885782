"""What a person is told: of a cause, of a plan, and what is left for them to decide.

Pure words. The last sentence of a build that stays broken says what has to be decided, by whom
ever owns the project, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cyxmake_cli.recovery.engine import End, Finish
from cyxmake_cli.recovery.fixes import Fix, SystemInstall, summary_of
from cyxmake_common.diagnosis.model import Category, Diagnosis

_CALLED: Final = {
    Category.MISSING_HEADER: "the header {header}",
    Category.MISSING_LIBRARY: "the library {library}",
    Category.MISSING_PACKAGE_CONFIG: "the package {package}",
    Category.MISSING_TOOL: "the program {command}",
    Category.MISSING_MODULE: "the module {module}",
    Category.MISSING_INPUT: "the file {path}",
    Category.UNDEFINED_SYMBOL: "the symbol {symbol}",
    Category.DUPLICATE_SYMBOL: "the symbol {symbol}",
    Category.VERSION_MISMATCH: "{subject}",
    Category.UNSUPPORTED_OPTION: "the option {option}",
    Category.DEPENDENCY_CONFLICT: "the package {package}",
    Category.NETWORK_FAILURE: "the host {host}",
    Category.PERMISSION_DENIED: "{path}",
}
_SAID: Final = {
    Category.MISSING_HEADER: "{it} is missing",
    Category.MISSING_LIBRARY: "{it} is missing",
    Category.MISSING_PACKAGE_CONFIG: "{it} is missing",
    Category.MISSING_TOOL: "{it} is missing",
    Category.MISSING_MODULE: "{it} is missing",
    Category.MISSING_INPUT: "{it} is missing",
    Category.VERSION_MISMATCH: "{it} has another version than the project asks for{versions}",
    Category.ARCH_MISMATCH: "something was built for another kind of machine",
    Category.DEPENDENCY_CONFLICT: "what is asked of {it} does not go together",
    Category.UNSUPPORTED_OPTION: "{it} is not known to the tool it is given to",
    Category.OUT_OF_MEMORY: "the memory of this machine is not enough",
    Category.DISK_FULL: "the disk is full",
    Category.PERMISSION_DENIED: "{it} may not be used by this user",
    Category.NETWORK_FAILURE: "{it} cannot be reached",
    Category.TIMEOUT: "a command took too long",
    Category.RESOURCE_BUSY: "something that is needed is in use",
    Category.LIMIT_EXCEEDED: "a limit of this system is reached",
    Category.CLOCK_SKEW: "clocks disagree",
    Category.WORKER_FAULT: "this machine's storage fails",
    Category.TOOL_CRASH: "a tool crashes",
    Category.BUILD_SCRIPT_ERROR: "a build file is wrong",
    Category.UNDEFINED_SYMBOL: "{it} is defined nowhere that is linked",
    Category.DUPLICATE_SYMBOL: "{it} is defined twice",
    Category.CODE_ERROR: "a source does not compile",
    Category.WARNING_AS_ERROR: "a warning counts as an error",
    Category.TEST_FAILURE: "a test fails",
}
_DECIDE: Final = {
    Category.MISSING_HEADER: "which package, or which directory, has it",
    Category.MISSING_LIBRARY: "which package has it, or whether the build can do without",
    Category.MISSING_PACKAGE_CONFIG: "which package has it, or whether the build can do without",
    Category.MISSING_TOOL: "which program is meant, and how to install it",
    Category.MISSING_MODULE: "which package is meant, and whether it may be installed",
    Category.MISSING_INPUT: "where it comes from: it is neither in version control nor made here",
    Category.VERSION_MISMATCH: "whether to install that version, or to lower what is asked for",
    Category.ARCH_MISMATCH: "which machine this is for, and where its libraries come from",
    Category.DEPENDENCY_CONFLICT: "which of the demands gives way",
    Category.UNSUPPORTED_OPTION: "whether it can go, or another tool is needed",
    Category.OUT_OF_MEMORY: "whether to give the machine more memory or build elsewhere",
    Category.DISK_FULL: "what to remove, or which other disk to build on (--build-dir)",
    Category.PERMISSION_DENIED: "who owns it, and whether this user may have it",
    Category.NETWORK_FAILURE: "how to get there (network, proxy, credentials), or to do without",
    Category.TIMEOUT: "whether it hangs, or needs more time",
    Category.RESOURCE_BUSY: "what holds it, and when that ends",
    Category.LIMIT_EXCEEDED: "whether the system may allow more",
    Category.CLOCK_SKEW: "which clock is right",
    Category.WORKER_FAULT: "whether this disk can still be trusted",
    Category.TOOL_CRASH: "which other version of that tool to use",
    Category.BUILD_SCRIPT_ERROR: "what is meant there",
    Category.UNDEFINED_SYMBOL: "which library or source is to be linked",
    Category.DUPLICATE_SYMBOL: "which of the definitions is the right one",
    Category.CODE_ERROR: "what the source is to say",
    Category.WARNING_AS_ERROR: "whether to correct the source or to allow the warning",
    Category.TEST_FAILURE: "whether the test or what it tests is wrong",
}


def said_of(cause: Diagnosis) -> str:
    """Return in one clause what is wrong, and where."""
    facts = cause.facts
    known = {name: str(value) for name, value in facts.known().items()}
    template = _CALLED.get(cause.category, "")
    try:
        it = template.format(**known)
    except KeyError:
        it = template.partition(" {")[0].replace("the ", "a ") if " {" in template else "something"
    versions = (f": {facts.wanted} is wanted" if facts.wanted else "") + (
        f", {facts.found} is here" if facts.found else ""
    )
    said = _SAID[cause.category].format(it=it, versions=versions)
    place = f" ({facts.file}{f':{facts.line}' if facts.line else ''})" if facts.file else ""
    doubt = "nothing is certain; a language model suggests: " if cause.suggested else ""
    return doubt + said + place


def plan_of(fixes: Sequence[Fix]) -> str:
    """Return in one clause what would be tried."""
    first, *others = fixes
    more = f", or else {summary_of(others[0])}" if others else ""
    return f"{summary_of(first)}{more}"


def _how(fix: Fix) -> str:
    """Return what a person does to have a refused fix."""
    if isinstance(fix, SystemInstall):
        return f"`cyxmake packages install {' '.join(fix.packages)}` does it"
    return "`cyxmake build -y` does it, or a yes on a terminal"


def left_to_decide(finish: Finish, tried: int) -> str:
    """Return the one sentence that a build ends with when it could not be repaired.

    `tried` counts the fixes that did not help.
    """
    end, causes = finish.end, finish.causes
    if not causes:
        return "not repaired: no cause is certain in what the tools said; read the output above"
    cause = causes[0].diagnosis
    others = f" ({len(causes) - 1} more like it or behind it)" if len(causes) > 1 else ""
    what = f"not repaired: {said_of(cause)}{others}"
    if end is End.REFUSED:
        fix = finish.refused[0]
        return f"{what}; decide whether to {summary_of(fix)}: {_how(fix)}"
    if end in (End.TOO_MANY, End.TOO_LONG):
        return f"{what}; {end.value} ({tried} fixes); decide {_DECIDE[cause.category]}"
    if end is End.CHANGED:
        return f"{what}; {end.value}: look at it, then repeat"
    none = f"none of {tried} fixes helped; " if tried else ""
    return f"{what}; {none}decide {_DECIDE[cause.category]}"
