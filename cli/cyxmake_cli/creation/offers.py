"""What is offered: pairs of language and kind, how each is built; and what is refused, with why.

Knows no text of a template; only where it lies.
"""

from __future__ import annotations

import keyword
import sys
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.creation.model import Kind, Language, Licence, Reading, Spec
from cyxmake_cli.creation.understand import as_name
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.errors import UsageError

DEFAULT_LANGUAGE: Final = Language.PYTHON
DEFAULT_KIND: Final = Kind.EXECUTABLE


@dataclass(frozen=True, slots=True)
class Making:
    """How projects of a language are made: its folder of templates, its tools, its commands.

    `locks` are commands that write down which versions of dependencies are meant, `lock` the file
    that they write. Words in at signs are filled in as in templates.
    """

    folder: str
    system: SystemName
    build: str
    test: str
    run: str
    locks: tuple[str, ...] = ()
    lock: str = ""


_NPM_LOCK: Final = (
    "npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund",
)  # fmt: skip
_CMAKE: Final = ("cmake -B build && cmake --build build", "ctest --test-dir build", "build/@NAME@")

MAKINGS: Final[dict[Language, Making]] = {
    Language.C: Making("c", SystemName.CMAKE, *_CMAKE),
    Language.CPP: Making("cpp", SystemName.CMAKE, *_CMAKE),
    Language.RUST: Making(
        "rust", SystemName.CARGO, "cargo build", "cargo test", "cargo run",
        ("cargo", "generate-lockfile"), "Cargo.lock",
    ),
    Language.PYTHON: Making(
        "python", SystemName.PYTHON, "python3 -m pip wheel --no-deps --wheel-dir dist .",
        "PYTHONPATH=src python3 -m unittest discover", "PYTHONPATH=src python3 -m @IDENT@",
    ),
    Language.JAVASCRIPT: Making(
        "javascript", SystemName.NPM, "npm install", "npm test", "npm start", _NPM_LOCK,
        "package-lock.json",
    ),
    Language.TYPESCRIPT: Making(
        "typescript", SystemName.NPM, "npm ci && npm run build", "npm test", "npm start",
        _NPM_LOCK, "package-lock.json",
    ),
    Language.GO: Making("go", SystemName.GO, "go build ./...", "go test ./...", "go run ."),
    Language.JAVA: Making(
        "java", SystemName.MAVEN, "mvn package", "mvn test", "java -jar target/@NAME@.jar"
    ),
}  # fmt: skip

_EVERYWHERE: Final = (Kind.EXECUTABLE, Kind.LIBRARY, Kind.CLI, Kind.GAME, Kind.WEB)
_GUI: Final = (Language.PYTHON, Language.JAVA)

OFFERED: Final = frozenset(
    (language, kind)
    for language in Language
    for kind in Kind
    if kind in _EVERYWHERE or (kind is Kind.GUI and language in _GUI)
)
"""Every pair that can be made: a test builds and tests each of them."""

_REASONS: Final[dict[Kind, str]] = {
    Kind.GUI: "it has no toolkit for windows that comes with it or installs as a package alone",
}

STARTERS: Final[dict[Kind, str]] = {
    Kind.EXECUTABLE: "The program greets: a working start, to be changed into what it is for.",
    Kind.LIBRARY: "The library counts lines, words and bytes: a working start, to be changed into "
    "what it is for.",
    Kind.CLI: "The tool counts lines, words and bytes of files or of what it is given: a working "
    "start, to be changed into what it is for.",
    Kind.WEB: "The server has one page and `/health`, on port 8080 of this machine or on `PORT`: "
    "a working start, to be changed into what it is for.",
    Kind.GAME: "The game is to collect all coins of a small maze: a working start, with the rules "
    "apart from what shows them, to be changed into the game that it shall be.",
    Kind.GUI: "The window keeps a list of notes: a working start, with what it can apart from what "
    "shows it, to be changed into what it is for.",
}

_RESERVED: Final = frozenset((
    "all", "build", "clean", "help", "install", "test", "tests", "package", "core", "std", "alloc",
    "proc-macro", "main", "src", "lib", "target", "bin", "dist", "node-modules", "node", "counts",
    "game", "greeting", "as", "async", "await", "auto", "bool", "box", "case", "char", "const",
    "crate", "do", "double", "dyn", "enum", "extern", "false", "fn", "float", "func", "goto",
    "impl", "int", "interface", "internal", "let", "long", "loop", "match", "mod", "move", "mut",
    "namespace", "new", "private", "protected", "pub", "public", "ref", "register", "self",
    "short", "signed", "sizeof", "static", "struct", "super", "switch", "template", "this",
    "throw", "trait", "true", "type", "typedef", "union", "unsafe", "unsigned", "unused", "use",
    "using", "var", "vendor", "virtual", "void", "volatile", "where", "package-lock", "index",
    "default", "select", "range", "map", "chan", "defer", "fallthrough", "abstract", "byte",
    "catch", "extends", "final", "finally", "implements", "instanceof", "native", "null",
    "synchronized", "throws", "transient", "record", "operator", "mutable", "export", "delete",
))  # fmt: skip
"""Names that some language or build system has taken; Python's own modules are asked for."""


def taken(name: str) -> bool:
    """Tell whether a project of this name would meet something else of that name."""
    plain = name.replace("-", "_")
    return name in _RESERVED or keyword.iskeyword(plain) or plain in sys.stdlib_module_names


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was said beside the description; it counts more."""

    name: str | None = None
    language: Language | None = None
    kind: Kind | None = None
    licence: Licence | None = None


def decide(description: str, reading: Reading, chosen: Chosen) -> Spec:
    """Return what is to be made; raises UsageError for what is not offered."""
    _refuse_unknown(reading, chosen)
    assumed = []
    language = chosen.language or reading.language
    if language is None:
        language = DEFAULT_LANGUAGE
        assumed.append(f"language {language.value}: none is named")
    kind = chosen.kind or reading.kind
    if kind is None:
        kind = DEFAULT_KIND
        assumed.append(f"kind {kind.value}: nothing says what it is")
    if (language, kind) not in OFFERED:
        raise _refused(language, kind)
    licence = chosen.licence or reading.licence
    if licence is None:
        licence = Licence.NONE
        assumed.append("no licence: none is named, so nobody else may use it")
    name = _named(chosen.name) if chosen.name else _derived(reading.name, language, kind)
    plain = "".join(c if c.isprintable() else " " for c in description)
    return Spec(name, " ".join(plain.split()), language, kind, licence, tuple(assumed))


def _refuse_unknown(reading: Reading, chosen: Chosen) -> None:
    settled = {"languages": chosen.language, "licences": chosen.licence}
    for subject, word in reading.unknown:
        if settled[subject] is None:
            offered = Language if subject == "languages" else Licence
            option = "--language" if subject == "languages" else "--license"
            raise UsageError(
                f"{word}: not offered", next_step=f"{option} takes {', '.join(offered)}"
            )


def _refused(language: Language, kind: Kind) -> UsageError:
    instead = ", ".join(one.value for one in Language if (one, kind) in OFFERED)
    kinds = ", ".join(one.value for one in Kind if (language, one) in OFFERED)
    return UsageError(
        f"{language.value} {kind.value}: not offered ({_REASONS[kind]})",
        next_step=f"{kind.value} is offered in {instead}; {language.value} as {kinds}",
    )


def _named(text: str) -> str:
    name = as_name(text)
    if name is None or name != text.lower().replace("_", "-").replace(" ", "-"):
        raise UsageError(
            f"{text!r} cannot be the name of a project",
            next_step="letters, digits and hyphens, a letter first, at most 40",
        )
    if taken(name):
        raise UsageError(
            f"{name!r} is the name of something else already",
            next_step=f"take another name: my-{name}",
        )
    return name


def _derived(name: str | None, language: Language, kind: Kind) -> str:
    if name is None:
        return f"{MAKINGS[language].folder}-{kind.value}"
    return f"{name}-{kind.value}"[:40].rstrip("-") if taken(name) else name
