"""Takes out of a text what says who and where we are, before it leaves this machine.

Knows no provider. Secrets go in any case (`diagnosis.reduce`); here names of people, machines and
places of theirs go as well. What is public, as the host of a package registry, stays: it explains
failures.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from cyxmake_cli.llm.backend import Message, Request
from cyxmake_common.diagnosis.reduce import redact

_PUBLIC: Final = (
    "github.com", "githubusercontent.com", "gitlab.com", "bitbucket.org", "sourceforge.net",
    "pypi.org", "pythonhosted.org", "npmjs.org", "npmjs.com", "yarnpkg.com", "crates.io",
    "rust-lang.org", "golang.org", "go.dev", "maven.org", "apache.org", "gradle.org",
    "debian.org", "ubuntu.com", "fedoraproject.org", "gnu.org", "kernel.org", "cmake.org",
    "mesonbuild.com", "llvm.org", "docker.io", "docker.com", "quay.io", "w3.org", "python.org",
    "nodejs.org", "microsoft.com", "google.com", "googlesource.com", "readthedocs.io",
)  # fmt: skip
_NO_NAMES: Final = frozenset((
    "root", "user", "admin", "build", "builder", "runner", "test", "work", "home", "code", "main",
    "jenkins", "ubuntu", "debian", "docker", "vagrant", "nobody", "localhost", "git", "make",
))  # fmt: skip
"""Names of users and machines that say nothing of anybody, and would tear holes into a log."""

_URL: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://)(\[[0-9a-fA-F:]+\]|[^/\s:'\"<>]+)")
_REMOTE: Final = re.compile(r"\b[\w.+-]+@[\w.-]+(?=:)")
_PRIVATE_NAME: Final = re.compile(
    r"(?i)\b(?:[a-z0-9-]+\.)+(?:local|lan|internal|intranet|corp|home|private|localdomain)\b"
)
_PRIVATE_ADDRESS: Final = re.compile(
    r"(?<![\d.])(?:10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])"
    r"(?:\.\d{1,3}){2}|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])(?:\.\d{1,3}){2}|169\.254"
    r"(?:\.\d{1,3}){2})(?![\d.])|\b[fF][cdCD][0-9a-fA-F]{2}:[0-9a-fA-F:]{2,}\b"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What must not be told: names of people and machines, and directories that hold them."""

    names: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()


def identity_of_machine() -> Identity:
    """Return the names of the user and of this machine."""
    home = os.path.expanduser("~")  # noqa: PTH111 - may not exist
    host = socket.gethostname()
    names = [os.path.basename(home), host, host.partition(".")[0]]  # noqa: PTH119 - pure text
    with contextlib.suppress(KeyError, OSError):
        names.append(getpass.getuser())
    telling = [n for n in names if len(n) > 2 and n.lower() not in _NO_NAMES]
    return Identity(tuple(dict.fromkeys(telling)), (home,) if home not in ("/", "") else ())


def anonymous(text: str, identity: Identity) -> str:
    """Return a text without secrets, names and private places."""
    for directory in identity.directories:
        text = re.sub(re.escape(directory.rstrip("/\\")) + r"(?![\w-])", "~", text)
    text = redact(text)
    text = _URL.sub(_url, text)
    text = _REMOTE.sub("[address]", text)
    text = _PRIVATE_NAME.sub("[host]", text)
    text = _PRIVATE_ADDRESS.sub("[host]", text)
    for name in sorted(identity.names, key=len, reverse=True):
        text = re.sub(rf"(?i)(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "[name]", text)
    return text


def anonymous_request(request: Request, identity: Identity) -> Request:
    """Return a request whose messages are without secrets, names and private places."""
    return replace(request, messages=tuple(_anonymous(request.messages, identity)))


def _anonymous(messages: Iterable[Message], identity: Identity) -> Iterable[Message]:
    for message in messages:
        yield replace(message, text=anonymous(message.text, identity))


def _url(match: re.Match[str]) -> str:
    host = match[2].rpartition("@")[2].lower()
    known = any(host == public or host.endswith("." + public) for public in _PUBLIC)
    return match[1] + (match[2] if known or host == "localhost" else "[host]")
