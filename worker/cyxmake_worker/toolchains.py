"""The compilers that stand on this machine: told to the coordinator, and used to fill the store.

Knows nothing of leases. A toolchain is its content: when an action needs one whose files are here,
they are copied into the store, verified, in place of fetching them over the network.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from cyxmake_common.cas.store import CHUNK_BYTES, BlobStore, write_all
from cyxmake_common.clock import monotonic
from cyxmake_common.digest import Digest
from cyxmake_common.errors import DigestMismatch, StoreFull
from cyxmake_common.protocol.messages import MAX_NAME, ToolchainFacts
from cyxmake_common.toolchain.identity import Toolchain, ToolchainStore
from cyxmake_common.toolchain.local import LocalOnly

NAMES: Final = ("gcc", "g++", "cc", "c++", "clang", "clang++")
_CROSS: Final = re.compile(r"[\w-]+-linux-(?:gnu|musl)\w*-(?:gcc|g\+\+)(?:-\d+)?", re.ASCII)
_THREADS: Final = 2
_log = structlog.get_logger(__name__)


class LocalToolchains:
    """What was found on this machine, by content."""

    def __init__(self, found: Iterable[Toolchain] = ()) -> None:
        self._found = {toolchain.id: toolchain for toolchain in found}
        self._seeding = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<LocalToolchains {list(self._found.values())}>"

    def __iter__(self) -> Iterator[Toolchain]:
        """Return what was found."""
        return iter(self._found.values())

    def __contains__(self, root: Digest) -> bool:
        """Tell whether a tree is a compiler of this machine, which needs no network to return."""
        return root in self._found

    def facts(self) -> tuple[ToolchainFacts, ...]:
        """Return what HELLO says of them."""
        return tuple(
            ToolchainFacts(
                id=toolchain.id,
                kind=toolchain.kind.value,
                version=toolchain.version[:MAX_NAME],
                target=toolchain.target[:MAX_NAME],
            )
            for toolchain in self._found.values()
        )

    async def seed(self, root: Digest, store: BlobStore) -> None:
        """Put the blobs of a toolchain that stands here into a store; others are left alone.

        A file that changed since it was captured is left out: the network has the right one.
        """
        toolchain = self._found.get(root)
        if toolchain is None:
            return
        async with self._seeding:  # the first actions of a build come all at once
            await self._seed(toolchain, store)

    async def _seed(self, toolchain: Toolchain, store: BlobStore) -> None:
        started = monotonic()
        missing = await store.find_missing(tuple(toolchain.blobs()))
        for digest in missing:
            with suppress(DigestMismatch, StoreFull, OSError):
                if digest in toolchain.directories:
                    await write_all(store, toolchain.directories[digest], digest)
                else:
                    await copy_file(Path(toolchain.files[digest]), digest, store)
        if missing:
            seconds = round(monotonic() - started, 3)
            _log.info("toolchain-seeded", toolchain=repr(toolchain), seconds=seconds)


async def find_toolchains(
    cache_dir: Path,
    environ: Mapping[str, str] = os.environ,
    names: Iterable[str] | None = None,
) -> LocalToolchains:
    """Identify the compilers in PATH, cross compilers for Linux among them.

    Quick when nothing changed since the last time.
    """
    search = environ.get("PATH", "")
    if names is None:
        names = (*NAMES, *_cross_compilers(search))
    paths = {path for name in names if (path := shutil.which(name, path=search)) is not None}
    store = ToolchainStore(cache_dir, environ)
    loop = asyncio.get_running_loop()
    # Compilers that are one file need one capture: the store finds the second by its other names.
    reals: dict[str, list[str]] = {}
    for path in sorted(paths):
        reals.setdefault(os.path.realpath(path), []).append(path)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="probe") as pool:
        groups = [loop.run_in_executor(pool, _identify, store, group) for group in reals.values()]
        found = [toolchain for group in await asyncio.gather(*groups) for toolchain in group]
    return LocalToolchains(found)


def _cross_compilers(search: str) -> set[str]:
    """Return the names in a PATH that are those of gcc with the machine that it compiles for."""
    names: set[str] = set()
    for folder in filter(None, search.split(os.pathsep)):
        with suppress(OSError), os.scandir(folder) as entries:
            names.update(entry.name for entry in entries if _CROSS.fullmatch(entry.name))
    return names


def _identify(store: ToolchainStore, paths: Iterable[str]) -> list[Toolchain]:
    found: list[Toolchain] = []
    for path in paths:
        toolchain = store.get(path)
        if isinstance(toolchain, LocalOnly):
            _log.debug("compiler-not-offered", path=path, reason=str(toolchain))
        else:
            found.append(toolchain)
    return found


async def copy_file(path: Path, digest: Digest, store: BlobStore) -> None:
    """Copy a file into a store; its writer checks the bytes."""
    writer = await store.open_writer(digest)
    try:
        async for chunk in _chunks(path):
            await writer.write(chunk)
    except BaseException:
        await writer.abort()
        raise
    await writer.commit()


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb", buffering=0) as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
