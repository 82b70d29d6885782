"""Run as a script by a user without rights: choose a sandbox, run a shell in it, print what it saw.

Arguments: an empty directory of that user, and a layer of programs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from cyxmake_common.action import Command
from cyxmake_worker.sandbox.base import Limits
from cyxmake_worker.sandbox.probe import choose_sandbox
from cyxmake_worker.sandbox.removal import remove_tree

SCRIPT = "id -u; rm in; echo out >o/x; ls / /proc/self/fd; chmod 0 /tmp; kill -9 $$"


async def main(base: Path, programs: Path) -> dict[str, object]:
    """Return what happened."""
    chosen = await choose_sandbox(base / "sandbox")
    layer, scratch = base / "layer", base / "scratch"
    (layer / "w").mkdir(parents=True)
    (layer / "w/in").write_text("in")
    scratch.mkdir()
    command = Command(("sh", "-c", SCRIPT), (("PATH", "/usr/bin:/bin"),), ("o/x",), "w")
    run = await chosen.sandbox.run([programs, layer], command, Limits(timeout=10), scratch)
    made = (run.upper / "w/o/x").read_text()
    await asyncio.to_thread(remove_tree, scratch)
    await chosen.sandbox.close()
    return {
        "kind": chosen.kind.value,
        "signal": run.process.signal,
        "seen": run.process.stdout.decode().split(),
        "made": made,
        "kept": (layer / "w/in").read_text(),
        "left": scratch.exists(),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))))
