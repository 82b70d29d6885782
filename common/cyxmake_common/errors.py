"""What can go wrong on our side, each with a code, an exit status and a next step.

A failed tool is no exception: it is a value (see outcome). These exceptions are for failures of
CyxMake itself, of its configuration, or of the network.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitStatus(IntEnum):
    """Exit codes of the command lines."""

    OK = 0
    BUILD_FAILED = 1
    USAGE = 2
    CONFIG = 3
    CLUSTER_UNREACHABLE = 4
    DENIED = 5
    INTERNAL = 70
    CANCELLED = 130


class CyxError(Exception):
    """A failure of ours: says what failed and why; `next_step` says what a person can do."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.INTERNAL
    # A class sets these; an error that came over the network carries its own.
    code: str = "internal"
    retryable: bool = False

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} ({self.next_step})" if self.next_step else self.message


class UsageError(CyxError):
    """The command line asks for something that does not exist or does not fit together."""

    code = "usage"
    exit_status = ExitStatus.USAGE


class ConfigError(CyxError):
    """A configuration file, environment variable or data directory cannot be used."""

    code = "config"
    exit_status = ExitStatus.CONFIG


class ProjectError(CyxError):
    """The project cannot be configured, or its build description cannot be read."""

    code = "project"
    exit_status = ExitStatus.BUILD_FAILED


class ClusterUnreachable(CyxError):
    """No coordinator answers at the address."""

    code = "cluster-unreachable"
    exit_status = ExitStatus.CLUSTER_UNREACHABLE
    retryable = True


class Denied(CyxError):
    """The token is unknown, expired, revoked, or its role may not do this."""

    code = "denied"
    exit_status = ExitStatus.DENIED


class CertificateMismatch(Denied):
    """The coordinator's certificate authority is not the one that the token pins."""

    code = "certificate-mismatch"


class ProtocolError(CyxError):
    """The peer broke the protocol; the connection is closed."""

    code = "protocol"


class MessageTooLarge(ProtocolError):
    """A frame is larger than the limit agreed in WELCOME."""

    code = "message-too-large"


class VersionMismatch(ProtocolError):
    """The two programs share no protocol version."""

    code = "version-mismatch"


class ConnectionLost(CyxError):
    """The connection ended before the answer came."""

    code = "connection-lost"
    retryable = True


class TransfersFull(ConnectionLost):
    """Too many transfers at once; the caller comes back."""

    code = "busy"


class BlobMissing(CyxError):
    """A blob is not in the store."""

    code = "blob-missing"
    retryable = True


class DigestMismatch(CyxError):
    """Bytes do not have the digest they were announced with."""

    code = "digest-mismatch"


class StoreFull(CyxError):
    """A store cannot take a blob: its size limit is taken by pinned blobs, or the disk is full."""

    code = "store-full"
    retryable = True


class SandboxError(CyxError):
    """An action's sandbox could not be set up; the action itself was never started."""

    code = "sandbox"
    retryable = True
