"""Reads and writes `.ninja_deps`: the headers that each compile was seen to read.

Knows nothing of depfiles; callers bring nodes.

After a 16-byte header come records: a 4-byte size whose high bit marks the kind, then either a
path (padded to 4 bytes, then the inverted id as a check) that gets the next id, or the ids of an
output and its inputs with the output's mtime. Later records win.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cyxmake_cli.ninja.disk import Appender, Disk
from cyxmake_cli.ninja.graph import Node, State
from cyxmake_cli.ninja.paths import decode, encode

_HEADER: Final = b"# ninjadeps\n" + struct.pack("<i", 4)
_MAX_RECORD: Final = (1 << 19) - 1
_IS_DEPS: Final = 0x80000000
_COMPACT_ABOVE: Final = 1000
_COMPACT_RATIO: Final = 3


class Deps(NamedTuple):
    """The inputs one output was seen to have, and the output's mtime then."""

    mtime: int
    ids: tuple[int, ...]


class DepsLog:
    """All records of one build directory's log, and the file they are appended to."""

    def __init__(self, disk: Disk, path: str) -> None:
        self.nodes: list[Node] = []
        self.warning = ""
        self._deps: dict[int, Deps] = {}
        self._disk = disk
        self._path = path
        self._file: Appender | None = None
        self._writable = False
        self._size = 0
        self._valid_bytes = 0
        self._needs_compaction = False

    def __repr__(self) -> str:
        return f"DepsLog({self._path}, {len(self._deps)} outputs, {len(self.nodes)} paths)"

    @classmethod
    def load(cls, disk: Disk, path: str, state: State) -> DepsLog:
        """Read a log into a state; what is torn or of another version is left; raises OSError."""
        log = cls(disk, path)
        try:
            data = disk.read(path)
        except FileNotFoundError:
            return log
        log._size = len(data)
        if not data.startswith(_HEADER):
            if data:
                log.warning = "bad deps log signature or version; starting over"
            return log
        log._valid_bytes, total = log._parse(data, state)
        if log._valid_bytes < len(data):
            log.warning = "premature end of deps log; recovering"
        log._needs_compaction = total > _COMPACT_ABOVE and total > len(log._deps) * _COMPACT_RATIO
        return log

    def _parse(self, data: bytes, state: State) -> tuple[int, int]:
        """Return up to where the data made sense, and the number of dependency records."""
        position, end, total = len(_HEADER), len(data), 0
        while position + 4 <= end:
            word = int.from_bytes(data[position : position + 4], "little")
            size = word & ~_IS_DEPS
            start, following = position + 4, position + 4 + size
            if size > _MAX_RECORD or size % 4 or following > end:
                break
            if word & _IS_DEPS:
                if size < 12 or not self._add_deps(data, start, size):
                    break
                total += 1
            elif size < 5 or not self._add_path(data[start:following], state):
                break
            position = following
        return position, total

    def _add_deps(self, data: bytes, start: int, size: int) -> bool:
        out, mtime, *ids = struct.unpack_from(f"<iq{size // 4 - 3}i", data, start)
        if not (0 <= out < len(self.nodes)) or (ids and max(ids) >= len(self.nodes)):
            return False
        if ids and min(ids) < 0:
            return False
        self._deps[out] = Deps(mtime, tuple(ids))
        return True

    def _add_path(self, record: bytes, state: State) -> bool:
        number = len(self.nodes)
        if int.from_bytes(record[-4:], "little") ^ 0xFFFFFFFF != number:
            return False  # two programs wrote at once: what follows cannot be trusted
        padded = record[:-4]
        path = padded[:-3] + padded[-3:].rstrip(b"\0")
        node = state.node(decode(path))
        if node.deps_id >= 0:
            return False
        node.deps_id = number
        self.nodes.append(node)
        return True

    def get(self, node: Node) -> Deps | None:
        """Return the record of an output."""
        return self._deps.get(node.deps_id)

    def inputs(self, deps: Deps) -> list[Node]:
        """Return the nodes that a record names."""
        return list(map(self.nodes.__getitem__, deps.ids))

    def first_user(self, node: Node) -> Node | None:
        """Return the first output whose record names the node."""
        for out, deps in sorted(self._deps.items()):
            if node.deps_id in deps.ids:
                return self.nodes[out]
        return None

    def open_for_write(self, is_live: Callable[[Node], bool]) -> None:
        """Allow recording; cut a torn tail, rewrite a log of old records; raises OSError."""
        self._writable = True
        if self._needs_compaction:
            self.compact(is_live)
        elif self._valid_bytes < self._size:
            self._disk.truncate(self._path, self._valid_bytes)
            self._size = self._valid_bytes

    def record(self, node: Node, mtime: int, inputs: Sequence[Node]) -> None:
        """Remember an output's inputs; writes nothing that the log says already."""
        chunks = [self._id_record(known) for known in (node, *inputs) if known.deps_id < 0]
        deps = Deps(mtime, tuple([known.deps_id for known in inputs]))
        if not chunks and self._deps.get(node.deps_id) == deps:
            return
        self._deps[node.deps_id] = deps
        size = 4 * (3 + len(deps.ids))
        if size > _MAX_RECORD:
            raise OSError(f"{node.path}: too many dependencies for {self._path}")
        layout = f"<Iiq{len(deps.ids)}i"
        chunks.append(struct.pack(layout, size | _IS_DEPS, node.deps_id, mtime, *deps.ids))
        if self._writable:
            self._open().write(b"".join(chunks))

    def _id_record(self, node: Node) -> bytes:
        if node.deps_id >= 0:
            return b""  # named twice in one call
        path = encode(node.path)
        padded = path + b"\0" * (-len(path) % 4)
        if len(padded) + 4 > _MAX_RECORD:
            raise OSError(f"path too long for {self._path}")
        node.deps_id = len(self.nodes)
        self.nodes.append(node)
        check = node.deps_id ^ 0xFFFFFFFF
        return struct.pack("<I", len(padded) + 4) + padded + struct.pack("<I", check)

    def close(self) -> None:
        """Close the file; it exists afterwards even when nothing was recorded."""
        if self._writable:
            self._open().close()
            self._file = None
            self._writable = False

    def compact(self, is_live: Callable[[Node], bool]) -> None:
        """Rewrite the file with the last record of each output that still has dependencies."""
        if self._file is not None:
            self._file.close()
            self._file = None
        fresh = DepsLog(self._disk, f"{self._path}.recompact")
        self._disk.write(fresh._path, b"")
        fresh._writable = True
        kept = [
            (self.nodes[out], deps.mtime, self.inputs(deps))
            for out, deps in sorted(self._deps.items())
            if is_live(self.nodes[out])
        ]
        for node in self.nodes:
            node.deps_id = -1
        for node, mtime, inputs in kept:
            fresh.record(node, mtime, inputs)
        fresh.close()
        self._disk.replace(fresh._path, self._path)
        self._deps, self.nodes = fresh._deps, fresh.nodes
        self._needs_compaction = False
        self._size = -1

    def _open(self) -> Appender:
        if self._file is None:
            self._file = self._disk.append(self._path)
            if self._size == 0:
                self._file.write(_HEADER)
                self._size = -1
        return self._file
