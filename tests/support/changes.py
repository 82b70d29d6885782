"""Breaks a build on purpose, and mends it: changes as data, applied to a copy of a project.

Knows the kinds of changes, not which of them break what; a change remembers what stood there, so
that it can be taken back.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from support.injection import Workplace
from support.layers import LAYER_VARIABLES, unpack_packages

_NOBODY: Final = 65534

Change = dict[str, Any]
"""One thing that is done: its `kind`, and what that kind asks for."""


def apply(work: Workplace, change: Change) -> None:
    """Do one change; raises what the file system raises, ValueError when it does not fit."""
    _KINDS[change["kind"]](work, change)


def take_back(work: Workplace) -> None:
    """Put every changed file and the surroundings back as they were."""
    work.environment = dict(work.start)
    work.hidden.clear()
    work.limits.clear()
    for path, content in work.before.items():
        if content is None:
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.is_dir():
                shutil.rmtree(path)
            continue
        data, mode = content
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
        os.utime(path)  # a build that compares times sees it as new


def _paths(work: Workplace, change: Change) -> list[Path]:
    found = sorted(work.root.glob(change["file"]))
    if not found:
        raise ValueError(f"no file {change['file']} in {work.root}")
    return found


def _replace(work: Workplace, change: Change) -> None:
    for path in _paths(work, change):
        text = path.read_text("utf-8", "surrogateescape")
        old, new = change["old"], change["new"]
        if change.get("regex"):
            made, count = re.subn(old, new, text, count=change.get("count", 0), flags=re.MULTILINE)
        else:
            count = text.count(old)
            made = text.replace(old, new, change.get("count", -1))
        if not count:
            raise ValueError(f"{path.name} does not hold {old!r}")
        work.keep(path)
        path.write_text(made, "utf-8", "surrogateescape")


def _write(work: Workplace, change: Change) -> None:
    path = work.root / change["file"]
    work.keep(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(change["text"], "utf-8")
    if "mode" in change:
        path.chmod(int(change["mode"], 8))


def _prepend(work: Workplace, change: Change) -> None:
    for path in _paths(work, change):
        work.keep(path)
        path.write_bytes(change["text"].encode() + path.read_bytes())


def _append(work: Workplace, change: Change) -> None:
    for path in _paths(work, change):
        work.keep(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(change["text"])


def _delete(work: Workplace, change: Change) -> None:
    for path in _paths(work, change):
        if path.is_dir() and not path.is_symlink():
            for inner in path.rglob("*"):
                if inner.is_file():
                    work.keep(inner)
            shutil.rmtree(path)
        else:
            work.keep(path)
            path.unlink()


def _move(work: Workplace, change: Change) -> None:
    source, target = work.root / change["file"], work.root / change["to"]
    work.keep(source)
    work.keep(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def _mode(work: Workplace, change: Change) -> None:
    for path in _paths(work, change):
        work.keep(path)
        path.chmod(int(change["mode"], 8))


def _carriage_returns(work: Workplace, change: Change) -> None:
    for path in _paths(work, change):
        work.keep(path)
        path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


def _line_feeds(work: Workplace, change: Change) -> None:
    for path in _paths(work, change):
        path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))


def _age(work: Workplace, change: Change) -> None:
    moment = time.time() + change["seconds"]
    for path in _paths(work, change):
        work.keep(path)
        os.utime(path, (moment, moment))


def _owner(work: Workplace, change: Change) -> None:
    for path in _paths(work, change):
        os.chown(path, change["uid"], -1, follow_symlinks=False)


def _folder(work: Workplace, change: Change) -> None:
    path = work.root / change["file"]
    work.keep(path)
    path.mkdir(parents=True, exist_ok=True)


def _variable(work: Workplace, change: Change) -> None:
    if "value" in change:
        work.environment[change["name"]] = change["value"].format(root=work.root, aside=work.aside)
    else:
        work.environment.pop(change["name"], None)


def _without(work: Workplace, change: Change) -> None:
    work.hidden.update(change["commands"])


def _with(work: Workplace, change: Change) -> None:
    work.hidden.difference_update(change["commands"])


def _limit(work: Workplace, change: Change) -> None:
    work.limits = [f"--{name}={value}" for name, value in change["of"].items()]


def _small_disk(work: Workplace, change: Change) -> None:
    work.small = (change["file"], change["size"])


def _wrap(work: Workplace, change: Change) -> None:
    """Put a program before the others; it finds what it stands before as $REAL."""
    folder = work.aside / "bin"
    folder.mkdir(exist_ok=True)
    path = folder / change["command"]
    real = shutil.which(change["command"], path=work.environment["PATH"]) or ""
    start = f"#!/bin/sh\nREAL={real}\nSTATE={work.aside}\n"
    path.write_text(start + change["script"], "utf-8")
    path.chmod(0o755)


def _unwrap(work: Workplace, change: Change) -> None:
    (work.aside / "bin" / change["command"]).unlink()


def _plain_user(work: Workplace, change: Change) -> None:
    del change
    work.plain_user = True
    work.environment["TMPDIR"] = work.start["TMPDIR"] = str(work.aside / "home")
    for path in [work.root, *work.root.rglob("*"), work.aside, *work.aside.rglob("*")]:
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)


def _command(work: Workplace, change: Change) -> None:
    """Replace words of the build's commands, or add some at the end of one."""
    if "old" in change:
        made = [
            [change["new"] if w == change["old"] else w for w in argv] for argv in work.commands
        ]
        if made == work.commands:
            raise ValueError(f"no command has the word {change['old']}")
        work.commands = made
    if "add" in change:
        work.commands[change["to"]] += change["add"]


def _run(work: Workplace, change: Change) -> None:
    subprocess.run(
        work.wrapped([word.format(root=work.root, aside=work.aside) for word in change["argv"]]),
        cwd=work.root, env=work.variables(), check=True, capture_output=True, timeout=120,
    )  # fmt: skip


def _extra_command(work: Workplace, change: Change) -> None:
    work.commands.append(list(change["argv"]))


def _git(work: Workplace, folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-c",
         "protocol.file.allow=always", *arguments],
        cwd=folder, env=work.variables(), check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def _repository(work: Workplace, change: Change) -> None:
    """Make the project a repository with everything in it committed."""
    del change
    _git(work, work.root, "init", "-q")
    _git(work, work.root, "add", "-A")
    _git(work, work.root, "commit", "-q", "-m", "All of it")


def _submodule(work: Workplace, change: Change) -> None:
    """Give the project a submodule that was never fetched."""
    other = work.aside / "tiny"
    other.mkdir()
    (other / "tiny.h").write_text("#define TINY 1\n")
    (other / "CMakeLists.txt").write_text("add_library(tiny INTERFACE)\n")
    _git(work, other, "init", "-q")
    _git(work, other, "add", "-A")
    _git(work, other, "commit", "-q", "-m", "All of it")
    _repository(work, change)
    _git(work, work.root, "submodule", "-q", "add", str(other), change["file"])
    _git(work, work.root, "commit", "-q", "-m", "Add a submodule")
    _git(work, work.root, "submodule", "-q", "deinit", "-f", change["file"])
    shutil.rmtree(work.root / ".git/modules")
    # Its address is a path here; git fetches from paths only where it is told that it may.
    work.environment.update(
        GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="protocol.file.allow", GIT_CONFIG_VALUE_0="always"
    )


def _layer(work: Workplace, change: Change) -> None:
    """Unpack packages beside the project, and point compilers, pkg-config and CMake there."""
    layer = work.aside / "layer"
    unpack_packages(change["packages"], layer)
    for name, folders in LAYER_VARIABLES.items():
        found = [str(layer / folder) for folder in folders if (layer / folder).is_dir()]
        if found:
            known = [work.environment[name]] if work.environment.get(name) else []
            work.environment[name] = ":".join([*found, *known])
    work.environment["PKG_CONFIG_SYSROOT_DIR"] = str(layer)


_KINDS: Final[dict[str, Callable[[Workplace, Change], None]]] = {
    "replace": _replace,
    "write": _write,
    "prepend": _prepend,
    "append": _append,
    "delete": _delete,
    "move": _move,
    "mode": _mode,
    "crlf": _carriage_returns,
    "lf": _line_feeds,
    "age": _age,
    "owner": _owner,
    "folder": _folder,
    "variable": _variable,
    "without": _without,
    "with": _with,
    "limit": _limit,
    "small_disk": _small_disk,
    "wrap": _wrap,
    "unwrap": _unwrap,
    "plain_user": _plain_user,
    "command": _command,
    "extra_command": _extra_command,
    "repository": _repository,
    "submodule": _submodule,
    "run": _run,
    "layer": _layer,
}
