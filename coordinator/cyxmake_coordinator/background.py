"""A server in the background: started detached, found again by its lock, stopped in order.

Knows nothing of what the server does. Uses subprocess itself, not the process runner: this child is
to outlive us.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from cyxmake_common.errors import ConfigError, CyxError
from cyxmake_coordinator.config import CoordinatorConfig
from cyxmake_coordinator.data_dir import DataDir

_READY_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.05


def start(config: CoordinatorConfig, config_file: Path | None) -> str:
    """Start a server and return its process id and address; raises ConfigError."""
    data = DataDir(config.data_dir)
    data.prepare()
    if data.served():
        raise ConfigError(
            f"a coordinator runs on {data.root} already, as process {data.read_pid()}",
            next_step="cyxmake-coordinator status",
        )
    process = _spawn(_argv(config, config_file), data.log)
    line = _first_line(process)
    if not line:
        status = process.wait()
        raise ConfigError(
            f"the coordinator ended with status {status}: {_last_line(data.log)}",
            next_step=f"read {data.log}",
        )
    address = line.rpartition(" ")[2]
    return f"coordinator {process.pid} ready at {address}"


def stop(config: CoordinatorConfig) -> str:
    """Stop the server, if one runs, and wait for its end; raises CyxError when it does not end."""
    data = DataDir(config.data_dir)
    pid = data.read_pid()
    if not pid:
        return f"no coordinator runs on {data.root}"
    if sys.platform == "win32":
        data.stop_wish.touch()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while data.served():
        if time.monotonic() > deadline:
            raise CyxError(
                f"process {pid} has not stopped within {_STOP_SECONDS:g} s",
                next_step=f"read {data.log}; end the process by other means",
            )
        time.sleep(_POLL_SECONDS)
    return f"coordinator {pid} has stopped"


def _argv(config: CoordinatorConfig, config_file: Path | None) -> list[str]:
    argv = [sys.executable, "-P", "-m", "cyxmake_coordinator.main", "serve"]
    argv += ["--host", config.host, "--port", str(config.port)]
    argv += ["--data-dir", str(config.data_dir), "--log-level", config.log_level]
    argv += ["--log-json"] if config.log_json else []
    argv += ["--config", str(config_file)] if config_file is not None else []
    return argv


def _spawn(argv: list[str], log: Path) -> subprocess.Popen[bytes]:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as errors:
        if sys.platform == "win32":
            flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                creationflags=flags,
            )
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )


def _first_line(process: subprocess.Popen[bytes]) -> str:
    """Return the ready line; empty when the server ends, or is ended for taking too long."""
    impatience = threading.Timer(_READY_SECONDS, process.kill)
    impatience.start()
    try:
        assert process.stdout is not None
        with process.stdout as output:
            return output.readline().decode("utf-8", "replace").strip()
    finally:
        impatience.cancel()


def _last_line(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
        # The next step, when there is one, stands after the reason.
        reasons = [line for line in lines[-2:] if line.startswith("error: ")]
        return (reasons or lines or [""])[-1].removeprefix("error: ")
    return ""
