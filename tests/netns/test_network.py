"""The network itself: its faults are there, and it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.netns import Delay, Host, Network, devices_here, network
from support.processes import environment

_ECHO = """
import socket, sys, time
if sys.argv[1] == "serve":
    server = socket.create_server((sys.argv[2], 7000))
    print("ready", flush=True)
    while True:
        peer, _ = server.accept()
        with peer:
            while data := peer.recv(65536):
                peer.sendall(data[:1])
else:
    with socket.create_connection((sys.argv[2], 7000), timeout=float(sys.argv[4])) as peer:
        start = time.monotonic()
        peer.sendall(bytes(int(sys.argv[3])))
        got = 0
        peer.shutdown(socket.SHUT_WR)
        while data := peer.recv(65536):
            got += len(data)
        print(time.monotonic() - start if got else -1.0)
"""


def serve(host: Host) -> subprocess.Popen[bytes]:
    """Start something that answers on a host."""
    server = subprocess.Popen(
        [*host.prefix(), sys.executable, "-c", _ECHO, "serve", host.address], stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return server


def send(near: Host, far: Host, size: int = 1, patience: float = 5.0) -> float:
    """Return the seconds until a host has answered all that another sent."""
    argv = [sys.executable, "-c", _ECHO, "ask", far.address, str(size), str(patience)]
    return float(near.run(*argv))


def stop(server: subprocess.Popen[bytes]) -> None:
    """End a server by its handle."""
    server.kill()
    server.communicate()


def reaches(near: Host, far: Host) -> bool:
    """Tell whether one host can speak with another."""
    try:
        return send(near, far, patience=0.7) >= 0
    except RuntimeError as error:
        assert "timed out" in str(error)
        return False


def test_cuts_and_rates_of_the_kernel() -> None:
    """Isolation, a cut of one way, loss and a rate are felt, and gone when healed."""
    before = devices_here()
    with network("a", "b", "c") as made:
        server = serve(made["a"])
        assert reaches(made["b"], made["a"])
        made.isolate("b")
        assert not reaches(made["b"], made["a"])
        assert reaches(made["c"], made["a"])
        made.heal("b")
        made.cut("a", "c")
        assert not reaches(made["c"], made["a"])
        assert reaches(made["b"], made["a"])
        made.heal("c")
        made.slow("b", 16)
        assert send(made["b"], made["a"], 1_000_000) > 0.3
        made.heal("b")
        assert reaches(made["c"], made["a"])
        made.lose("c", 0.999)
        assert not reaches(made["c"], made["a"])
        assert devices_here() == before
        _no_way_out(made)
        stop(server)


def test_delay() -> None:
    """What waits 30 ms each way answers no sooner than after both, cuts and rates included."""
    with network("a", "b", delay=Delay(0.03, 0.01)) as made:
        server = serve(made["a"])
        assert 0.06 <= send(made["b"], made["a"]) < 1.0
        made.cut("a", "b")
        assert not reaches(made["b"], made["a"])
        made.heal("a")
        made.slow("b", 16)
        assert send(made["b"], made["a"], 1_000_000) > 0.3
        stop(server)


def _no_way_out(made: Network) -> None:
    for host in made.hosts.values():
        assert host.run("ip", "route", "show", "default") == ""
        with pytest.raises(RuntimeError, match="unreachable"):
            send(host, Host("elsewhere", "192.0.2.1", host.descriptor))


def test_nothing_is_left_of_a_killed_program(tmp_path: Path) -> None:
    """kill -9 of whoever made a network ends what ran there, and with it the namespaces."""
    script = (
        "import subprocess, sys, time\n"
        "from support.netns import network\n"
        "with network('a', 'b') as made:\n"
        "    started = subprocess.Popen([*made['a'].prefix(), 'sleep', '60'])\n"
        "    while b'sleep' not in open(f'/proc/{started.pid}/cmdline', 'rb').read():\n"
        "        time.sleep(0.01)\n"
        "    print(started.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    env = environment()
    env["PYTHONPATH"] += os.pathsep + str(Path(__file__).parents[1])
    maker = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=env)
    assert maker.stdout is not None
    inside = Path("/proc") / maker.stdout.readline().decode().strip()
    assert (inside / "ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    maker.send_signal(signal.SIGKILL)
    maker.communicate()
    until = time.monotonic() + 5
    while inside.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not inside.exists()
