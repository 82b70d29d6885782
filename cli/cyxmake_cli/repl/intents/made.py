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
_KIND_TOO: Final = (
    r"(?:packages?|plug-?ins?|extensions?|bindings?|bots?|simulations?|simulators?|editors?|viewers?|parsers?|interpreters?|frameworks?|engines?|back-?ends?|front-?ends?|microservices?|web ?services?"
    r"|dashboards?|demos?|examples?|exercises?|quiz(?:zes)?|puzzles?|timers?|clocks?|converters?|generators?|scrapers?|crawlers?|loggers?|wrappers?|drivers?|benchmarks?|webpages?|pages?|shop|blog|chat|client|window|command line|thing|something|solver|tracker|reader|writer|visuali[sz]er|player|counter|checker)"
)
_LANGUAGE: Final = r"(?:c\+\+|cpp|rust|python|go|golang|java|javascript|js|typescript|ts|node(?:\.?js)?|c(?:99|11|17|23)?)"
_HEAD: Final = rf"(?P<rest>(?:an? |another |some |one )?(?:new )?(?:(?!(?:for|that|to|about|of|the|my|our|token|test|tests|build|release|debug|job|target|worker|agent|coordinator|clean|fix|full|fresh)\b)[\w+#.-]+,? ){{0,6}}?{_KIND}\b.*)"
_TOO: Final = re.compile(
    rf"^(?P<sure>create|generate|scaffold|bootstrap|develop|write|start|set up|begin|initiali[sz]e|program|code|make)(?: me| us| for me)? "
    rf"(?P<rest>(?:an? |another |one )(?:new )?(?:(?!(?:for|that|to|about|of|the|my|our|token|test|tests|build|release|debug|job|target|worker|agent|coordinator|clean|fix|full|fresh|layer)\b)[\w+#.-]+,? ){{0,6}}?"
    rf"{_KIND_TOO}\b.*)$",
    re.IGNORECASE,
)
"""What is taken for a project only where a language is named."""
_FOR: Final = re.compile(
    r"^(?:(?:hi|hello|hey|ok|so|well)[ ,]+)?for (?:my|our|a|an|the|this|his|her|their|some)(?: [\w-]+){1,4},? (?=(?:i|we|can|could|would|please|make|create|generate|write|build|start|develop)\b)",
    re.IGNORECASE,
)
_CAN_YOU: Final = re.compile(
    r"[,.;]? (?:so |and |please )?(?:can|could|would|will) you (?:please |maybe |perhaps )?(?:make|create|generate|write|build|set up|do|code|start|develop|scaffold|produce|program|set|put|get|prepare)"
    r"(?: (?:it|that|this|one|me one|me that|something like that|such a thing))?(?: up| together| ready| going)?(?: (?:for|with) (?:me|us))?(?:,? please)?[ ?.!]*$",
    re.IGNORECASE,
)
_BEGGED: Final = re.compile(
    r"\b(?:can|could|would|will|may) (?:you|u|we|i)\b|\bplease\b", re.IGNORECASE
)
_CALLED: Final = re.compile(
    r",? (?:and |please )*(?:(?:call|name|title) (?:it|this|that|the project)|(?:the|its) name (?:is|should be|shall be|will be)|(?:with|under|by) the name(?: of)?) (?P<name>[\w-]+)(?=[ ,.]|$)",
    re.IGNORECASE,
)
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
    r",?(?: and| but)? (?:without|no|with no|not|do not (?:use|make|init(?:iali[sz]e)?|want|need|create)|skip)(?: an?| any| the)? git(?: (?:repository|init))?",
    re.I,
)
_GIT: Final = re.compile(r",?(?: and)? with (?:a )?git(?: repository)?", re.I)
_DRY: Final = re.compile(
    r"(?:,? (?:but )?(?:as a |do a )?(?:dry[- ]run|only show (?:me )?what would be (?:made|written)))",
    re.I,
)


def created(line: str, known: Known) -> Meaning | None:
    """Return the plan to create what a line describes; None where it describes nothing new."""
    line = _FOR.sub("", line)
    if (begged := _CAN_YOU.search(line)) and re.match(r"(?:i|we) |an? ", line, re.IGNORECASE):
        line = line[: begged.start()]
    text, _ = unwished(line.rstrip(" .!?"))
    if line.rstrip().endswith("?") and not _BEGGED.search(line):
        return None  # no request, and so a question
    if asks(text) or asks(line):
        return None
    wanted = text != line.rstrip(" .!?") or text.lower().startswith("new ")
    match = _MAKE.match(text) or (_WANTED.match(text) if wanted else None)
    named_language = re.search(rf"(?<![\w+]){_LANGUAGE}(?![\w+])", text, re.IGNORECASE)
    if match is None and named_language:
        match = _TOO.match(text)
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
    if found := _CALLED.search(described):
        described = described[: found.start()] + described[found.end() :]
        options += ["--name", found["name"]]
    if found := _WHERE.search(described):
        described = described[: found.start()] + described[found.end() :]
        options += ["--dir", found["place"]]
    described = _PREAMBLE.sub("", described).strip(" ,.:") or match["rest"]
    return Plan((Step(("create", described, *options)),))
