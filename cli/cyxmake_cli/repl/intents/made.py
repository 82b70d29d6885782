"""Wishes for a new project: what is to be made, and where.

Knows no language and no kind beyond their names (see cyxmake_cli.creation, which reads descriptions).
"""

from __future__ import annotations

import re
from typing import Final

from cyxmake_cli.repl.intents.acts import asks, unwished
from cyxmake_cli.repl.intents.model import Known, Meaning, Plan, Step, not_offered, offered

_KIND: Final = (
    r"(?:projects?|programs?|librar(?:y|ies)|apps?|applications?|cli|tools?|games?|gui|servers?|sites?|website|web ?app"
    r"|services?|executables?|api|crates?|modules?|scripts?|daemon|utility|prototype|skeleton|clone|calculator|hello[ ,]world)"
)
_LANGUAGE: Final = r"(?:c\+\+|cpp|rust|python|go|golang|java|javascript|js|typescript|ts|node(?:\.?js)?|c(?:99|11|17|23)?)"
_HEAD: Final = rf"(?P<rest>(?:an? |another |some |one )?(?:new )?(?:(?!(?:for|that|to|about|of|the|my|our|token|test|tests|build|release|debug|job|target|worker|agent|coordinator|clean|fix|full|fresh)\b)[\w+#.-]+,? ){{0,6}}?{_KIND}\b.*)"
_MAKE: Final = re.compile(
    rf"^(?:(?P<sure>create|generate|scaffold|bootstrap|develop|write|start|set up|begin|open|initiali[sz]e)|build|make|code|give me|produce|do)(?: me| us| for me)? (?=an? |another |some |new |{_LANGUAGE} ){_HEAD}$",
    re.IGNORECASE,
)
_WANTED: Final = re.compile(
    rf"^(?=(?:an?|new) (?:\S+ )*?{_LANGUAGE} |(?:an?|new) (?:\S+ )*?in {_LANGUAGE}\b){_HEAD}$",
    re.IGNORECASE,
)
_OTHER: Final = re.compile(
    r"\b(?:builds?|compile|install|tests?|cluster|coordinator|targets?|agents?|tokens?|release|debug)\b",
    re.IGNORECASE,
)
_PREAMBLE: Final = re.compile(
    r"^(?:an? |the )?(?:brand )?(?:new )?projects?(?: here| please)?(?:: ?| - |, (?=an? )| for (?=an? )| with (?=an? ))",
    re.IGNORECASE,
)
_WHERE: Final = re.compile(
    r",?(?: and)?(?: put(?:ting)? it)? (?:in(?:to|side)?|under|below|at|to)(?: the)?(?: (?:folder|directory|path))? (?P<place>(?:~|\.{1,2})?/[\w./~-]*[\w]|[\w.-]+/[\w./-]*\w|~)(?=[\s,.]|$)",
    re.IGNORECASE,
)
_NO_BUILD: Final = re.compile(
    r",?(?: and| but)? (?:do not|without|no need to|not) (?:build(?:ing)?|compil(?:e|ing))(?: (?:it|anything))?(?: (?:yet|at once|for now|or test(?:ing)? it|now))*",
    re.I,
)
_NO_GIT: Final = re.compile(
    r",?(?: and| but)? (?:without|no|with no|not)(?: an?| any)? git(?: repository)?", re.I
)
_GIT: Final = re.compile(r",?(?: and)? with (?:a )?git(?: repository)?", re.I)
_DRY: Final = re.compile(
    r"(?:,? (?:but )?(?:as a |do a )?(?:dry[- ]run|only show (?:me )?what would be (?:made|written)))",
    re.I,
)


def created(line: str, known: Known) -> Meaning | None:
    """Return the plan to create what a line describes; None where it describes nothing new."""
    text, _ = unwished(line.rstrip(" .!?"))
    if asks(text) or asks(line):
        return None
    wanted = text != line.rstrip(" .!?") or text.lower().startswith("new ")
    match = _MAKE.match(text) or (_WANTED.match(text) if wanted else None)
    if match is None:
        return None
    language = re.search(rf"(?<![\w+]){_LANGUAGE}(?![\w+])", match["rest"], re.I)
    if _OTHER.search(match["rest"]) and not (match.groupdict().get("sure") and language):
        return None
    if re.match(r"(?:start|open|begin|give me|do)\b", text, re.I) and not (
        language or "new" in text
    ):
        return None
    if not offered(("create",), known):
        return not_offered(("create",))
    described, options = match["rest"], []
    for pattern, option in (
        (_NO_BUILD, "--no-build"),
        (_NO_GIT, "--no-git"),
        (_GIT, "--git"),
        (_DRY, "--dry-run"),
    ):
        if found := pattern.search(described):
            described = described[: found.start()] + described[found.end() :]
            options.append(option)
    if found := _WHERE.search(described):
        described = described[: found.start()] + described[found.end() :]
        options += ["--dir", found["place"]]
    described = _PREAMBLE.sub("", described).strip(" ,.:") or match["rest"]
    return Plan((Step(("create", described, *options)),))
