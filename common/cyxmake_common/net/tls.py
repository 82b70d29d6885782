"""TLS contexts for both ends, and how a caller gets the authority that its token pins.

Knows nothing of WebSockets, and nothing of how certificates are made (authority). Nothing secret is
sent before the pinned authority has verified the connection that it travels on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from pathlib import Path
from typing import Final

from cyxmake_common.errors import CertificateMismatch, ClusterUnreachable, ConfigError
from cyxmake_common.net.authority import (
    SERVER_NAME,
    authority_fingerprint,
    authority_pem,
    create_authority,
    fingerprint,
    first_certificate,
    server_files,
)
from cyxmake_common.net.token import split_address

__all__ = [
    "AUTHORITY_PATH",
    "SERVER_NAME",
    "authority_fingerprint",
    "authority_pem",
    "client_context",
    "create_authority",
    "fetch_authority",
    "server_context",
]

AUTHORITY_PATH: Final = "/ca.pem"
"""Where a coordinator answers with its authority's certificate."""

_MAX_ANSWER: Final = 64 * 1024
_WRONG: Final = "ask who runs the coordinator for a new join token, and do not use this one"


def server_context(directory: Path) -> ssl.SSLContext:
    """Return the coordinator's context; raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0  # connections live long; resumption would only add state
    certificate, key = server_files(directory)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise ConfigError(f"cannot use the certificate in {directory}: {error}") from error
    return context


def client_context(ca_pem: bytes) -> ssl.SSLContext:
    """Return a context that trusts this one authority, and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The first certificate alone: a second one in the text was not covered by the fingerprint.
    context.load_verify_locations(cadata=first_certificate(ca_pem))
    return context


async def fetch_authority(address: str, ca_fingerprint: str, cache_dir: Path | None) -> bytes:
    """Return the pinned authority's certificate, from the cache or from the coordinator.

    Raises CertificateMismatch when the coordinator offers another one, ClusterUnreachable.
    """
    cached = None if cache_dir is None else cache_dir / f"ca-{ca_fingerprint}.pem"
    if cached is not None:
        with contextlib.suppress(OSError, ValueError):
            pem = cached.read_bytes()
            if fingerprint(pem) == ca_fingerprint:
                return pem
    host, port = split_address(address)
    try:
        text = await _get_unverified(host, port)
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise ClusterUnreachable(
            f"no coordinator answers at {address}: {error or type(error).__name__}",
            next_step="check that it runs, and that its port is open",
        ) from error
    try:
        der = first_certificate(text)
    except ValueError:
        raise CertificateMismatch(
            f"{address} does not answer like a coordinator", next_step=_WRONG
        ) from None
    pem = ssl.DER_cert_to_PEM_cert(der).encode("ascii")
    if fingerprint(pem) != ca_fingerprint:
        raise CertificateMismatch(
            f"{address} offers another certificate authority than the token names",
            next_step=_WRONG,
        )
    if cached is not None:
        _keep(cached, pem)
    return pem


def _keep(cached: Path, pem: bytes) -> None:
    """Cache a certificate; a full or read-only disk only costs the next start a round trip."""
    with contextlib.suppress(OSError):
        cached.parent.mkdir(parents=True, exist_ok=True)
        temporary = cached.with_name(f"{cached.name}.{os.getpid()}")
        temporary.write_bytes(pem)
        temporary.replace(cached)


async def _get_unverified(host: str, port: int) -> bytes:
    """GET the authority without verification; the caller compares it with the fingerprint."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    reader, writer = await asyncio.open_connection(
        host, port, ssl=context, server_hostname=SERVER_NAME, limit=_MAX_ANSWER
    )
    try:
        request = (
            f"GET {AUTHORITY_PATH} HTTP/1.1\r\nHost: {SERVER_NAME}\r\nConnection: close\r\n\r\n"
        )
        writer.write(request.encode("ascii"))
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        if head.split(b" ", 2)[1:2] != [b"200"]:
            raise ValueError("it does not offer its certificate authority")
        return await _read_bounded(reader)
    finally:
        # Not a clean close: there is nothing left to lose, and a peer that hangs must not hold us.
        writer.transport.abort()


async def _read_bounded(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while len(body) < _MAX_ANSWER and b"-----END CERTIFICATE-----" not in body:
        piece = await reader.read(_MAX_ANSWER - len(body))
        if not piece:
            break
        body += piece
    return body
