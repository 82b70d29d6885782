"""Where this coordinator can be reached, and the tokens that lead there.

Knows nothing of running servers beyond what they leave in the data directory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import sys
from pathlib import Path
from typing import Final

from cyxmake_common.errors import ClusterUnreachable, ConfigError, CyxError
from cyxmake_common.net.authority import authority_fingerprint, create_authority
from cyxmake_common.net.token import JoinToken, split_address
from cyxmake_common.protocol.messages import Peer
from cyxmake_coordinator.auth.tokens import Door, TokenState, TokenStore, TokenWish
from cyxmake_coordinator.config import CoordinatorConfig
from cyxmake_coordinator.data_dir import DataDir, write_private

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", "*"})  # noqa: S104 - recognised, not bound
_ADMIN_LABEL: Final = "command line of this machine"
_WORKER_LABEL: Final = "workers that read {}"


def advertised(config: CoordinatorConfig, port: int) -> str:
    """Return the address that goes into tokens for a server on a port."""
    if config.advertise:
        return config.advertise
    host = socket.gethostname() if config.host in _EVERYWHERE else config.host
    return f"wss://[{host}]:{port}" if ":" in host else f"wss://{host}:{port}"


def host_names(config: CoordinatorConfig) -> list[str]:
    """Return the names that the server's certificate shall carry beside the fixed one."""
    names = [config.host] if config.host not in _EVERYWHERE else []
    names.append(socket.gethostname())
    if config.advertise:
        names.append(split_address(config.advertise)[0])
    return list(dict.fromkeys(names))


async def open_tokens(data: DataDir) -> TokenStore:
    """Open the token file, readable by its owner only."""
    # SQLite gives its side files the permissions of the main one: made before it is opened.
    data.database.touch(mode=0o600)
    if sys.platform != "win32":
        data.database.chmod(0o600)
    return await TokenStore.open(data.database)


async def issue(
    config: CoordinatorConfig, data: DataDir, wish: TokenWish, address: str = ""
) -> JoinToken:
    """Make a token, and everything it needs when there is nothing yet; raises ConfigError."""
    data.prepare()
    with data.setup_lock():
        create_authority(data.tls, host_names(config))
    address = address or data.read_address() or advertised(config, config.port)
    if address.endswith(":0"):
        raise ConfigError(
            "the port is not known before the server runs",
            next_step="start the server first, or give --address wss://host:port",
        )
    split_address(address)
    tokens = await open_tokens(data)
    try:
        return await tokens.create(wish, Door(address, authority_fingerprint(data.tls)))
    finally:
        await tokens.close()


async def keep_admin_token(data: DataDir, tokens: TokenStore, address: str) -> None:
    """Have a good token for the command line of this machine in the data directory."""
    wish = TokenWish(Peer.ADMIN, label=_ADMIN_LABEL)
    door = Door(address, authority_fingerprint(data.tls))
    await _keep_token(data.admin_token, tokens, wish, door)


async def keep_worker_token(
    config: CoordinatorConfig, data: DataDir, tokens: TokenStore, address: str
) -> None:
    """Have a good token for workers in the file that the settings name; raises ConfigError.

    A revoked or expired one is replaced at the next start, and so is one for another address.
    """
    file = config.worker_token_file
    if file is None:
        return
    wish = TokenWish(Peer.WORKER, label=_WORKER_LABEL.format(file))
    door = Door(address, authority_fingerprint(data.tls))
    try:
        await _keep_token(file, tokens, wish, door, same_address=True)
    except OSError as error:
        raise ConfigError(
            f"the workers' token cannot be written: {error}",
            next_step="make its directory writable for the coordinator, or unset worker_token_file",
        ) from error


async def _keep_token(
    file: Path, tokens: TokenStore, wish: TokenWish, door: Door, *, same_address: bool = False
) -> None:
    with contextlib.suppress(OSError, CyxError):
        kept = JoinToken.parse(file.read_text("ascii"))
        states = await tokens.states((kept.token_id,))
        fits = kept.ca_fingerprint == door.ca_fingerprint and kept.role is wish.role
        if same_address and kept.address != door.address:
            fits = False
        if fits and states[kept.token_id] is TokenState.ACTIVE:
            return
    token = await tokens.create(wish, door)
    write_private(file, token.text() + "\n")


def admin_token(data: DataDir) -> JoinToken:
    """Return the local administrator's token for the running server; raises ClusterUnreachable."""
    address = data.read_address()
    if not address:
        raise ClusterUnreachable(
            f"no coordinator runs on {data.root}", next_step="cyxmake-coordinator start"
        )
    try:
        kept = JoinToken.parse(data.admin_token.read_text("ascii"))
    except OSError as error:
        raise ConfigError(
            f"the administrator's token cannot be read: {error}",
            next_step="run this as the user that runs the coordinator",
        ) from error
    # The server may listen on another port than when the token was made.
    return dataclasses.replace(kept, address=address)
