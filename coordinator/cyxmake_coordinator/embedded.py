"""A coordinator that lives inside a build: its one line for the parent, its end with it.

Knows nothing of what the build does. The parent holds our standard input open; when that ends, we
stay only as long as another build still uses us.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Callable
from typing import Final

from cyxmake_common.net.authority import authority_fingerprint
from cyxmake_common.protocol.messages import Peer
from cyxmake_coordinator.auth.tokens import Door, TokenStore, TokenWish
from cyxmake_coordinator.data_dir import DataDir, write_private

_LABEL: Final = "embedded"
_POLL_SECONDS: Final = 0.1
_GRACE_POLLS: Final = 2
_STDIN: Final = 0


async def announce_line(data: DataDir, tokens: TokenStore, address: str) -> str:
    """Make fresh tokens and return what the parent reads; joining builds find it in a file."""
    await tokens.revoke_labelled(_LABEL)  # those of a run that was killed
    door = Door(address, authority_fingerprint(data.tls))
    client = await tokens.create(TokenWish(Peer.CLIENT, label=_LABEL), door)
    worker = await tokens.create(TokenWish(Peer.WORKER, label=_LABEL), door)
    line = json.dumps(
        {
            "address": address,
            "client_token": client.text(),
            "worker_token": worker.text(),
            "pid": os.getpid(),
        }
    )
    write_private(data.embedded, line + "\n")
    return line


async def live_with_parent(clients: Callable[[], int], stop: Callable[[], None]) -> None:
    """Stop when standard input has ended and no client has been here for 0.2 s."""
    await _end_of_input()
    idle = 0
    while idle < _GRACE_POLLS:
        await asyncio.sleep(_POLL_SECONDS)
        idle = 0 if clients() else idle + 1
    stop()


async def _end_of_input() -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def watch() -> None:
        # The descriptor and not sys.stdin: a thread inside the latter's lock would hang the exit.
        with contextlib.suppress(OSError):
            while os.read(_STDIN, 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop has ended before the parent did
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, name="parent", daemon=True).start()
    await ended.wait()
