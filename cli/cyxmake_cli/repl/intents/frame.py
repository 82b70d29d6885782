"""One thing to do with all that was said of it, and the command that says the same.

Knows no English. What a command has no option for is not dropped: `argv` then says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from cyxmake_cli.repl.intents.model import Argv
from cyxmake_cli.repl.intents.rows import takes


@dataclass(frozen=True, slots=True)
class Frame:
    """A verb (name of a command, `build` for every way to build) and its modifiers."""

    verb: str = ""
    type: str = ""
    jobs: int = 0
    targets: tuple[str, ...] = ()
    clean_first: bool = False
    cluster: bool = False
    local: bool = False
    strategy: str = ""
    verbose: bool = False
    quiet: bool = False
    dry_run: bool = False
    json: bool = False
    auto_fix: bool = False
    keep_going: bool = False
    build_dir: str = ""
    prefix: str = ""
    directory: str = ""
    system: str = ""
    options: tuple[str, ...] = field(default=())
    extra: tuple[str, ...] = field(default=())
    """Options as they stand, of commands that have them."""

    def over(self, other: Frame) -> Frame:
        """Return another frame with what is said here put over it."""
        said = {f.name: v for f in fields(self) if (v := getattr(self, f.name))}
        said["extra"] = (*other.extra, *self.extra)
        if "cluster" in said:
            other = replace(other, local=False)
        if "local" in said:
            other = replace(other, cluster=False, strategy="")
        if other.verb and said.get("verb", other.verb) != other.verb:
            other = replace(other, clean_first=False, auto_fix=False, dry_run=False)
            if said["verb"] == "test" or other.verb == "test":
                other = replace(other, targets=())  # a test is no target of a build
        return replace(other, **said)

    @property
    def bare(self) -> bool:
        """Tell whether nothing but the verb is said."""
        return replace(self, verb="") == Frame()


BUILDING: Final = frozenset(("build", "test", "install", "auto", "dbuild"))

_FLAGS: Final = {
    "clean_first": "--clean-first", "auto_fix": "--auto-fix", "local": "--local",
    "cluster": "--cluster", "verbose": "--verbose", "quiet": "--quiet", "dry_run": "--dry-run",
    "json": "--json",
}  # fmt: skip
_VALUES: Final = {
    "directory": "-C", "strategy": "--strategy", "build_dir": "--build-dir", "prefix": "--prefix", "type": "--type",
    "jobs": "--jobs", "system": "--system",
}  # fmt: skip
_LOCAL_BUILD: Final = frozenset(
    ("directory", "build_dir", "type", "jobs", "system", "options", "local", "cluster", "verbose",
     "quiet", "dry_run", "json", "targets")
)  # fmt: skip
_TAKES: Final[dict[str, frozenset[str]]] = {
    "build": _LOCAL_BUILD | {"clean_first", "auto_fix"},
    "test": _LOCAL_BUILD,
    "auto": _LOCAL_BUILD,
    "install": _LOCAL_BUILD - {"targets", "options"} | {"prefix"},
    "dbuild": frozenset(
        ("directory", "build_dir", "strategy", "jobs", "options", "verbose", "quiet", "dry_run",
         "targets", "keep_going", "cluster")
    ),
    "clean": frozenset(
        ("directory", "build_dir", "system", "verbose", "quiet", "dry_run", "json", "targets")
    ) - {"targets"},
    "init": frozenset(("directory", "dry_run", "json")),
}  # fmt: skip
"""What each command has an option for."""


def argvs(frame: Frame) -> list[Argv]:
    """Return the commands that do what a frame says: none when no command does all of it."""
    found = []
    for command in _commands(frame):
        said = {f.name for f in fields(frame) if f.name != "verb" and getattr(frame, f.name)}
        if said - {"extra"} <= _TAKES[command] and all(
            takes(command, option) for option in frame.extra if option.startswith("-")
        ):
            found.append(_argv(command, frame))
    return found[:1]


def pieces(frame: Frame) -> list[Argv]:
    """Return commands that each do a part of what no single one does."""
    found = []
    for command in _commands(frame):
        taken = {f.name: getattr(frame, f.name) for f in fields(frame) if f.name in _TAKES[command]}
        found.append(_argv(command, Frame(verb=frame.verb, **taken)))
    return found


def _commands(frame: Frame) -> tuple[str, ...]:
    if frame.verb == "build":
        remote = frame.cluster or frame.strategy or frame.keep_going
        return ("dbuild", "build") if remote else ("build", "dbuild")
    return (frame.verb,)


def _argv(command: str, frame: Frame) -> Argv:
    words = [command]
    for name, option in _VALUES.items():
        value = getattr(frame, name)
        if value:
            words += [option, str(value)]
    for name, option in _FLAGS.items():
        if getattr(frame, name) and not (command == "dbuild" and name == "cluster"):
            words.append(option)
    if frame.keep_going:
        words += ["--keep-going", "0"]
    for option in frame.options:
        words += ["--option", option]
    return (*words, *frame.extra, *frame.targets)


def frame_of(argv: Argv) -> Frame | None:
    """Return the frame of a command that builds; None for others, and for options unknown here."""
    if not argv or argv[0] not in BUILDING:
        return None
    verb = "build" if argv[0] == "dbuild" else argv[0]
    said: dict[str, Any] = {"verb": verb, "cluster": argv[0] == "dbuild"}
    values = {option: name for name, option in _VALUES.items()} | {"-j": "jobs"}
    flags = {option: name for name, option in _FLAGS.items()} | {
        "-v": "verbose", "-q": "quiet", "-n": "dry_run",
    }  # fmt: skip
    targets, options, rest = [], [], list(argv[1:])
    while rest:
        word = rest.pop(0)
        if word in flags:
            said[flags[word]] = True
        elif word in values and rest:
            text = rest.pop(0)
            said[values[word]] = int(text) if values[word] == "jobs" and text.isdigit() else text
        elif word == "--option" and rest:
            options.append(rest.pop(0))
        elif word == "--keep-going" and rest:
            said["keep_going"] = rest.pop(0) == "0"
        elif word.startswith("-"):
            return None
        else:
            targets.append(word)
    return Frame(**said, targets=tuple(targets), options=tuple(options))
