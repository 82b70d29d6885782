"""What to change on a machine whose system refuses the sandbox.

Knows nothing of how a sandbox is made: it is told which stage failed, looks at the switches that
are known to forbid such a stage, and says how each is opened.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_REFUSED: Final = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOSPC})
_ENTERING: Final = frozenset({"unshare", "setgroups", "uid_map", "gid_map", "hostname", "fork"})
_MOUNTING: Final = frozenset(
    {"private", "dev", "bind dev", "shm", "pivot", "network", "bounding set"}
)
_CONTAINER_MARKS: Final = (
    ".dockerenv",
    "run/.containerenv",
    "var/run/secrets/kubernetes.io",
)
_LIMITS: Final = ("user", "mnt", "pid", "net", "ipc", "uts")
_SECCOMP_FILTER: Final = 2


@dataclass(frozen=True, slots=True)
class Facts:
    """What a system forbids, as far as it says so."""

    container: bool = False
    seccomp: bool = False
    apparmor: str = ""
    """The profile that this process runs under; empty when it is not confined."""
    limits_at_zero: tuple[str, ...] = ()
    """Kinds of namespaces of which none may be made."""
    users_may_not: bool = False
    apparmor_restricts: bool = False
    masked_proc: bool = False
    file_system: str = ""
    """Type of the file system below the data directory."""


def read_facts(directory: Path, root: Path = Path("/")) -> Facts:
    """Look at this machine."""
    status = _text(root / "proc/self/status")
    profile = _text(root / "proc/self/attr/current").strip("\0\n ")
    mounts = [line.split(" ") for line in _text(root / "proc/self/mountinfo").splitlines()]
    return Facts(
        container=any((root / mark).exists() for mark in _CONTAINER_MARKS)
        or _file_system(mounts, Path("/")) == "overlay",
        seccomp=f"Seccomp:\t{_SECCOMP_FILTER}" in status,
        apparmor="" if profile in ("", "unconfined") else profile,
        limits_at_zero=tuple(
            kind
            for kind in _LIMITS
            if _text(root / f"proc/sys/user/max_{kind}_namespaces").strip() == "0"
        ),
        users_may_not=_text(root / "proc/sys/kernel/unprivileged_userns_clone").strip() == "0",
        apparmor_restricts=_text(
            root / "proc/sys/kernel/apparmor_restrict_unprivileged_userns"
        ).strip()
        == "1",
        masked_proc=any(len(line) > 4 and line[4].startswith("/proc/") for line in mounts),
        file_system=_file_system(mounts, directory),
    )


def advise(stage: str, number: int, facts: Facts) -> tuple[str, ...]:
    """Return what to change so that a stage of the sandbox is allowed, most likely first."""
    if stage in _ENTERING:
        return tuple(_entering(facts)) if number in _REFUSED else ()
    if stage in _MOUNTING:
        return tuple(_confinement(facts, "mount"))
    if stage == "overlay":
        return (
            f"the data directory is on {facts.file_system or 'a file system'}, which cannot hold"
            " the upper layer of an overlay; put it on ext4, xfs, btrfs or tmpfs"
            + (" (in a container: on a volume)" if facts.container else ""),
            *_confinement(facts, "mount"),
        )
    return ()


def proc_advice(facts: Facts) -> str:
    """Return what to say of a sandbox that stands, but cannot show commands a /proc; or nothing."""
    if not facts.masked_proc:
        return ""
    return (
        "parts of /proc are covered, so commands see none at all (clang finds its files through"
        " it); open it by security_opt systempaths=unconfined, or procMount: Unmasked"
    )


def _entering(facts: Facts) -> Iterator[str]:
    for kind in facts.limits_at_zero:
        yield f"no {kind} namespace may be made: sysctl user.max_{kind}_namespaces=10000"
    if facts.users_may_not:
        yield "ordinary users may make none: sysctl kernel.unprivileged_userns_clone=1"
    if facts.apparmor_restricts:
        yield (
            "AppArmor keeps them from ordinary users: sysctl"
            " kernel.apparmor_restrict_unprivileged_userns=0, or a profile with `userns,`"
        )
    yield from _confinement(facts, "unshare")


def _confinement(facts: Facts, call: str) -> Iterator[str]:
    if facts.seccomp:
        yield f"the seccomp filter of this process may refuse {call}: " + (
            "run the container with deploy/seccomp-worker.json"
            if facts.container
            else "take it out of the service's SystemCallFilter= and RestrictNamespaces="
        )
    if facts.apparmor:
        yield f"the AppArmor profile {facts.apparmor} may refuse {call}: " + (
            "run the container with apparmor=unconfined"
            if facts.container
            else "run the worker unconfined, or allow `userns, mount, pivot_root,`"
        )


def _file_system(mounts: list[list[str]], directory: Path) -> str:
    best, found = -1, ""
    for line in mounts:
        if len(line) < 5 or "-" not in line:
            continue
        point = line[4]
        if directory.is_relative_to(point) and len(point) >= best:
            best, found = len(point), line[line.index("-") + 1]
    return found


def _text(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text("utf-8")
    return ""
