"""What stub and agent say to each other: one request, then signs of life, then one answer.

Knows no sockets and no files. Both ends run on one machine and come from one installation, so
numbers are in the machine's own order; MAGIC changes whenever the meaning does. stub.c has the
same in C.

    request   header, then texts ended by NUL: directory, compiler, arguments, environment;
              or, for a control request, JSON
    answer    ALIVE*, then DONE + three numbers + stdout + stderr, or LOCAL, or MAPPED + length +
              options for the compiler, each ended by NUL, or REPORT + JSON
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_common.errors import ProtocolError

MAGIC: Final = b"CYX2"
HEADER: Final = struct.Struct("=4s6I")
"""Magic, length of what follows, kind, arguments, variables, umask, flags."""

SIZES: Final = struct.Struct("=3I")
"""Exit status, bytes of stdout, bytes of stderr."""

LENGTH: Final = struct.Struct("=I")
MOST_BYTES: Final = 64 << 20

COMPILE: Final = 0
CONTROL: Final = 1
_TERMINAL: Final = 1

ALIVE: Final = b"K"
DONE: Final = b"D"
LOCAL: Final = b"R"
MAPPED: Final = b"M"
REPORT: Final = b"J"
ALIVE_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class CompileRequest:
    """One call of a compiler; texts are decoded as file names are, so that any byte survives.

    `directory` is named as compilers name it: PWD where that is right. `compiler` is the program
    that would run. `terminal` tells that messages go to a terminal.
    """

    directory: str
    compiler: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    umask: int = 0o022
    terminal: bool = False

    def __repr__(self) -> str:
        # Neither arguments nor variables: both may hold secrets.
        return f"<CompileRequest {self.compiler} in {self.directory}>"

    def to_bytes(self) -> bytes:
        """Return the request as it is sent."""
        variables = [f"{name}={value}" for name, value in self.environ.items()]
        texts = (self.directory, self.compiler, *self.argv, *variables)
        body = b"".join(os.fsencode(text) + b"\0" for text in texts)
        flags = _TERMINAL if self.terminal else 0
        numbers = (COMPILE, len(self.argv), len(variables), self.umask, flags)
        return HEADER.pack(MAGIC, len(body), *numbers) + body


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before a request's body."""

    length: int
    kind: int
    arguments: int
    variables: int
    umask: int
    flags: int

    @staticmethod
    def parse(data: bytes) -> Header:
        """Read a header; raises ProtocolError."""
        magic, *numbers = HEADER.unpack(data)
        header = Header(*numbers)
        if magic != MAGIC or header.length > MOST_BYTES:
            raise ProtocolError("not a request of this version")
        return header


def parse_compile_request(header: Header, body: bytes) -> CompileRequest:
    """Read a compile request; raises ProtocolError."""
    texts = os.fsdecode(body).split("\0")
    first = 2 + header.arguments
    if header.arguments < 1 or len(texts) != first + header.variables + 1 or texts[-1]:
        raise ProtocolError("the request's texts do not add up")
    # Of a variable that is there twice, getenv finds the first.
    environ: dict[str, str] = {}
    for text in texts[first:-1]:
        name, _, value = text.partition("=")
        environ.setdefault(name, value)
    return CompileRequest(
        directory=texts[0],
        compiler=texts[1],
        argv=tuple(texts[2:first]),
        environ=environ,
        umask=header.umask & 0o777,
        terminal=bool(header.flags & _TERMINAL),
    )


def control_request(body: bytes) -> bytes:
    """Return a control request as it is sent; the body is JSON."""
    return HEADER.pack(MAGIC, len(body), CONTROL, 0, 0, 0, 0) + body


def done(stdout: bytes, stderr: bytes) -> bytes:
    """Return the answer that the compile is done: its outputs stand in place."""
    return DONE + SIZES.pack(0, len(stdout), len(stderr)) + stdout + stderr


def local(options: Sequence[str]) -> bytes:
    """Return the answer that the caller has to compile, with options of ours if there are any."""
    if not options:
        return LOCAL
    texts = b"".join(os.fsencode(text) + b"\0" for text in options)
    return MAPPED + LENGTH.pack(len(texts)) + texts


def parse_options(texts: bytes) -> list[str]:
    """Read the options of a MAPPED answer."""
    return os.fsdecode(texts).split("\0")[:-1]


def report(body: bytes) -> bytes:
    """Return the answer to a control request."""
    return REPORT + LENGTH.pack(len(body)) + body
