"""The checks of `cyxmake doctor` that concern the cluster: it is asked, and it compiles.

No command itself.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cyxmake_cli import config
from cyxmake_cli.commands.doctor_checks import Check
from cyxmake_common.errors import CyxError

if TYPE_CHECKING:
    from cyxmake_common.protocol.messages import Status

_SECONDS: Final = 15.0
_NINJA: Final = (
    "rule cc\n command = {compiler} -c $in -o $out\nbuild a.o: cc a.c\n"
)  # fmt: skip


def cluster_checks(directory: Path) -> Iterator[Check]:
    """Yield the checks of the configured cluster, from the token to a compile on a worker."""
    try:
        text = config.token_text()
        if text is None:
            yield Check("cluster", "skipped", "none is configured: builds bring their own",
                        "cyxmake login TOKEN, where there is one")  # fmt: skip
            return
        from cyxmake_common.net.token import JoinToken

        token = JoinToken.parse(text)
        yield Check("token", "good", f"role {token.role.value}, for {token.address}")
        status = asyncio.run(_ask(text))
    except TimeoutError:
        yield Check("coordinator", "bad", f"does not answer within {_SECONDS:.0f} s",
                    "see whether it runs: cyxmake-coordinator status")  # fmt: skip
        return
    except CyxError as error:
        yield Check("coordinator", "bad", error.message, error.next_step)
        return
    store = f"store {status.cas_bytes / 1e6:.0f} of {status.cas_limit_bytes / 1e6:.0f} MB"
    up = f"version {status.version}, up {status.uptime_seconds:.0f} s"
    yield Check("coordinator", "good", f"{up}, {store}")
    taking = [worker for worker in status.workers if not worker.draining]
    if not taking:
        yield Check("workers", "bad", f"{len(status.workers)} are there, and none takes work",
                    "start one: CYXMAKE_WORKER_TOKEN=... cyxmake-worker")  # fmt: skip
        return
    slots = sum(worker.slots for worker in taking)
    yield Check("workers", "good", f"{len(taking)} take work, {slots} slots")
    yield _compile()


async def _ask(text: str) -> Status:
    from cyxmake_cli.cluster.client import ClusterClient
    from cyxmake_common.net.token import JoinToken

    async with asyncio.timeout(_SECONDS):
        token = JoinToken.parse(text)
        async with await ClusterClient.connect(token, config.cache_directory()) as cluster:
            return await cluster.status()


def _compile() -> Check:
    """Compile a file that nobody compiled before, on a worker."""
    import uuid

    from cyxmake_cli.build import BuildRequest, build
    from cyxmake_cli.commands.local_build import stdout_to_stderr
    from cyxmake_cli.settings import Place, Settings

    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        return Check("compile on a worker", "skipped", "there is no compiler to send")
    with tempfile.TemporaryDirectory(prefix="cyxmake-doctor-") as folder:
        place = Path(folder)
        (place / "a.c").write_text(f"int f{uuid.uuid4().hex}(void) {{ return 0; }}\n")
        (place / "build.ninja").write_text(_NINJA.format(compiler=compiler))
        summary = place / "summary.json"
        settings = Settings()
        settings = replace(
            settings,
            cache=replace(settings.cache, enabled=False),
            build=replace(settings.build, place=Place.CLUSTER),  # here it would be done sooner
        )
        request = BuildRequest(settings, directory=place, quiet=True, summary=summary)
        try:
            with stdout_to_stderr(True):
                build(request)
        except CyxError as error:
            return Check("compile on a worker", "bad", error.message, error.next_step)
        found: dict[str, Any] = json.loads(summary.read_bytes()) if summary.exists() else {}
    if found.get("remote"):
        who = ", ".join(found.get("workers", {}))
        return Check("compile on a worker", "good", f"done by {who}")
    why = ", ".join(found.get("local_reasons", {})) or "no reason was given"
    return Check("compile on a worker", "bad", f"it ran here instead: {why}",
                 "cyxmake dbuild -v says more; cyxmake explain placement")  # fmt: skip
