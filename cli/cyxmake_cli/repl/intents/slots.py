"""What stands for something of its own in a line: numbers, paths, names, types, durations.

Knows no command. Typed slots are known by how their words look; names only by where they stand,
or by being no word of English.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Final

from cyxmake_cli.repl.intents.text import Word, is_english
from cyxmake_cli.repl.intents.words import NUMBER, number

_FILE: Final = r"[\w./~+:\\-]*[\w+]"
_DURATION: Final = rf"(?:\d+ ?|(?:{NUMBER}|an?) )(?:m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:eeks?)?|months?|years?)"
_TOOLS: Final = frozenset(
    [
        "cmake",
        "ninja",
        "meson",
        "make",
        "gcc",
        "g++",
        "clang",
        "clang++",
        "cargo",
        "rustc",
        "go",
        "npm",
        "node",
        "python",
        "python3",
        "pip",
        "maven",
        "mvn",
        "gradle",
        "bazel",
        "scons",
        "ccache",
        "sccache",
        "git",
        "docker",
        "java",
        "javac",
        "autoconf",
        "automake",
        "libtool",
        "pnpm",
        "yarn",
        "zig",
        "ld",
        "lld",
        "mold",
        "gdb",
        "pkg-config",
        "bison",
        "flex",
        "swig",
    ]
)
_PROVIDERS: Final = re.compile(
    r"(?:local|ollama|llama-server|lmstudio|vllm|openai|openrouter|anthropic|gemini)(?::\S+)?", re.I
)
_PACKAGED: Final = frozenset(
    "package packages library libraries layer layers apt apt-get pip npm cargo brew dnf".split()  # noqa: SIM905
)
_NO_NAME: Final = frozenset(
    [
        "class",
        "function",
        "method",
        "thread",
        "pool",
        "process",
        "file",
        "list",
        "code",
        "type",
        "variable",
        "user",
        "users",
    ]
)
_INSTALLING: Final = frozenset(["install", "add", "remove", "uninstall", "get", "and", "purge"])
_PLATFORM: Final = re.compile(r"(?:x86|amd64|arm|aarch|riscv)", re.IGNORECASE)
_NAME: Final = re.compile(r"(?=.*[A-Za-z])[@\w][\w.+:-]*(?:/[\w.+-]+)?", re.ASCII)
_KEYS: Final = re.compile(r"(?:build|cluster|cache|launcher|ai)\.[a-z_]+")
_KINDS: Final = {
    "build": ("build", "builder", "building", "builds"), "fix": ("fix", "fixer", "repair", "fixing", "repairs"),
    "explore": ("explore", "explorer", "exploring", "explores", "exploration", "search"),
}  # fmt: skip
_ACTS: Final = {
    "clean": "clean", "cleaning": "clean", "build": "build", "building": "build", "install": "install-project", "installing": "install-project",
    "packages": "install-package", "package": "install-package", "layers": "get-layer", "layer": "get-layer",
}  # fmt: skip
_SHELLS: Final = frozenset(("bash", "zsh", "fish", "powershell"))
_DAYS: Final = {"week": 7, "month": 30, "year": 365}


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda text: compiled.fullmatch(text) is not None


SLOTS: Final[dict[str, Callable[[str], bool]]] = {
    "n": _matches(NUMBER), "numbers": _matches(r"#?\d+"),
    "file": _matches(r"[\w./~+\\-]*[\w+]\.[a-z+]\w{0,4}|[\w.~+-]+/[\w./~+-]+"),
    "gguf": _matches(r"\S+\.gguf"), "key": lambda text: bool(_KEYS.fullmatch(text)),
    "type": _matches(r"debug|release|relwithdebinfo|minsizerel"),
    "strategy": _matches(r"compile-units|targets|whole-project|hybrid"),
    "provider": lambda text: bool(_PROVIDERS.fullmatch(text)), "providers": lambda text: bool(_PROVIDERS.fullmatch(text)),
    "agentkind": lambda text: any(text.lower() in forms for forms in _KINDS.values()),
    "digest": _matches(r"(?=.*\d)[0-9a-f]{5,64}"), "buildid": _matches(r"\d{8}-[\d-]+"),
    "libraries": _matches(r"lib[\w.+-]*\d?[\w.+-]*|[\w.+-]+-dev(?:el)?"),
    "token": _matches(r"cyx1\.\S+"), "shell": lambda text: text.lower() in _SHELLS,
    "toolnames": lambda text: text.lower() in _TOOLS, "actkey": lambda text: text.lower() in _ACTS,
}  # fmt: skip
"""Slots whose words are known by themselves."""

LISTS: Final = frozenset(("libraries", "numbers", "providers", "toolnames"))
"""Those that take every such word."""

_MARKERS: Final = {
    "worker": ("worker", "machine", "node", "called", "named", "drain", "undrain", "remove", "kick", "resume", "pause"),
    "packages": ("package", "packages", "library", "layer", "called", "named"),
    "names": ("agent", "agents", "called", "named", "and"),
    "value": ("to", "=", "value", "at", "be"),
}  # fmt: skip
"""Words that a name may follow at once."""


def free(
    slot: str, every: list[Word], used: set[int], empty: frozenset[str], *, packaged: bool
) -> list[int]:
    """Return the words that a slot of names takes: marked, no words of English, or after a marker."""
    left = [n for n in range(len(every)) if n not in used]
    if slot == "value":
        found = [n for n in left if _is_value(every[n], empty)]
    elif slot == "packages":
        return [n for n in left if _is_package(every, n, empty, packaged=packaged)]
    else:
        found = [n for n in left if _is_name(slot, every, n, empty)]
    if slot == "names":
        return found
    if len(found) > 1:
        sure = [n for n in found if every[n].marked or _follows(slot, every, n)]
        found = sure or [n for n in found if n == 0]  # what a line begins with is what it is about
    return found if len(found) == 1 else []


def _is_value(word: Word, empty: frozenset[str]) -> bool:
    return (word.stem not in empty or word.low in ("on", "off")) and word.low != "to"


def _is_name(slot: str, every: list[Word], n: int, empty: frozenset[str]) -> bool:
    word = every[n]
    if not _NAME.fullmatch(word.text) or word.low in _NO_NAME:
        return False
    if word.marked or not (is_english(word.text) or word.stem in empty):
        return True
    return slot != "names" and _follows(slot, every, n) and word.stem not in empty


def _is_package(every: list[Word], n: int, empty: frozenset[str], *, packaged: bool) -> bool:
    """Tell whether a word is a package: one of English only where packages are spoken of."""
    word = every[n]
    if not _NAME.fullmatch(word.text) or _PLATFORM.match(word.text):
        return False
    if word.marked or word.low in _TOOLS:
        return True
    if not (is_english(word.text) or word.stem in empty):
        return packaged or any(w.low in ("uninstall", "deinstall") for w in every)
    before = every[n - 1].low if n else ""
    named = before in _MARKERS["packages"] or (packaged and before in _INSTALLING)
    return named and word.stem not in empty


def _follows(slot: str, every: list[Word], n: int) -> bool:
    return n > 0 and every[n - 1].low in _MARKERS.get(slot, ())


def of_packages(text: str) -> bool:
    """Tell whether a text speaks of packages: then any word may be the name of one."""
    return any(word in _PACKAGED for word in text.lower().split())


def listed(slot: str, every: list[Word]) -> list[int]:
    """Return all words of a slot's type."""
    return [n for n, word in enumerate(every) if SLOTS[slot](word.text)]


def read_slot(slot: str, text: str) -> str | None:
    """Return what goes into the command for what was said; None when nothing was, or it is wrong."""
    match slot:
        case "n":
            return str(number(text)) if text else None
        case "numbers":
            return text.lstrip("#") or None
        case "duration":
            return _duration(text)
        case "seconds":
            return _seconds(text)
        case "role":
            role = text.lower()
            return {"developer": "client", "administrator": "admin"}.get(role, role) or None
        case "what":
            return {"minimum": "minimal", "top-level": "toplevel"}.get(
                text.lower(), text.lower()
            ) or None
        case "platform":
            low = text.lower().replace("x86_64", "x86-64").replace(" ", "-")
            return low.replace("amd64", "x86-64") or None
        case "manager":
            return {"apt-get": "apt", "pip3": "pip"}.get(text.lower(), text.lower()) or None
        case "agentkind":
            return next((k for k, forms in _KINDS.items() if text.lower() in forms), None)
        case "actkey":
            return _ACTS.get(text.lower())
        case "type" | "strategy" | "shell" | "format":
            return text.lower() or None
        case "value":
            return {"on": "true", "off": "false", "yes": "true", "no": "false"}.get(
                text.lower(), text
            )
    return text or None


def _duration(text: str) -> str | None:
    if not text:
        return "never"
    match = re.fullmatch(r"(\d+|[a-z-]+?) ?(min|h|d|w|month|year|m)\w*", text.lower())
    if match is None:
        return None
    count = 1 if match[1] in ("a", "an") else number(match[1])
    unit = match[2]
    if unit in ("month", "year", "w"):
        return f"{count * _DAYS['week' if unit == 'w' else unit]}d"
    return f"{count}{unit[0]}"


def _seconds(text: str) -> str | None:
    match = re.fullmatch(r"(\d+) ?([a-z]?)\w*", text.lower())
    if match is None:
        return None
    return str(int(match[1]) * {"m": 60, "h": 3600}.get(match[2], 1))


def named(text: str) -> re.Pattern[str]:
    """Compile what an option is said by; groups of one name are numbered from the second on."""
    seen: Counter[str] = Counter()

    def numbered(match: re.Match[str]) -> str:
        seen[match[1]] += 1
        return f"(?P<{match[1]}{seen[match[1]] if seen[match[1]] > 1 else ''}>"

    text = re.sub(r"\(\?P<([a-z_]+)>", numbered, text)
    text = text.replace("{n}", NUMBER).replace("{file}", _FILE).replace("{duration}", _DURATION)
    text = text.replace("{name}", r"[\w.-]+")
    return re.compile(rf"(?<![\w./-])(?:{text})(?![\w/-])(?!\.\w)", re.IGNORECASE)
