"""What is to be done and what came of it: Command, Action, ActionResult as frozen values.

Encoded as in the Remote Execution API v2 (see reapi/remote_execution.proto), canonically: sorted
where the specification says sorted, deterministic bytes. Knows nothing of stores, workers or
compilers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message

from cyxmake_common.digest import Digest
from cyxmake_common.errors import ProtocolError
from cyxmake_common.reapi import remote_execution_pb2 as pb

_M = TypeVar("_M", bound=Message)

Properties = tuple[tuple[str, str], ...]
"""Platform properties: (name, value), sorted by name then value."""

TOOLCHAIN: Final = "cyxmake-toolchain"
"""Property: digest of the Directory that holds the toolchain, laid over the input root."""

ROOT: Final = "cyxmake-root"
"""Property: absolute path of the project at the client; cache keys hold a token in its place."""

WORKER: Final = "worker"
"""Property: one worker by name; the coordinator gives each its own, whatever it offers itself."""

OS_FAMILY: Final = "OSFamily"
ISA: Final = "ISA"


def properties(**values: str) -> Properties:
    """Return properties from keyword arguments, sorted."""
    return tuple(sorted(values.items()))


def to_pb_digest(digest: Digest) -> pb.Digest:
    """Return the wire form of a digest."""
    return pb.Digest(hash=digest.hash, size_bytes=digest.size)


def from_pb_digest(digest: pb.Digest) -> Digest:
    """Return the value of a wire digest; raises ProtocolError when it is not a valid one."""
    try:
        return Digest(digest.hash, digest.size_bytes)
    except ValueError as error:
        raise ProtocolError(str(error)) from error


def encode(message: Message) -> bytes:
    """Return the canonical bytes of a message."""
    return message.SerializeToString(deterministic=True)


def decode(kind: type[_M], data: bytes) -> _M:
    """Parse bytes as one kind of message; raises ProtocolError."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise ProtocolError(f"not a {kind.__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class Command:
    """One process to run: `working_directory` and `output_paths` as REAPI has them.

    The input root stands at `/`: arguments hold the client's absolute paths, the working directory
    is the client's without its leading slash, output paths are relative to the working directory.
    """

    arguments: tuple[str, ...]
    environment: Properties = ()
    output_paths: tuple[str, ...] = ()
    working_directory: str = ""

    def to_bytes(self) -> bytes:
        """Encode canonically: environment and outputs sorted, outputs without repetition."""
        return encode(
            pb.Command(
                arguments=self.arguments,
                environment_variables=[
                    pb.Command.EnvironmentVariable(name=n, value=v)
                    for n, v in sorted(self.environment)
                ],
                output_paths=sorted(set(self.output_paths)),
                working_directory=self.working_directory,
            )
        )

    @staticmethod
    def from_bytes(data: bytes) -> Command:
        """Decode; raises ProtocolError."""
        message = decode(pb.Command, data)
        outputs = message.output_paths or [*message.output_files, *message.output_directories]
        return Command(
            arguments=tuple(message.arguments),
            environment=tuple((e.name, e.value) for e in message.environment_variables),
            output_paths=tuple(outputs),
            working_directory=message.working_directory,
        )


@dataclass(frozen=True, slots=True)
class Action:
    """A command, the tree it runs in, what a worker must offer; `timeout` in seconds, 0 is none."""

    command: Digest
    input_root: Digest
    timeout: float = 0.0
    do_not_cache: bool = False
    platform: Properties = ()

    def property(self, name: str) -> str:
        """Return the value of a platform property, or the empty string."""
        return next((value for key, value in self.platform if key == name), "")

    def to_bytes(self) -> bytes:
        """Encode canonically."""
        message = pb.Action(
            command_digest=to_pb_digest(self.command),
            input_root_digest=to_pb_digest(self.input_root),
            do_not_cache=self.do_not_cache,
        )
        if self.platform:
            message.platform.properties.extend(
                pb.Platform.Property(name=n, value=v) for n, v in sorted(self.platform)
            )
        if self.timeout:
            nanos = round(self.timeout * 1e9)
            message.timeout.CopyFrom(Duration(seconds=nanos // 10**9, nanos=nanos % 10**9))
        return encode(message)

    @staticmethod
    def from_bytes(data: bytes) -> Action:
        """Decode; raises ProtocolError."""
        message = decode(pb.Action, data)
        return Action(
            command=from_pb_digest(message.command_digest),
            input_root=from_pb_digest(message.input_root_digest),
            timeout=message.timeout.seconds + message.timeout.nanos / 1e9,
            do_not_cache=message.do_not_cache,
            platform=tuple((p.name, p.value) for p in message.platform.properties),
        )


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One file that an action made; `path` is relative to the working directory."""

    path: str
    digest: Digest
    is_executable: bool = False


@dataclass(frozen=True, slots=True)
class OutputSymlink:
    """One symbolic link that an action made; `path` is relative to the working directory."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What an executed command left: exit code, output, files. A negative code is never stored.

    `stdout` and `stderr` are digests of blobs; `worker` names who ran it; `seconds` is the time the
    command itself took.
    """

    exit_code: int
    outputs: tuple[OutputFile, ...] = ()
    stdout: Digest | None = None
    stderr: Digest | None = None
    worker: str = ""
    seconds: float = 0.0
    symlinks: tuple[OutputSymlink, ...] = ()

    def blobs(self) -> frozenset[Digest]:
        """Return every blob that must exist for this result to be complete."""
        found = {output.digest for output in self.outputs}
        found.update(d for d in (self.stdout, self.stderr) if d is not None)
        return frozenset(found)

    def to_bytes(self) -> bytes:
        """Encode canonically."""
        message = pb.ActionResult(
            exit_code=self.exit_code,
            output_files=[
                pb.OutputFile(
                    path=o.path, digest=to_pb_digest(o.digest), is_executable=o.is_executable
                )
                for o in sorted(self.outputs, key=lambda o: o.path)
            ],
            output_symlinks=[
                pb.OutputSymlink(path=link.path, target=link.target)
                for link in sorted(self.symlinks, key=lambda link: link.path)
            ],
        )
        if self.stdout is not None:
            message.stdout_digest.CopyFrom(to_pb_digest(self.stdout))
        if self.stderr is not None:
            message.stderr_digest.CopyFrom(to_pb_digest(self.stderr))
        message.execution_metadata.worker = self.worker
        # The time is kept as the completion of an execution that started at the epoch: the result
        # says how long, never when, so that two runs of the same action can be compared.
        message.execution_metadata.execution_start_timestamp.FromNanoseconds(0)
        message.execution_metadata.execution_completed_timestamp.FromNanoseconds(
            max(0, round(self.seconds * 1e9))
        )
        return encode(message)

    @staticmethod
    def from_bytes(data: bytes) -> ActionResult:
        """Decode; raises ProtocolError."""
        message = decode(pb.ActionResult, data)
        meta = message.execution_metadata
        span = (
            meta.execution_completed_timestamp.ToNanoseconds()
            - meta.execution_start_timestamp.ToNanoseconds()
        )
        return ActionResult(
            exit_code=message.exit_code,
            outputs=tuple(
                OutputFile(o.path, from_pb_digest(o.digest), o.is_executable)
                for o in message.output_files
            ),
            stdout=from_pb_digest(message.stdout_digest)
            if message.HasField("stdout_digest")
            else None,
            stderr=from_pb_digest(message.stderr_digest)
            if message.HasField("stderr_digest")
            else None,
            worker=meta.worker,
            seconds=span / 1e9,
            symlinks=tuple(OutputSymlink(s.path, s.target) for s in message.output_symlinks),
        )


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory of an input root: its own entries, subdirectories by digest."""

    files: tuple[tuple[str, Digest, bool], ...] = field(default=())
    directories: tuple[tuple[str, Digest], ...] = field(default=())
    symlinks: tuple[tuple[str, str], ...] = field(default=())

    def to_bytes(self) -> bytes:
        """Encode canonically: entries sorted bytewise by name."""
        return encode(
            pb.Directory(
                files=[
                    pb.FileNode(name=n, digest=to_pb_digest(d), is_executable=x)
                    for n, d, x in sorted(self.files, key=lambda e: e[0].encode())
                ],
                directories=[
                    pb.DirectoryNode(name=n, digest=to_pb_digest(d))
                    for n, d in sorted(self.directories, key=lambda e: e[0].encode())
                ],
                symlinks=[
                    pb.SymlinkNode(name=n, target=t)
                    for n, t in sorted(self.symlinks, key=lambda e: e[0].encode())
                ],
            )
        )

    @staticmethod
    def from_bytes(data: bytes) -> Directory:
        """Decode; raises ProtocolError for bad digests and names that are not one path segment."""
        message = decode(pb.Directory, data)
        names = [f.name for f in message.files]
        names += [d.name for d in message.directories]
        names += [link.name for link in message.symlinks]
        if len(set(names)) != len(names):
            raise ProtocolError("a directory names an entry twice")
        for name in names:
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise ProtocolError(f"a directory entry is not one path segment: {name[:80]!r}")
        return Directory(
            files=tuple((f.name, from_pb_digest(f.digest), f.is_executable) for f in message.files),
            directories=tuple((d.name, from_pb_digest(d.digest)) for d in message.directories),
            symlinks=tuple((s.name, s.target) for s in message.symlinks),
        )
