"""The stub in Python: asks the agent for one compile, or becomes the real compiler.

Knows nothing of clusters. It does what stub.c does, for machines without a compiler of their own
and for `cyxmake cc`; it says nothing of its own while there is a compiler that can speak.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import MutableMapping, Sequence
from typing import Final

from cyxmake_cli.launcher import protocol
from cyxmake_cli.launcher.channel import connect
from cyxmake_cli.launcher.decisions import (
    Call,
    directory_name,
    is_probe,
    may_be_compile,
    read_call,
)
from cyxmake_cli.launcher.home import DEPTH, DISABLE, Home
from cyxmake_cli.launcher.starting import start_agent

_MOST_DEPTH: Final = 8


def launch(argv: Sequence[str], environ: MutableMapping[str, str] = os.environ) -> int:
    """Do a compile through the agent and return its status, or never return.

    Changes the environment: PATH loses our folders, and calls of ourselves are counted.
    """
    call = read_call(argv, environ.get("PATH"))
    if call.path is not None:
        environ["PATH"] = call.path
    if call.compiler is None:
        return _fail(call.name, "not found", 127)
    depth = _number(environ.get(DEPTH, ""))
    if depth >= _MOST_DEPTH:
        return _fail(call.name, "is a compiler that calls itself", 126)
    environ[DEPTH] = str(depth + 1)
    argv = call.argv
    if depth == 0 and not environ.get(DISABLE) and may_be_compile(argv):
        answer = _ask(call, environ)
        if isinstance(answer, int):
            return answer
        options = _options(call, environ) if answer is None else answer
        argv = (argv[0], *options, *argv[1:])
    return _become(call.compiler, argv, environ)


def control(home: Home, body: bytes, seconds: float) -> bytes:
    """Ask the agent something about itself; raises OSError when it does not answer."""
    with connect(home, seconds) as connection:
        connection.sendall(protocol.control_request(body))
        if _read(connection, 1) != protocol.REPORT:
            raise ConnectionError("the agent does not understand")
        (length,) = protocol.LENGTH.unpack(_read(connection, protocol.LENGTH.size))
        return _read(connection, length)


def _ask(call: Call, environ: MutableMapping[str, str]) -> int | list[str] | None:
    """Return the status; or with which options it is left to us; None: nobody answered."""
    home = Home.of_user()
    try:
        directory = directory_name(environ)
        if is_probe(directory):
            return None
        connection = connect(home, protocol.SILENCE_SECONDS)
    except (FileNotFoundError, ConnectionRefusedError):
        start_agent(home, environ)
        return None
    except OSError:
        return None
    request = _request(call, directory, environ)
    with connection:
        try:
            connection.sendall(request.to_bytes())
            return _receive(connection)
        except OSError:
            return None


def _request(
    call: Call, directory: str, environ: MutableMapping[str, str]
) -> protocol.CompileRequest:
    assert call.compiler is not None
    return protocol.CompileRequest(
        directory, call.compiler, call.argv, environ, _umask(), os.isatty(2)
    )


def _options(call: Call, environ: MutableMapping[str, str]) -> Sequence[str]:
    """Return the options that an agent would have named."""
    from cyxmake_cli.cluster.path_maps import adds_options
    from cyxmake_cli.settings import load
    from cyxmake_common.errors import CyxError

    try:
        directory = directory_name(environ)
        settings = load(directory, environ).settings
    except (CyxError, OSError):
        return ()  # a compile must not fail because of us, and an agent would say the same
    if is_probe(directory) or not adds_options(settings):
        return ()
    import asyncio

    from cyxmake_cli.launcher.maps import Maps

    return asyncio.run(Maps().options(_request(call, directory, environ), settings))


def _receive(connection: socket.socket) -> int | list[str] | None:
    """Return the status, the compiler's words written; or the options when it is left to us."""
    what = protocol.ALIVE
    while what == protocol.ALIVE:
        what = _read(connection, 1)
    if what == protocol.LOCAL:
        return []
    if what == protocol.MAPPED:
        (length,) = protocol.LENGTH.unpack(_read(connection, protocol.LENGTH.size))
        return protocol.parse_options(_read(connection, length))
    if what != protocol.DONE:
        return None
    sizes = protocol.SIZES.unpack(_read(connection, protocol.SIZES.size))
    status: int = sizes[0]
    stdout, stderr = _read(connection, sizes[1]), _read(connection, sizes[2])
    with contextlib.suppress(OSError):  # a closed stream: the compile is done all the same
        _write(1, stdout)
        _write(2, stderr)
    return status


def _read(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise ConnectionError("the agent is gone")
        data += piece
    return bytes(data)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _become(compiler: str, argv: Sequence[str], environ: MutableMapping[str, str]) -> int:
    if sys.platform == "win32":
        import subprocess

        # There is no exec: a child's streams are ours, and its status becomes ours.
        return subprocess.run([compiler, *argv[1:]], check=False, env=dict(environ)).returncode
    try:
        try:
            os.execve(compiler, list(argv), environ)  # noqa: S606 - the compiler that was meant
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            # A script without its first line: who looks for programs in PATH gives it to a shell.
            os.execve("/bin/sh", ["/bin/sh", compiler, *argv[1:]], environ)  # noqa: S606
    except OSError as error:
        return _fail(argv[0], error.strerror, 127 if error.errno == errno.ENOENT else 126)


def _fail(name: str, why: str | None, status: int) -> int:
    with contextlib.suppress(OSError):
        _write(2, os.fsencode(f"cyxmake: {name}: {why}\n"))
    return status


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
