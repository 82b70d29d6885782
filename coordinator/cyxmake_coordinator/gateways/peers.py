"""The door for peers: who is let in, and which handler serves them.

Knows nothing of TLS or WebSockets (net), nor of what the handlers do with messages.
"""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass

import structlog

from cyxmake_common.errors import ProtocolError
from cyxmake_common.ids import Namespace, SessionId
from cyxmake_common.net.blob_server import serve_bulk
from cyxmake_common.net.connection import Connection
from cyxmake_common.protocol.messages import PROTOCOL_VERSION, Channel, Hello, Peer, Welcome
from cyxmake_coordinator.auth.sessions import Sessions
from cyxmake_coordinator.auth.tokens import TokenDenied, TokenStore
from cyxmake_coordinator.gateways.clients import ClientPeer
from cyxmake_coordinator.gateways.house import House
from cyxmake_coordinator.gateways.strikes import Strikes, WatchedStore
from cyxmake_coordinator.gateways.workers import WorkerPeer

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Control:
    """An open control session: whose token it has, and the strikes its bulk connections share."""

    token: str
    strikes: Strikes


class PeerGateway:
    """Authenticates callers and runs one handler per connection."""

    def __init__(
        self, house: House, tokens: TokenStore, sessions: Sessions, heartbeat_seconds: float
    ) -> None:
        self._house = house
        self._tokens = tokens
        self._sessions = sessions
        self._heartbeat_seconds = heartbeat_seconds
        self._name = socket.gethostname()[:200] or "coordinator"
        self._controls: dict[SessionId, _Control] = {}

    def __repr__(self) -> str:
        return f"<PeerGateway {len(self._controls)} control sessions>"

    async def authenticate(self, hello: Hello) -> Welcome:
        """Return the answer to a HELLO with a good token; raises Denied."""
        try:
            record = await self._tokens.verify(hello.token_id, hello.token_secret, hello.role)
            session = self._session(hello)
        except TokenDenied as denied:
            _log.warning("token_denied", token_id=denied.token, reason=denied.reason)
            raise
        return Welcome(
            version=PROTOCOL_VERSION,
            session=session,
            coordinator=self._name,
            namespace=record.namespace,
            heartbeat_seconds=self._heartbeat_seconds,
        )

    def _session(self, hello: Hello) -> SessionId:
        if hello.channel is Channel.CONTROL:
            return SessionId(secrets.token_hex(8))
        # A session that is gone may still finish its transfers, with a good token of its own;
        # another token's session is nobody else's business.
        session = SessionId(hello.session)
        control = self._controls.get(session)
        if control is not None and control.token != hello.token_id:
            raise TokenDenied(hello.token_id, "a bulk connection for another token's session")
        return session

    async def on_connection(self, connection: Connection) -> None:
        """Serve one connection until it ends."""
        token = connection.hello.token_id
        with self._sessions.admitted(token, connection):
            if connection.hello.channel is Channel.BULK:
                await self._serve_bulk(connection)
                return
            control = _Control(token, Strikes(connection.name, connection))
            self._controls[connection.session] = control
            try:
                await self._serve_control(connection, control)
            finally:
                del self._controls[connection.session]

    async def _serve_bulk(self, connection: Connection) -> None:
        control = self._controls.get(connection.session)
        strikes = control.strikes if control else Strikes(connection.name, connection)
        store = WatchedStore(self._house.storage.blobs, strikes)
        await serve_bulk(connection, store, may_write=True)

    async def _serve_control(self, connection: Connection, control: _Control) -> None:
        if connection.peer is not Peer.WORKER:
            namespace = Namespace(connection.welcome.namespace)
            await ClientPeer(connection, namespace, self._house).serve()
            return
        facts = connection.hello.worker
        if facts is None:
            raise ProtocolError("a worker says what it is in hello")
        await WorkerPeer(connection, facts, self._house, control.strikes).serve()
