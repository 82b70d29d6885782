"""Who a compiler is: the digest of the tree of its files, remembered while none of them changes.

Knows nothing of clusters. A warm look-up only compares the state of each file, so that a build
with nothing to do pays nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgpack

from cyxmake_common.action import Properties
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.cas.tree_scan import TreeScanner
from cyxmake_common.digest import Digest
from cyxmake_common.toolchain.capture import CapturedToolchain, capture, unsuitable
from cyxmake_common.toolchain.compile_command import CompileCommand, CompilerKind
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.manifest import (
    MANIFEST_PATH,
    ToolchainManifest,
    language_name,
    relevant_search_flags,
)
from cyxmake_common.toolchain.portable import Portable
from cyxmake_common.toolchain.probe import CompilerProbe, ProbeFailed
from cyxmake_common.toolchain.smoke import FOLDER as SMOKE_FOLDER
from cyxmake_common.toolchain.smoke import SOURCES
from cyxmake_common.toolchain.stamps import Stamp, hops, stamp
from cyxmake_common.toolchain.twin import Twin
from cyxmake_common.toolchain.zig import CACHE_VARIABLES

_FORMAT: Final = 5
VARIABLES: Final = (
    "PATH",
    "HOME",
    "GCC_EXEC_PREFIX",
    "COMPILER_PATH",
    "LIBRARY_PATH",
    "LD_LIBRARY_PATH",
    "CLANG_NO_DEFAULT_CONFIG",
    "ZIG_LIB_DIR",
    "ZIG_LIBC",
)
"""Variables that choose other programs or configuration files."""

_PLACE_FLAGS: Final = ("--sysroot", "-isysroot", "--gcc-toolchain", "-gcc-toolchain")

Source = str | bytes
"""Where a blob's bytes are: a file's path, or the bytes themselves."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A compiler as a tree in the CAS: `id` is the digest of its root Directory.

    `directories` are the Directory blobs, the manifest and the sources of its test; `files` says
    where each file's bytes can be read; `path` is the PATH for the worker; `builtin_includes` holds
    for commands without search flags.
    """

    id: Digest
    kind: CompilerKind
    version: str
    target: str
    names: tuple[str, ...]
    directories: Mapping[Digest, bytes]
    files: Mapping[Digest, str]
    builtin_includes: Mapping[str, tuple[str, ...]]
    installations: tuple[str, ...] = ()
    path: str = ""
    locales: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """What every compile with it has in its environment, besides what a user's leads to."""
    around: tuple[str, ...] = ()
    """Paths, most of them absent, whose change would make it another toolchain."""
    portable: Portable | None = None
    """Set where workers of other kinds may use their own copy of the tool."""
    twin: Twin | None = None
    """Set where workers of other kinds may use a gcc of their own for the same target."""

    def __repr__(self) -> str:
        what = f"{self.kind.value} {self.version} {self.id.hash[:12]}"
        return f"<Toolchain {what} {len(self.files)} files>"

    def blobs(self) -> dict[Digest, Source]:
        """Return every blob of the tree, with where its bytes are."""
        return {**self.files, **self.directories}

    def elsewhere(self, argv: Sequence[str], environment: Properties) -> Properties:
        """Return what an action says, so that workers of other kinds may do a compile."""
        if self.portable is not None:
            return self.portable.properties(argv)
        return () if self.twin is None else self.twin.properties(argv, environment)

    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(digest.size for digest in self.files)


@dataclass(slots=True)
class _Record:
    """What is kept of one toolchain: the value, and the state of the machine it holds for.

    What has no stamp is absent; `absent` are directories that some search flags would look into.
    """

    toolchain: Toolchain
    stamps: dict[str, Stamp | None]
    absent: tuple[str, ...]
    variables: dict[str, str]
    searches: dict[str, tuple[str, ...]] = field(default_factory=dict)


class ToolchainStore:
    """Captured compilers, kept in a folder between builds."""

    def __init__(self, cache_dir: Path | str, environ: Mapping[str, str] = os.environ) -> None:
        self._folder = Path(cache_dir)
        self._environ = environ
        self._records: dict[str, _Record] = {}
        self._refused: dict[str, LocalOnly] = {}
        self._placed: dict[tuple[str, ...], tuple[str, ...] | LocalOnly] = {}

    def __repr__(self) -> str:
        return f"<ToolchainStore {self._folder} {len(self._records)} toolchains>"

    def get(self, compiler: str) -> Toolchain | LocalOnly:
        """Return the toolchain of a compiler's absolute path; captures it on first sight.

        What was returned once holds for the life of this store, which is one build.
        """
        record = self._records.get(compiler)
        if record is not None:
            return record.toolchain
        if (refusal := self._refused.get(compiler)) is not None:
            return refusal
        known = self._load(compiler)
        if known is not None and self._holds(known):
            found: _Record | LocalOnly = known
        else:
            found = self._capture(compiler, known)
        if isinstance(found, LocalOnly):
            self._refused[compiler] = found
            return found
        for name in (compiler, *found.toolchain.names):
            self._records[name] = found
        return found.toolchain

    def captured(self, toolchain: str) -> Toolchain | None:
        """Return a toolchain of an earlier build by its id, None when it is not kept."""
        name = f"{toolchain.partition('/')[0]}.toolchain"
        try:
            found = _decode((self._folder / name).read_bytes()).toolchain
        except (OSError, ValueError):
            return None
        return found if str(found.id) == toolchain else None

    def builtin_includes(
        self, compiler: str, command: CompileCommand, cwd: str
    ) -> tuple[str, ...] | LocalOnly:
        """Return the compiler's own include directories for a command with its search flags."""
        toolchain = self.get(compiler)
        if isinstance(toolchain, LocalOnly):
            return toolchain
        language = language_name(command)
        flags = relevant_search_flags(command, toolchain.target)
        if not flags:
            known = toolchain.builtin_includes.get(language)
            return known if known is not None else LocalOnly(f"{compiler} compiles no {language}")
        return self._search(compiler, language, flags, cwd)

    def _search(
        self, compiler: str, language: str, flags: tuple[str, ...], cwd: str
    ) -> tuple[str, ...] | LocalOnly:
        record = self._records[compiler]
        key = "\0".join((compiler, language, *flags))
        if key in record.searches:
            return record.searches[key]
        placed = (compiler, cwd, language, *flags)
        if placed in self._placed:
            return self._placed[placed]
        try:
            report = CompilerProbe(compiler, self._environ).search(language, flags, cwd)
        except ProbeFailed as error:
            return LocalOnly(f"its include directories are not known: {error}")
        # It is for its headers that clang looks for a gcc.
        known = "-nostdinc" in flags or set(report.installations) <= set(
            record.toolchain.installations
        )
        if not known:
            self._placed[placed] = LocalOnly("its flags choose another gcc installation")
        elif any(flag.startswith(_PLACE_FLAGS) for flag in flags):
            # The answer depends on files elsewhere: it is kept for this build only.
            self._placed[placed] = report.includes
        else:
            record.searches[key] = report.includes
            record.absent = tuple(dict.fromkeys((*record.absent, *report.missing)))
            self._save(record)
            return report.includes
        return self._placed[placed]

    def _capture(self, compiler: str, before: _Record | None) -> _Record | LocalOnly:
        try:
            captured = capture(compiler, environ=self._environ)
            if isinstance(captured, LocalOnly):
                return captured
            record = _build(captured, self._variables(), _unchanged(before))
        except OSError as error:
            return LocalOnly(f"{compiler} can't be read: {error}")
        self._save(record)
        return record

    def _variables(self) -> dict[str, str]:
        return {name: self._environ.get(name, "") for name in VARIABLES}

    # ── the folder ──────────────────────────────────────────────────────────────────────────────

    def _load(self, compiler: str) -> _Record | None:
        try:
            alias = self._folder / _alias(compiler)
            record = _decode((self._folder / alias.read_text()).read_bytes())
        except (OSError, ValueError):
            return None
        return record if unsuitable(compiler, self._environ) is None else None

    def _holds(self, record: _Record) -> bool:
        """Tell whether nothing that a record stands on has changed."""
        return (
            record.variables == self._variables()
            and all(stamp(path) == before for path, before in record.stamps.items())
            and not any(os.path.lexists(path) for path in record.absent)
        )

    def _save(self, record: _Record) -> None:
        """Keep a record; without a folder to write to, the next build captures again."""
        name = f"{record.toolchain.id.hash}.toolchain"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _replace(self._folder / name, _encode(record))
            for compiler in record.toolchain.names:
                _replace(self._folder / _alias(compiler), name.encode())
        except OSError:
            return


def _build(
    captured: CapturedToolchain, variables: dict[str, str], known: Mapping[str, Digest]
) -> _Record:
    """Hash the files into a tree, but those whose digests are known; raises OSError."""
    tree = InputTree()
    files: dict[Digest, str] = {}

    def digest_file(path: str) -> Digest:
        digest = known.get(path) or Digest.of_file(path)
        files[digest] = path
        return digest

    scanner = TreeScanner(tree, digest_file)
    before = {path: stamp(path) for path in _watched(captured)}
    for path in captured.files:
        scanner.add_path(path)
    manifest = ToolchainManifest(
        captured.kind,
        captured.version,
        captured.target,
        captured.path,
        captured.builtin_includes,
        captured.smoke,
        captured.variables,
        captured.portable,
        captured.twin,
    ).to_bytes()
    own = {MANIFEST_PATH: manifest}
    own |= {f"{SMOKE_FOLDER}/{name}": text for name, text in SOURCES.values()}
    for path, data in own.items():
        tree.add_file(path, Digest.of(data))
    root, directories = tree.build()
    toolchain = Toolchain(
        id=root,
        kind=captured.kind,
        version=captured.version,
        target=captured.target,
        names=captured.names,
        directories={**directories, **{Digest.of(data): data for data in own.values()}},
        files=files,
        builtin_includes=captured.builtin_includes,
        installations=captured.installations,
        path=captured.path,
        locales=captured.locales,
        variables=tuple(pair for pair in captured.variables if pair in CACHE_VARIABLES),
        around=captured.around,
        portable=captured.portable,
        twin=captured.twin,
    )
    return _Record(toolchain, before, (), variables)


def _watched(captured: CapturedToolchain) -> list[str]:
    """Return every path whose change makes the capture out of date: files, links, whole folders."""
    paths: dict[str, None] = dict.fromkeys((*captured.watched, *captured.around))
    for path in captured.files:
        paths[path] = None
        paths.update(dict.fromkeys((*hops(path), os.path.realpath(path))))
    return list(paths)


def _unchanged(record: _Record | None) -> dict[str, Digest]:
    """Return the digests of a record's files that are as they were."""
    if record is None:
        return {}
    return {
        path: digest
        for digest, path in record.toolchain.files.items()
        if (before := record.stamps.get(path)) is not None and before == stamp(path)
    }


def _alias(compiler: str) -> str:
    return hashlib.sha256(os.fsencode(compiler)).hexdigest()[:32] + ".compiler"


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _encode(record: _Record) -> bytes:
    toolchain = record.toolchain
    data: bytes = msgpack.packb(
        {
            "format": _FORMAT,
            "id": str(toolchain.id),
            "kind": toolchain.kind.value,
            "texts": (toolchain.version, toolchain.target, toolchain.path),
            "names": toolchain.names,
            "installations": toolchain.installations,
            "locales": toolchain.locales,
            "around": toolchain.around,
            "constant": toolchain.variables,
            "portable": toolchain.portable.to_fields() if toolchain.portable else None,
            "twin": toolchain.twin.to_fields() if toolchain.twin else None,
            "directories": [(str(d), data) for d, data in toolchain.directories.items()],
            "files": [(str(d), path) for d, path in toolchain.files.items()],
            "builtin": dict(toolchain.builtin_includes),
            "stamps": record.stamps,
            "absent": record.absent,
            "variables": record.variables,
            "searches": record.searches,
        },
        unicode_errors="surrogateescape",
    )
    return data


def _decode(data: bytes) -> _Record:
    """Return a record; raises ValueError for bytes that are not one of this format."""
    try:
        raw = msgpack.unpackb(data, use_list=False, unicode_errors="surrogateescape")
        if raw["format"] != _FORMAT:
            raise ValueError("another format")
        version, target, path = raw["texts"]
        toolchain = Toolchain(
            id=Digest.parse(raw["id"]),
            kind=CompilerKind(raw["kind"]),
            version=version,
            target=target,
            names=raw["names"],
            directories={Digest.parse(d): blob for d, blob in raw["directories"]},
            files={Digest.parse(d): name for d, name in raw["files"]},
            builtin_includes=raw["builtin"],
            installations=raw["installations"],
            path=path,
            locales=raw["locales"],
            around=raw["around"],
            variables=raw["constant"],
            portable=Portable.from_fields(raw["portable"]) if raw["portable"] else None,
            twin=Twin.from_fields(raw["twin"]) if raw["twin"] else None,
        )
        return _Record(
            toolchain, raw["stamps"], raw["absent"], raw["variables"], dict(raw["searches"])
        )
    except (KeyError, TypeError, AttributeError, msgpack.UnpackException) as error:
        raise ValueError(f"not a toolchain record: {error}") from error
