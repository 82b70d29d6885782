"""A private network: hosts in network namespaces of their own, and the faults of real networks.

Knows nothing of what runs on the hosts. A namespace has no name here: it lives as long as our
descriptor of it, or a process inside, so nothing is left behind even when we are killed. No device
of the machine's own network is touched, and no packet can leave.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from support import tun_switch

_T = TypeVar("_T")
_NEW_NETWORK: Final = 0x40000000
_PROGRAMS: Final = {
    "ip": "iproute2",
    "tc": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
_NETWORK: Final = "10.77.0"
_BURST: Final = "64kb"
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a packet is under way, one way; up to `jitter` more, in the order it was sent."""

    seconds: float
    jitter: float = 0.0


def obstacle() -> str:
    """Return why no private network can be made here; empty when one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            return f"{program} is not installed (package {package})"
    try:
        os.close(_apart(_new_namespace))
    except OSError as error:
        return f"no network namespace can be made: {error.strerror}"
    return ""


@dataclass
class Host:
    """One machine of the network."""

    name: str
    address: str
    descriptor: int
    deaf_to: set[str] = field(default_factory=set)
    """Addresses whose packets do not arrive."""
    alone: bool = False
    loss: float = 0.0

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.address}>"

    @property
    def path(self) -> str:
        """Return the namespace as a file, for other processes to open."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def prefix(self) -> list[str]:
        """Return what to put before an argv; what it starts has that process id, and dies with us.

        With us: with the thread that starts it.
        """
        return ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={self.path}", "--"]

    def run(self, *argv: str, text: str = "") -> str:
        """Run a tool that has to succeed; returns what it printed."""
        done = subprocess.run(
            [*self.prefix(), *argv], input=text, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(argv)}: {done.stderr}{text}")
        return done.stdout

    def filter(self) -> None:
        """Let the kernel drop what is to be lost, all in one step."""
        rules = ["table ip fault", "delete table ip fault", "table ip fault {"]
        for hook, far in (("input", "saddr"), ("output", "daddr")):
            drops = []
            if self.alone:
                drops.append(f"ip {far} {_NETWORK}.0/24 drop")
            if hook == "input":
                drops += [f"ip saddr {address} drop" for address in sorted(self.deaf_to)]
            if self.loss:
                drops.append(f"ip {far} {_NETWORK}.0/24 {_lose(self.loss)}")
            body = " ".join(f"{drop};" for drop in drops)
            rules.append(f"chain {hook} {{ type filter hook {hook} priority 0; {body} }}")
        rules.append("}")
        self.run("nft", "-f", "-", text="\n".join(rules))


class Network:
    """Hosts on one switch: of the kernel, or of ours when packets are to take their time."""

    def __init__(self, hosts: Sequence[Host], middle: Host | None) -> None:
        self.hosts = {host.name: host for host in hosts}
        self._middle = middle
        """Where the kernel's switch is."""

    def __repr__(self) -> str:
        return f"<Network {', '.join(self.hosts)}>"

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def cut(self, source: str, target: str) -> None:
        """Lose every packet from one host to another; the way back stays open."""
        self.hosts[target].deaf_to.add(self.hosts[source].address)
        self.hosts[target].filter()

    def isolate(self, name: str) -> None:
        """Let nothing in or out of a host, and tell nobody."""
        self.hosts[name].alone = True
        self.hosts[name].filter()

    def lose(self, name: str, share: float) -> None:
        """Lose this share of the packets that a host sends, and of those it is sent."""
        self.hosts[name].loss = share
        self.hosts[name].filter()

    def slow(self, name: str, megabits: float) -> None:
        """Limit a host's link to a rate, each way."""
        shape = f"tbf rate {int(megabits * 1000)}kbit burst {_BURST} latency 50ms"
        host = self.hosts[name]
        host.run("tc", *f"qdisc replace dev eth0 root {shape}".split())
        if self._middle is not None:
            self._middle.run("tc", *f"qdisc replace dev {_port(host)} root {shape}".split())

    def heal(self, name: str) -> None:
        """Make the link of a host, and its way to every other, whole and as fast as it was."""
        healed = self.hosts[name]
        for host in self.hosts.values():
            if healed.address in host.deaf_to:
                host.deaf_to.discard(healed.address)
                host.filter()
        healed.deaf_to.clear()
        healed.alone, healed.loss = False, 0.0
        healed.filter()
        if "tbf" in healed.run("tc", "qdisc", "show", "dev", "eth0"):
            healed.run("tc", "qdisc", "del", "dev", "eth0", "root")
            if self._middle is not None:
                self._middle.run("tc", "qdisc", "del", "dev", _port(healed), "root")


@contextlib.contextmanager
def network(*names: str, delay: Delay | None = None) -> Iterator[Network]:
    """Make a network for the length of the block; raises OSError where that is not allowed."""
    with contextlib.ExitStack() as stack:
        hosts = []
        for number, name in enumerate(names, 1):
            descriptor = _apart(_new_namespace)
            stack.callback(os.close, descriptor)
            hosts.append(Host(name, f"{_NETWORK}.{number}", descriptor))
        middle = None
        if delay is None:
            descriptor = _apart(_new_namespace)
            stack.callback(os.close, descriptor)
            middle = Host("switch", "", descriptor)
            _plug_in(middle, hosts)
        else:
            _start_switch(hosts, delay, stack)
        for host in hosts:
            lines = ["link set lo up", f"addr add {host.address}/24 dev eth0", "link set eth0 up"]
            host.run("ip", "-batch", "-", text="\n".join(lines))
        yield Network(hosts, middle)


def _plug_in(middle: Host, hosts: Sequence[Host]) -> None:
    lines = ["link add bridge type bridge", "link set bridge up"]
    for host in hosts:
        port = _port(host)
        lines.append(f"link add {port} type veth peer name eth0 netns {host.path}")
        lines.append(f"link set {port} master bridge up")
    middle.run("ip", "-batch", "-", text="\n".join(lines))


def _start_switch(hosts: Sequence[Host], delay: Delay, stack: contextlib.ExitStack) -> None:
    tunnels = []
    for host in hosts:
        tunnel = _apart(lambda host=host: _open_tunnel(host.descriptor))  # type: ignore[misc]
        stack.callback(os.close, tunnel)
        tunnels.append(tunnel)
    argv = [sys.executable, tun_switch.__file__, str(delay.seconds), str(delay.jitter)]
    process = subprocess.Popen(
        [*argv, *map(str, tunnels)], stdin=subprocess.PIPE, pass_fds=tunnels, bufsize=0
    )
    stack.callback(process.wait)
    assert process.stdin is not None
    stack.callback(process.stdin.close)  # that is how it knows that we are gone


def _open_tunnel(namespace: int) -> int:
    """Make a device of raw packets in a namespace; only for a thread of its own."""
    _check(_libc.setns(namespace, _NEW_NETWORK))
    return tun_switch.open_tunnel("eth0")


def _new_namespace() -> int:
    """Return a descriptor of a new namespace; only for a thread of its own."""
    _check(_libc.unshare(_NEW_NETWORK))
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _apart(work: Callable[[], _T]) -> _T:
    """Do something in a thread that ends with it: a thread's namespace is its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def _check(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _port(host: Host) -> str:
    return f"to-{host.address.rpartition('.')[2]}"


def _lose(share: float) -> str:
    return f"numgen random mod 1000 < {round(share * 1000)} drop"


def devices_here() -> set[str]:
    """Return the network devices of the machine itself."""
    return {path.name for path in Path("/sys/class/net").iterdir()}
