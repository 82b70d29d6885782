"""Instructions that are one command as it stands: settings, caches, workers, packages; as tables.

Knows no modifiers: an order is a whole clause. A table's row is a pattern and what it means, with
`{group}` for what the pattern's groups matched; parts in brackets stand only when their group does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.repl.intents.model import Argv
from cyxmake_cli.repl.intents.words import NUMBER, number, pattern

_KEY: Final = r"(?:build|cluster|cache|launcher)\.[a-z_]+"
_ON: Final = r"(?:turn on|enable|switch on|use|activate|always use)"
_OFF: Final = r"(?:turn off|disable|switch off|deactivate|never use|stop using|do not use)"
_DEFAULT: Final = (
    r"(?:by default|from now on|always|for good|permanently|in (?:the )?future|as (?:the )?default)"
)
_TYPE: Final = r"(?P<type>debug|release|relwithdebinfo|minsizerel)(?: mode| builds?| type)?"
_PACKAGES: Final = (
    r"(?P<names>[a-z0-9@][\w.+@/-]*(?:(?:,? and |, ?| )(?!and )[a-z0-9@][\w.+@/-]*)*)"
)


@dataclass(frozen=True, slots=True)
class Order:
    """A clause and its command; `undo` takes it back."""

    pattern: re.Pattern[str]
    argv: str
    undo: str = ""


def _o(text: str, argv: str, undo: str = "") -> Order:
    return Order(pattern(f"^(?:{text})$"), argv, undo)


ORDERS: Final[tuple[Order, ...]] = (
    _o(rf"(?:set|change|put|switch) (?:the )?(?:setting )?(?P<key>{_KEY}) (?:to|=|on|at)? ?(?P<value>\S+)"
       r"(?: (?:in|for) (?:the|this) project)?", "config set {key} {value}"),
    _o(rf"(?:set|change|put|limit) (?:the )?(?:number of |default |parallel )*jobs (?:to|at) (?P<n>{NUMBER})"
       rf"(?: {_DEFAULT})?|(?:always )?use (?P<n2>{NUMBER}) (?:parallel )?jobs {_DEFAULT}|(?:make|set) (?P<n>{NUMBER}) the default(?: number of jobs| jobs)?|always (?:build |use |"
       rf"run )*(?:with )?(?P<n3>{NUMBER}) jobs(?: {_DEFAULT})?", "config set build.jobs {n}"),
    _o(rf"(?:always (?:build|compile)|(?:build|compile) always) (?:it |everything )?(?:in|with|as)? ?{_TYPE}"
       rf"(?: {_DEFAULT})?|(?:set|change|switch) (?:the )?(?:default )?build type (?:to|as) (?P<type2>debug|release|"
       rf"relwithdebinfo|minsizerel)(?: {_DEFAULT})?|(?:build|compile) (?:it |everything )?(?:in|with|as)? ?"
       rf"(?P<type3>debug|release|relwithdebinfo|minsizerel)(?: mode)? {_DEFAULT}|use {_TYPE} {_DEFAULT}|make (?P<type4>debug|release|"
       rf"relwithdebinfo|minsizerel) the default(?: build type)?", "config set build.type {type}"),
    _o(rf"(?:set|change|switch) (?:the )?(?:default |build )*strategy (?:to|as) (?P<value>compile-units|targets|"
       rf"whole-project|hybrid)(?: {_DEFAULT})?", "config set build.strategy {value}"),
    _o(rf"{_OFF} (?:the )?cluster(?: {_DEFAULT})?|(?:build|compile) (?:only )?locally {_DEFAULT}",
       "config set cluster.enabled false"),
    _o(rf"{_ON} (?:the )?cluster {_DEFAULT}|always use (?:the )?cluster|(?:turn on|enable|switch on) (?:the )?cluster(?: again)?",
       "config set cluster.enabled true"),
    _o(rf"{_OFF} (?:the )?cache(?: {_DEFAULT})?", "config set cache.enabled false"),
    _o(rf"(?:turn on|enable|switch on|use) (?:the )?cache(?: again)?(?: {_DEFAULT})?", "config set cache.enabled true"),
    _o(r"(?:throw away|nuke|trash|clear|empty|wipe|delete|purge|drop|flush|reset|remove|clean(?: up| out)?) (?:the |my |all (?:the )?)?"
       r"(?:whole |entire |local |build )*caches?(?: on this machine)?", "cache clear"),
    _o(r"(?:verify|check|validate|test) (?:the |my )?(?:local |build )*cache(?: for (?:damage|errors))?",
       "cache verify"),
    _o(r"(?:start|launch|run|bring up|boot|spin up) (?:up )?(?:the |a |my |our )?(?:local |new )*"
       r"(?:coordinator|cluster)(?: here| up| locally| on this machine)?(?: (?:on|at|with|using)(?: the)? port (?P<port>\d+))?",
       "coordinator start [--port {port}]", "coordinator stop"),
    _o(r"(?:stop|shut ?down|end|quit|halt|bring down|terminate) (?:down )?(?:the |my |our )?(?:local |running )*"
       r"(?:coordinator|cluster)(?: down)?", "coordinator stop", "coordinator start"),
    _o(r"(?:(?:make|create|issue|give me|print|generate|get|i need) )?(?:me )?(?:a |an |the )?(?:new |join )*(?P<role>worker|client|admin) "
       r"token|(?:make|create|issue|give me|generate) (?:me )?(?:a |an )?(?:new )?(?:join )?token for "
       r"(?:a |an |the |new )*(?P<role2>worker|client|admin)s?", "coordinator token --role {role}"),
    _o(r"(?:drain|pause|take (?:out|down)) (?:the )?(?:worker |machine )?(?:called |named )?(?P<name>[\w.-]+)|take (?:the )?(?:worker |machine )?(?P<name>[\w.-]+) (?:down|out|offline|out of (?:service|the cluster))|"
       r"(?:let|have) (?:the )?(?:worker )?(?P<name2>[\w.-]+) (?:finish|run dry)(?: and take nothing new)?",
       "workers drain {name}", "workers drain {name} --off"),
    _o(r"(?:undrain|un-drain|resume|unpause) (?:the )?(?:worker |machine )?(?P<name>[\w.-]+)|let (?:the )?(?:worker )?"
       r"(?P<name2>[\w.-]+) (?:take |do )?work again|put (?:the )?(?:worker )?(?P<name3>[\w.-]+) back to work",
       "workers drain {name} --off", "workers drain {name}"),
    _o(r"(?:remove|kick|throw out|disconnect|expel) (?:the )?worker (?P<name>[\w.-]+)(?: out)?(?: (?:from|of) the cluster)?",
       "workers remove {name}"),
    _o(r"(?:install|get|add) (?:the )?(?:system )?packages? (?:called |named )?" + _PACKAGES, "packages install {names}"),
    _o(r"(?:uninstall|remove|deinstall) (?:the )?(?:system )?packages? (?:called |named )?" + _PACKAGES,
       "packages remove {names}"),
    _o(r"(?:forget|take back|revoke|reset|drop) (?:all )?(?:my |the )?(?:permissions?|answers|\"?always\"? answers)"
       r"(?: (?:here|in this project|for this project))?", "permissions forget"),
    _o(r"undo(?: (?:that|it|this|the last (?:thing|change|step|fix|one|command)|what you did))?|(?:take|roll) (?:it|that|this|"
       r"the last (?:change|fix)) back|(?:roll ?back|revert)(?: (?:it|that|this|the last (?:change|fix)))?", "undo"),
    _o(r"forget (?:the|my|our) cluster|log ?out(?: of the cluster)?", "login --forget"),
)  # fmt: skip
"""Instructions; the first that fits the whole clause counts."""

CREATE: Final = pattern(
    r"^(?:create|generate|scaffold|write|build|make|start|set up|bootstrap)(?: me| us)? (?!.*\b(?:build|builds|compile|install|tests?|cluster)\b)"
    r"(?P<rest>(?:an? |new )(?P<what>.*\b(?:project|program|library|app|application|cli|tool|game|gui|server|site|website|service|executable|api)\b.*))$"
)


def filled(template: str, match: re.Match[str]) -> Argv:
    """Return the command of a row, for what its pattern matched."""
    groups: dict[str, str] = {}
    for name, text in match.groupdict().items():
        if text:
            groups.setdefault(name.rstrip("0123456789"), text)
    if "n" in groups:
        groups["n"] = str(number(groups["n"]))
    if "type" in groups:
        groups["type"] = groups["type"].lower()
    words: list[str] = []
    optional = re.sub(
        r" ?\[([^\]]*\{(\w+)\}[^\]]*)\]", lambda m: f" {m[1]}" if m[2] in groups else "", template
    )
    for word in optional.split():
        if word == "{names}":
            words += re.split(r",? and |, ?| ", groups["names"])
        else:
            words.append(re.sub(r"\{(\w+)\}", lambda m: groups[m[1]], word))
    return tuple(words)


AMBIGUOUS: Final[tuple[tuple[re.Pattern[str], str, tuple[str, ...]], ...]] = tuple(
    (pattern(f"^(?:{text})$"), question, commands)
    for text, question, commands in (
        (r"(?:delete|remove|wipe|erase|purge|drop|clear)(?: (?:it|this|that|them|everything|all(?: of it)?|stuff|things))?", "what is to go", ("clean", "cache clear")),
        (r"(?:check|verify|validate|examine)(?: (?:it|this|that|them|the project))?", "what is to be checked", ("test", "doctor", "config validate")),
        (r"(?:start|go|run|do|launch|execute|begin)(?: (?:it|this|something|everything))?", "what is to be started", ("build", "test", "coordinator start")),
        (r"(?:stop|end|halt|kill|abort|cancel)(?: (?:it|this|that|everything))?", "what is to be stopped", ("coordinator stop",)),
        (r"(?:set ?up|prepare|get ready|configure)(?: (?:it|this|everything|the project))?", "how far", ("init", "doctor", "build")),
        (r"(?:reset|start over|begin again|reset (?:it|everything))", "how much is to be made anew", ("clean", "build --clean-first", "cache clear")),
    )
)  # fmt: skip
"""Lines that may mean several things: the question that is asked back, and what may be meant."""
