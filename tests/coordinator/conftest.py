"""What tests of the whole coordinator share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyxmake_common.protocol.messages import Peer
from support.coordinators import Cluster, live_coordinator
from support.peers import FakeClient


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A coordinator and a client."""
    async with live_coordinator(tmp_path) as coordinator, contextlib.AsyncExitStack() as stack:
        token = await coordinator.token(Peer.CLIENT)
        client = await stack.enter_async_context(await FakeClient.join(token))
        yield Cluster(coordinator, client, stack)
