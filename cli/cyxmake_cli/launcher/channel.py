"""The local socket between stubs and the agent: connect, listen, and see who is at the other end.

Knows nothing of what is said. On POSIX systems it is a Unix socket that only its owner can reach,
and both ends look at the peer's user; a long path is reached by going there, since it does not fit
into a socket's address. Windows has a loopback port and a secret in place of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from cyxmake_cli.launcher.home import Home

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_NAME: Final = "agent.sock"
_BACKLOG: Final = 1024
_SECRET_BYTES: Final = 32
_UCRED: Final = struct.Struct("=3i")


def connect(home: Home, seconds: float) -> socket.socket:
    """Connect to the agent; raises OSError. Every later call may take as long as `seconds`."""
    if sys.platform == "win32":
        return _connect_loopback(home, seconds)
    connection = _above_streams(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    try:
        connection.setblocking(False)
        with _inside(home.path):
            connection.connect(_NAME)
        if not is_ours(connection):
            raise PermissionError("the agent belongs to another user")
        connection.settimeout(seconds)
    except BaseException:
        connection.close()
        raise
    return connection


async def listen(home: Home, handler: Handler) -> asyncio.Server:
    """Listen in place of an agent that is gone; the caller holds the lock. Raises OSError."""
    if sys.platform == "win32":
        return await _listen_loopback(home, handler)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _inside(home.path):
            Path(_NAME).unlink(missing_ok=True)
            mask = os.umask(0o177)
            try:
                listener.bind(_NAME)
            finally:
                os.umask(mask)
    except BaseException:
        listener.close()
        raise
    return await asyncio.start_unix_server(handler, sock=listener, backlog=_BACKLOG)


def is_ours(connection: socket.socket) -> bool:
    """Tell whether the other end belongs to our user."""
    if sys.platform == "win32":
        return True  # whoever knows the secret could read our files
    if sys.platform == "linux":
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        user: int = _UCRED.unpack(data)[1]
        return user == os.geteuid()
    # struct xucred of the BSDs: version, user, ...; option LOCAL_PEERCRED of level 0
    data = connection.getsockopt(0, 1, 76)
    owner: int = struct.unpack_from("=II", data)[1]
    return owner == os.geteuid()


def _above_streams(connection: socket.socket) -> socket.socket:
    """Return the same socket under a number that is none of a closed standard stream's."""
    if sys.platform == "win32" or connection.fileno() > 2:
        return connection
    import fcntl

    with connection:
        return socket.socket(fileno=fcntl.fcntl(connection, fcntl.F_DUPFD_CLOEXEC, 3))


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Stand in a folder for a moment."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        yield
    finally:
        os.chdir(here)
        os.close(here)


# ── the loopback port of Windows ────────────────────────────────────────────────────────────────


def _connect_loopback(home: Home, seconds: float) -> socket.socket:
    port, _, secret = home.socket.read_text("ascii").partition(" ")
    connection = socket.create_connection(("127.0.0.1", int(port)), timeout=seconds)
    connection.sendall(bytes.fromhex(secret))
    return connection


async def _listen_loopback(home: Home, handler: Handler) -> asyncio.Server:
    secret = secrets.token_bytes(_SECRET_BYTES)

    async def check(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            if secrets.compare_digest(await reader.readexactly(_SECRET_BYTES), secret):
                await handler(reader, writer)
                return
        writer.close()

    server = await asyncio.start_server(check, "127.0.0.1", 0, backlog=_BACKLOG)
    port = server.sockets[0].getsockname()[1]
    home.socket.write_text(f"{port} {secret.hex()}", "ascii")
    return server
