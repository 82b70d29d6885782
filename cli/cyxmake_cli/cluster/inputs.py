"""Puts sources and headers of a build into one growing input root.

Knows nothing of connections. All units that miss the cache at about the same time share one root,
so a worker materialises it once for all of them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cyxmake_cli.cluster.batches import Asked, Batches
from cyxmake_cli.cluster.healing import Missed, places
from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_cli.strategies.places import refuse_own_places
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.cas.tree_scan import TreeScanner
from cyxmake_common.digest import Digest
from cyxmake_common.includes.closure import IncludeClosure
from cyxmake_common.includes.time_macros import may_read_clock, names_time
from cyxmake_common.toolchain.local import LocalOnly

Source = str | bytes
"""Where the bytes of a blob are: a file's path, or the bytes themselves."""


@dataclass(frozen=True, slots=True)
class InputRoot:
    """A sealed input root: its digest, and where each of its blobs can be read."""

    digest: Digest
    blobs: dict[Digest, Source]


@dataclass(frozen=True, slots=True)
class UnitInputs:
    """The root a unit runs in, and the digests of the files that this unit may read."""

    root: InputRoot
    files: tuple[tuple[str, Digest], ...]


Wanted = tuple[CompileUnit, Missed | None]
"""A unit, and what a worker did not find."""


class InputRoots:
    """Collects units, hands out roots."""

    def __init__(
        self, closures: IncludeClosure, digests: FileDigests, toolchains: Toolchains
    ) -> None:
        self._closures = closures
        self._digests = digests
        self._toolchains = toolchains
        self._tree = InputTree()
        self._paths: dict[Digest, Source] = {}
        self._scanner = TreeScanner(self._tree, self._digest)
        self._batches: Batches[Wanted, UnitInputs | LocalOnly]
        self._batches = Batches(self._serve, growing=True)
        self._outdated = False
        self._moment = self._digests.moment()
        self._laid: dict[str, tuple[str, Digest]] = {}
        """What the shared tree got since `_moment`: units of one batch share most files."""
        self._places: dict[str, str] = {}
        """By hash, one path that has had such bytes."""
        self._alike: set[str] = set()
        """Paths that have had the bytes of another."""

    async def prepare(
        self, unit: CompileUnit, missing: Missed | None = None
    ) -> UnitInputs | LocalOnly:
        """Return a root that holds everything the unit may read, or why that cannot be known.

        `missing` is what a worker did not find: without a file of that name that was not sent
        before there is no answer. Raises OSError for a source that cannot be read.
        """
        return await self._batches.ask((unit, missing))

    def exact(self, units: Sequence[CompileUnit]) -> InputRoot | None:
        """Return a root for these units and nothing else: always the same for the same files.

        None where that is unsure. Raises OSError and ValueError.
        """
        tree, laid = InputTree(), dict[str, tuple[str, Digest]]()
        self._moment = self._digests.moment()
        scanner = TreeScanner(tree, self._digest)
        if any(isinstance(self._add(u, tree, scanner, laid), LocalOnly) for u in units):
            return None
        digest, directories = tree.build()
        return InputRoot(digest, {**self._paths, **directories})

    def unchanged(self, inputs: UnitInputs) -> bool:
        """Tell whether every file of a unit still is what was sent."""
        return self._digests.unchanged(inputs.files)

    def forget(self, path: str) -> None:
        """Drop what is remembered of a file that an edge has written."""
        self._closures.forget(path)
        self._digests.forget(path)
        self._laid.pop(path, None)

    def refresh(self) -> None:
        """A command of any kind ran: it may have made more than the outputs it promised."""
        self._outdated = True

    async def _serve(self, batch: Sequence[Asked[Wanted, UnitInputs | LocalOnly]]) -> None:
        self._moment, self._laid = self._digests.moment(), {}
        if self._outdated:
            self._closures.refresh()
            if not self._scanner.is_current():
                # What is gone would be found where it stands before what is searched next.
                self._tree = InputTree()
                self._scanner = TreeScanner(self._tree, self._digest)
            self._outdated = False
        added = []
        for asked in batch:
            unit, missing = asked.question
            try:
                if missing is not None:
                    asked.answer(self._heal(unit, missing))
                    continue
                files = self._add(unit, self._tree, self._scanner, self._laid)
            except Exception as error:  # handed to the unit that it belongs to
                asked.answer(error)
            else:
                if isinstance(files, LocalOnly):
                    asked.answer(files)
                else:
                    added.append((asked, files))
            await asyncio.sleep(0)  # scanning is quick but not free: let messages through
        if added:
            digest, directories = self._tree.build()
            root = InputRoot(digest, {**self._paths, **directories})
            for asked, files in added:
                asked.answer(UnitInputs(root, tuple(files)))

    def _heal(self, unit: CompileUnit, missing: Missed) -> UnitInputs | LocalOnly:
        """Return a root for one unit alone, with what it asked for in vain.

        In the shared root other units would find it too, unseen: no cache entry of theirs would
        name it.
        """
        tree = InputTree()
        files = self._add(unit, tree, TreeScanner(tree, self._digest), {}, missing)
        if isinstance(files, LocalOnly):
            return files
        digest, directories = tree.build()
        return UnitInputs(InputRoot(digest, {**self._paths, **directories}), tuple(files))

    def _add(
        self,
        unit: CompileUnit,
        tree: InputTree,
        scanner: TreeScanner,
        laid: dict[str, tuple[str, Digest]],
        missing: Missed | None = None,
    ) -> list[tuple[str, Digest]] | LocalOnly:
        builtin = self._toolchains.builtin_includes(unit.compiler, unit.command, unit.directory)
        if isinstance(builtin, LocalOnly):
            return builtin
        command, environment = unit.command, unit.environment
        closure = self._closures.closure(command, unit.directory, builtin, environment)
        if missing is not None:
            found = set(places(missing, unit, builtin)) - closure.files
            if not found:
                return LocalOnly(f"{missing.name} is missing here too")
            # To the closure they are what a command line includes: read, with all they include.
            forced = (*command.forced_includes, *sorted(found))
            command = replace(command, forced_includes=forced)
            closure = self._closures.closure(command, unit.directory, builtin, environment)
        if closure.precompiled:
            return LocalOnly("uses a precompiled header that can't be sent")
        if closure.unresolved:
            return LocalOnly("includes a file whose name is computed")
        own = refuse_own_places(closure.files)
        if own is not None:
            return own
        if names_time(unit.command) or may_read_clock(
            unit.command,
            unit.environment,
            time=closure.uses_time,
            timestamp=closure.uses_timestamp,
        ):
            return LocalOnly("may read the clock")  # a worker's clock and time zone are others
        if closure.offloads and unit.command.may_offload:
            return LocalOnly("names code for other devices by the inode of its file")
        fresh = self._digested(closure.files.difference(laid))
        files = [laid.get(path) or fresh[path] for path in closure.files]
        if not self._alike.isdisjoint(closure.files) and self._has_twins(files):
            return LocalOnly("has the same header twice")
        scanner.add_directory(unit.directory)
        for name, value in unit.environment:
            if name == "PWD":
                scanner.add_directory(value)
        for path in closure.directories:
            scanner.add_directory(path)
        for path in fresh:
            scanner.add_path(path)
        laid |= fresh
        for path, data in unit.provided:
            digest = Digest.of(data)
            self._paths[digest] = data
            tree.add_file(path, digest)
        return files

    def _digested(self, paths: Iterable[str]) -> dict[str, tuple[str, Digest]]:
        """Return files with their digests, and note which of them are alike; raises OSError."""
        digest_of, moment = self._digests.digest, self._moment
        found = {path: (path, digest_of(path, moment)) for path in paths}
        for path, digest in found.values():
            other = self._places.setdefault(digest.hash, path)
            if other != path:
                self._alike.update((other, path))
        return found

    def _has_twins(self, files: Sequence[tuple[str, Digest]]) -> bool:
        """Tell whether two headers may count as one here or on a worker, but not on both.

        gcc takes those with `#pragma once` for one if their bytes and times are the same; files of
        a worker have other times. clang takes hard links for one; a worker has copies.
        """
        seen: dict[Digest, str] = {}
        identity = self._closures.files.identity
        return any(
            (other := seen.setdefault(digest, path)) != path
            and (
                os.path.realpath(path) != os.path.realpath(other)
                if identity(path) == identity(other)
                else self._closures.scan(path).once
            )
            for path, digest in files
        )

    def _digest(self, path: str) -> Digest:
        digest = self._digests.digest(path, self._moment)
        self._paths[digest] = path
        return digest
