"""GET /metrics: what a scrape says of a cluster at work, and who gets an answer."""

from __future__ import annotations

import asyncio
import http.client
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cyxmake_common.errors import ConfigError
from cyxmake_common.net.authority import authority_pem
from cyxmake_common.net.tls import client_context
from cyxmake_common.net.token import split_address
from cyxmake_common.protocol.messages import Peer
from cyxmake_coordinator.gateways.http import metrics_secret
from support.coordinators import LiveCoordinator, live_coordinator
from support.peers import FakeClient, FakeWorker, compile_action, hang


def _get(live: LiveCoordinator, *authorizations: str) -> tuple[int, str, str]:
    context = client_context(authority_pem(live.data.tls))
    context.check_hostname = False
    connection = http.client.HTTPSConnection(
        *split_address(live.address), context=context, timeout=10
    )
    try:
        connection.putrequest("GET", "/metrics")
        for one in authorizations:
            connection.putheader("Authorization", one)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers.get("WWW-Authenticate", "")
    finally:
        connection.close()


async def test_figures_are_for_who_shows_the_secret(tmp_path: Path) -> None:
    """The file's text opens the door; nothing, another secret, a join token or two do not."""
    file = tmp_path / "metrics.token"
    async with live_coordinator(tmp_path, metrics_token_file=file) as live:
        secret = file.read_text("ascii").strip()
        assert file.stat().st_mode & 0o777 == 0o600
        join = (await live.token(Peer.ADMIN)).text()
        good = f"Bearer {secret}"
        refused = [(), ("",), (f"Bearer {join}",), (good + "x",), (secret,), (good, good)]
        for shown in refused:
            status, body, wanted = await asyncio.to_thread(_get, live, *shown)
            assert (status, wanted) == (401, "Bearer"), shown
            assert "cyxmake_" not in body
        status, body, _ = await asyncio.to_thread(_get, live, good)
        assert status == 200
        assert secret not in body
    assert metrics_secret(file) == secret  # a restart keeps it


async def test_without_a_secret_there_are_no_figures(tmp_path: Path) -> None:
    """A coordinator that was not told to answers as if it knew nothing of metrics."""
    async with live_coordinator(tmp_path) as live:
        assert (await asyncio.to_thread(_get, live, "Bearer x"))[0] == 404


async def test_a_scrape_follows_the_cluster(tmp_path: Path) -> None:
    """Workers, slots, what waits and what runs are in the format that Prometheus reads."""
    file = tmp_path / "metrics.token"
    async with live_coordinator(tmp_path, metrics_token_file=file) as live:
        good = f"Bearer {file.read_text('ascii').strip()}"

        async def figures() -> dict[str, float]:
            _, text, _ = await asyncio.to_thread(_get, live, good)
            return {
                " ".join([sample.name, *sample.labels.values()]): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }

        before = await figures()
        assert before["cyxmake_slots ready"] == 0
        worker_token, client_token = [await live.token(r) for r in (Peer.WORKER, Peer.CLIENT)]
        async with (
            await FakeWorker.join(worker_token, hang) as worker,
            await FakeClient.join(client_token) as client,
        ):
            action, blobs = compile_action()
            await client.upload(*blobs)
            client.request(action)
            await asyncio.wait_for(worker.offered.wait(), 5)
            now = await figures()
        assert now["cyxmake_workers ready"] == 1
        assert now["cyxmake_slots ready"] >= 1
        assert now["cyxmake_clients"] == 1
        assert now["cyxmake_queued"] + now["cyxmake_running"] == 1
        assert now["cyxmake_scheduler_assigned_total"] == 1
        assert now["cyxmake_store_operations_total writes"] == len(blobs)
        assert now["cyxmake_cas_blobs"] > before["cyxmake_cas_blobs"]


@pytest.mark.parametrize("text", ["", "short\n", "two\nlines-of-a-token-file", "ä" * 20])
def test_a_weak_secret_is_refused(tmp_path: Path, text: str) -> None:
    """A file that holds no fit secret is an error that names it."""
    file = tmp_path / "token"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="metrics token"):
        metrics_secret(file)
