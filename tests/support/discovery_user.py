"""Run as a script where the network is loopback alone: a coordinator that tells of itself, an
impostor that says it is the same one, and callers that look for it. Prints what they found.

Argument: an empty directory.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from pathlib import Path

from cyxmake_common.net.discovery import announced, candidates, discover, locate, proven
from cyxmake_common.net.token import split_address
from cyxmake_common.protocol.messages import Peer
from support.coordinators import live_coordinator
from support.peers import FakeWorker


async def main(home: Path) -> dict[str, object]:
    """Return what happened."""
    async with (
        live_coordinator(home / "real", announce=True) as real,
        live_coordinator(home / "silent"),
        live_coordinator(home / "false") as false,
    ):
        token = await real.token(Peer.WORKER)
        moved = dataclasses.replace(token, address="wss://127.0.0.1:1")
        port = split_address(false.address)[1]
        # It repeats the real one's public fingerprint, and has another key.
        async with announced("127.0.0.1", port, token.ca_fingerprint):
            heard = await discover(1.5)
            found = await locate(moved, None, 1.5)
        async with await FakeWorker.join(found):
            joined = True
        listed = {
            "real": real.address,
            "false": false.address,
            "heard": sorted(one.address for one in heard),
            "tried": candidates(moved, heard),
            "found": found.address,
            "false proven": await proven(token, false.address, None),
            "joined": joined,
        }
    listed["after"] = [one.address for one in await discover(0.5)]
    return listed


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
