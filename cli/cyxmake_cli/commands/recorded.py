"""Has a build on the cluster remembered as one that ran here: audit log, history, what it made.

No command itself.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyxmake_common.errors import ExitStatus


def recorded(command: Callable[..., ExitStatus]) -> Callable[..., ExitStatus]:
    """Wrap a command that builds, and has the options `directory`, `build_dir` and `dry_run`."""

    @functools.wraps(command)
    def called(**given: Any) -> ExitStatus:
        from cyxmake_cli.settings import load

        source = _absolute(given["directory"])
        if given["dry_run"] or not source.is_dir():
            return command(**given)
        wanted = given["build_dir"] or load(source).settings.build.directory
        # Somebody's build directory gets nothing that their own build would not put there.
        if (source / "build.ninja").exists() and not wanted:
            return command(**given)
        build = _absolute(source / (wanted or "build"))
        return _record(source, build, lambda: command(**given))

    return called


def _absolute(path: Path) -> Path:
    # Not resolve(): symlinks stay as they are spelled, as for the build itself.
    return Path(os.path.abspath(path))  # noqa: PTH100


def _record(source: Path, build: Path, run: Callable[[], ExitStatus]) -> ExitStatus:
    from cyxmake_cli.building import history
    from cyxmake_cli.building.journal import made_here
    from cyxmake_cli.building.own_folder import OwnFolder
    from cyxmake_cli.commands.options import Common
    from cyxmake_cli.safety.permissions import Act, ActKind

    common = Common()
    act = Act(ActKind.BUILD, f"build {source.name} on the cluster", writes=(str(build),))
    common.gate(common.screen(), str(source), str(build)).require(act)
    start, status = time.monotonic(), ExitStatus.INTERNAL
    own = OwnFolder(source)
    record = history.begin(own)
    # What a Makefile builds among its sources is not known beforehand: then all of it is looked at.
    roots = (build,) if build.is_dir() else (source, build)
    try:
        with made_here(own, map(str, roots)):
            status = run()
    finally:
        record.finish({
            "time": datetime.now(UTC).isoformat(timespec="seconds"), "command": "dbuild",
            "status": status.name.lower(), "exit_code": int(status), "where": "cluster",
            "source": str(source), "build_directory": str(build),
            "seconds": round(time.monotonic() - start, 3),
        })  # fmt: skip
    return status
