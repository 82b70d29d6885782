"""A switch in user space: carries IP packets between tunnel devices, each after some time.

Knows nothing of namespaces: the devices come as open descriptors. Run as
`tun_switch.py DELAY JITTER DESCRIPTOR...` (seconds); host N, from 1, has an address that ends in N.
It ends with its standard input.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time
from itertools import count
from typing import Final

_SET_INTERFACE: Final = 0x400454CA
_RAW_PACKETS: Final = 0x0001 | 0x1000  # IFF_TUN | IFF_NO_PI
_VERSION_4: Final = 4
_LAST_OF_TARGET: Final = 19
_AT_ONCE: Final = 64
_WAITING: Final = 10_000


def open_tunnel(name: str) -> int:
    """Return a descriptor of a new device in the calling thread's namespace."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    wish = struct.pack("16sH22s", name.encode(), _RAW_PACKETS, b"")
    fcntl.ioctl(descriptor, _SET_INTERFACE, wish)
    return descriptor


class Switch:
    """Packets under way, by the time at which they arrive."""

    def __init__(self, tunnels: list[int], delay: float, jitter: float) -> None:
        self._tunnels = tunnels
        self._delay = delay
        self._jitter = jitter
        self._random = random.Random(1)
        self._order = count()
        self._latest: dict[tuple[int, int], float] = {}
        self._waiting: list[tuple[float, int, int, bytes]] = []

    def patience(self) -> float:
        """Return for how long nothing is to be done; negative for ever."""
        if not self._waiting:
            return -1
        return max(0.0, self._waiting[0][0] - time.monotonic())

    def take(self, source: int) -> None:
        """Read what a host has sent."""
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(source, 65_536)
            except BlockingIOError:
                return
            self._forward(source, packet)

    def _forward(self, source: int, packet: bytes) -> None:
        if packet[0] >> 4 != _VERSION_4 or len(self._waiting) >= _WAITING:
            return
        number = packet[_LAST_OF_TARGET] - 1
        if not 0 <= number < len(self._tunnels):
            return
        target = self._tunnels[number]
        due = time.monotonic() + self._delay + self._random.random() * self._jitter
        # A link keeps the order, however late it is.
        due = self._latest[source, target] = max(due, self._latest.get((source, target), 0.0))
        heapq.heappush(self._waiting, (due, next(self._order), target, packet))

    def deliver(self) -> None:
        """Hand over what has arrived."""
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, target, packet = heapq.heappop(self._waiting)
            with contextlib.suppress(OSError):  # as a full device loses packets
                os.write(target, packet)


def main() -> None:
    """Carry packets until standard input ends."""
    tunnels = [int(word) for word in sys.argv[3:]]
    switch = Switch(tunnels, float(sys.argv[1]), float(sys.argv[2]))
    poll = select.epoll()
    poll.register(0, select.EPOLLIN)
    for tunnel in tunnels:
        poll.register(tunnel, select.EPOLLIN)
    while True:
        for descriptor, _ in poll.poll(switch.patience()):
            if descriptor == 0:
                return
            switch.take(descriptor)
        switch.deliver()


if __name__ == "__main__":
    main()
