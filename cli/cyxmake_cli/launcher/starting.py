"""Starts the agent where none runs; many may try at the same moment, one agent comes of it.

Knows nothing of what the agent does. The starter takes the agent's lock, looks again, and hands the
locked file to the new process: whoever finds it locked has nothing to do.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from cyxmake_cli.launcher.home import NO_START, Home
from cyxmake_common.clock import monotonic, wall
from cyxmake_common.errors import ClusterUnreachable

_RESTART_SECONDS: Final = 10.0
"""An agent that cannot start is not tried more often than that."""

_MODULE: Final = "cyxmake_cli.launcher.agent"


def start_agent(home: Home, environ: Mapping[str, str], *, insist: bool = False) -> None:
    """Start an agent for those who come later, and do not wait for it; never raises OSError.

    `insist` is for a person who asks: it is tried however lately an attempt was made.
    """
    if environ.get(NO_START) and not insist:
        return
    with contextlib.suppress(OSError):
        home.make()
        descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if lock(descriptor) and (insist or not _tried_lately(descriptor)):
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, b"s")
                _spawn(home, environ, descriptor)
        finally:
            os.close(descriptor)


def lock(descriptor: int) -> bool:
    """Lock a file for as long as any copy of the descriptor is open; False if somebody has it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def ensure_agent(home: Home, environ: Mapping[str, str], seconds: float = 20.0) -> None:
    """Return when an agent answers; raises ClusterUnreachable."""
    from time import sleep

    from cyxmake_cli.launcher.client import control

    deadline = monotonic() + seconds
    insist = True
    while True:
        try:
            control(home, b'{"ask": "status"}', seconds)
        except OSError as error:
            if monotonic() > deadline:
                raise ClusterUnreachable(
                    f"the launcher's agent does not answer: {error}",
                    next_step=f"see {home.log}",
                ) from error
            start_agent(home, environ, insist=insist)
            insist = False  # from here on as often as anybody may
            sleep(0.02)
        else:
            return


def _tried_lately(descriptor: int) -> bool:
    state = os.fstat(descriptor)
    return state.st_size > 0 and wall() - state.st_mtime < _RESTART_SECONDS


def _spawn(home: Home, environ: Mapping[str, str], descriptor: int) -> None:
    inherited: tuple[int, ...] = ()
    if sys.platform != "win32":
        inherited = (descriptor,)
    subprocess.Popen(
        [sys.executable, "-P", "-m", _MODULE, str(home.path), str(descriptor)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(environ),
        pass_fds=inherited,
        start_new_session=True,
        cwd=home.path,
    ).returncode = 0  # it outlives us on purpose: nobody waits for it
