"""Finding coordinators on the local network by mDNS, and telling of one: the door to zeroconf.

Knows nothing of who may come in. What is heard is hearsay that anyone on the network can say: it
names places to try. A token is still required, and a place counts as the token's coordinator only
after it has proven so by a certificate of the authority that the token pins; no secret is sent to
find that out.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyxmake_common.errors import ConfigError, CyxError
from cyxmake_common.net.tls import SERVER_NAME, client_context, fetch_authority
from cyxmake_common.net.token import JoinToken, split_address

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

SERVICE: Final = "_cyxmake._tcp.local."
_AUTHORITY: Final = "ca"
_MOST: Final = 64
_RESOLVE_MS: Final = 1500
_PROOF_SECONDS: Final = 3.0
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}\Z")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", "*"})  # noqa: S104 - recognised, not bound


@dataclasses.dataclass(frozen=True, slots=True)
class Heard:
    """An announcement: what somebody says of a coordinator."""

    name: str
    address: str
    ca_fingerprint: str


@contextlib.asynccontextmanager
async def announced(host: str, port: int, ca_fingerprint: str) -> AsyncIterator[None]:
    """Tell the network of a coordinator for the length of the block; raises ConfigError.

    Only where it listens: one that is for this machine alone is told to this machine alone.
    """
    interfaces = _interfaces(host)
    async with _zeroconf(interfaces) as zeroconf:
        from zeroconf import Error
        from zeroconf.asyncio import AsyncServiceInfo

        machine = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())[:40] or "coordinator"
        info = AsyncServiceInfo(
            SERVICE,
            f"{machine}-{port}.{SERVICE}",
            port=port,
            properties={_AUTHORITY: ca_fingerprint},
            server=f"{machine}.local.",
            parsed_addresses=interfaces,
        )
        try:
            await (await zeroconf.async_register_service(info, allow_name_change=True))
        except (Error, OSError) as error:
            raise ConfigError(
                f"the coordinator cannot be announced: {error}", next_step="serve without announce"
            ) from error
        yield


async def discover(seconds: float = 2.0) -> list[Heard]:
    """Listen for a while; returns what was heard, sorted. Raises ConfigError."""
    names: set[str] = set()
    async with _zeroconf(None) as zeroconf:
        from zeroconf import ServiceStateChange
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo

        def changed(name: str, state_change: ServiceStateChange, **_: object) -> None:
            if state_change is ServiceStateChange.Added and len(names) < _MOST:
                names.add(name)

        browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[changed])
        await asyncio.sleep(seconds)
        await browser.async_cancel()
        infos = [AsyncServiceInfo(SERVICE, name) for name in sorted(names)]
        await asyncio.gather(*(i.async_request(zeroconf.zeroconf, _RESOLVE_MS) for i in infos))
    return sorted({heard for info in infos for heard in _heard(info)}, key=dataclasses.astuple)


def candidates(token: JoinToken, heard: Iterable[Heard]) -> list[str]:
    """Return addresses worth trying for a token, its own first."""
    told = [one.address for one in heard if one.ca_fingerprint == token.ca_fingerprint]
    return list(dict.fromkeys([token.address, *told]))


async def locate(token: JoinToken, authorities: Path | None, seconds: float = 2.0) -> JoinToken:
    """Return the token with an address at which its coordinator has proven to be.

    Without such a one it is returned as it is: whoever connects then says what is wrong.
    """
    if await proven(token, token.address, authorities):
        return token
    for address in candidates(token, await discover(seconds))[1:]:
        if await proven(token, address, authorities):
            return dataclasses.replace(token, address=address)
    return token


async def proven(token: JoinToken, address: str, authorities: Path | None) -> bool:
    """Tell whether the token's coordinator answers at an address; the secret is not used."""
    host, port = split_address(address)
    try:
        async with asyncio.timeout(_PROOF_SECONDS):
            pem = await fetch_authority(address, token.ca_fingerprint, authorities)
            _, writer = await asyncio.open_connection(
                host, port, ssl=client_context(pem), server_hostname=SERVER_NAME
            )
            writer.transport.abort()
    except (OSError, TimeoutError, ssl.SSLError, CyxError):
        return False
    return True


@contextlib.asynccontextmanager
async def _zeroconf(interfaces: list[str] | None) -> AsyncIterator[AsyncZeroconf]:
    try:
        from zeroconf import InterfaceChoice, IPVersion
        from zeroconf.asyncio import AsyncZeroconf
    except ImportError as error:
        raise ConfigError(
            "finding coordinators on the network needs the package zeroconf",
            next_step="pip install 'cyxmake[discovery]'",
        ) from error
    try:
        opened = AsyncZeroconf(
            interfaces=interfaces or InterfaceChoice.All, ip_version=IPVersion.V4Only
        )
    except OSError as error:
        raise ConfigError(
            f"mDNS cannot be used here: {error}", next_step="name the address by hand"
        ) from error
    try:
        yield opened
    finally:
        await opened.async_close()


def _interfaces(host: str) -> list[str]:
    """Return this machine's IPv4 addresses at which a server on a host is reached."""
    import psutil

    if host in _LOOPBACK:
        return ["127.0.0.1"]
    own = [
        one.address
        for addresses in psutil.net_if_addrs().values()
        for one in addresses
        if one.family is socket.AF_INET and not ipaddress.ip_address(one.address).is_loopback
    ]
    if host not in _EVERYWHERE:
        own = [address for address in own if address == host]
    if not own:
        raise ConfigError(
            f"{host} is no IPv4 address of this machine that could be announced",
            next_step="serve on 0.0.0.0 or on such an address, or without announce",
        )
    return own


def _heard(info: AsyncServiceInfo) -> list[Heard]:
    """Return what an announcement says, as far as it makes sense."""
    raw = (info.properties or {}).get(_AUTHORITY.encode()) or b""
    fingerprint = raw.decode("ascii", "replace")
    port = info.port or 0
    if not _FINGERPRINT.match(fingerprint) or not 0 < port < 1 << 16:
        return []
    name = "".join(c if c.isascii() and c.isprintable() else "?" for c in info.name)
    label = name.removesuffix("." + SERVICE)[:64]
    found = []
    for text in info.parsed_addresses()[:8]:
        with contextlib.suppress(ValueError):
            ip = ipaddress.ip_address(text)
            host = f"[{ip}]" if ip.version == 6 else str(ip)
            found.append(Heard(label, f"wss://{host}:{port}", fingerprint))
    return found
