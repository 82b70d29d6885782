"""The system calls that make a Linux sandbox, as plain functions that raise OSError.

Knows nothing of requests or of what the calls are for. Imported by the spawner: standard library
only, and every function is looked up when this module is loaded, since a lookup in each fork
would cost more than the call.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

if sys.platform != "linux":
    raise ImportError("namespaces exist on Linux only")

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_REMOUNT: Final = 32
MS_BIND: Final = 4096
MS_MOVE: Final = 8192
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18
_MNT_DETACH: Final = 2

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38

_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "loongarch64": 41}.get(
    os.uname().machine
)

_MOUNT_SETATTR: Final = 442
_AT_RECURSIVE: Final = 0x8000
_ATTR_SEALED: Final = 1 | 2 | 4
"""Read-only, no set-user-id, no devices."""

_libc: Final = ctypes.CDLL(None, use_errno=True)
_capset = _libc.capset
_mount = _libc.mount
_prctl = _libc.prctl
_setns = _libc.setns
_syscall = _libc.syscall
_umount = _libc.umount2
_unshare = _libc.unshare
_mount.argtypes = (*[ctypes.c_char_p] * 3, ctypes.c_ulong, ctypes.c_char_p)
_prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
_NO_CAPABILITIES: Final = (ctypes.c_uint32 * 6)()
_CAPABILITY_HEADER: Final = (ctypes.c_uint32 * 2)(0x20080522, 0)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _check(_unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Enter a namespace that is held open."""
    _check(_setns(descriptor, kind), "setns")


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process."""
    _check(_prctl(option, value, 0, 0, 0), "prctl")


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """Mount something."""
    names = [os.fsencode(text) for text in (source, target, kind)]
    _check(_mount(*names, flags, data.encode() or None), target)


def seal(target: str) -> None:
    """Make a bind mount read-only, with all that is mounted below it where the kernel can."""
    attributes = (ctypes.c_uint64 * 4)(_ATTR_SEALED, 0, 0, 0)
    done = _syscall(
        ctypes.c_long(_MOUNT_SETATTR),
        ctypes.c_int(-100),
        os.fsencode(target),
        ctypes.c_uint(_AT_RECURSIVE),
        attributes,
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    if done != 0:  # before Linux 5.12
        flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV
        mount("none", target, "", flags)


def pivot() -> None:
    """Make the working directory, a mount point, the root; the old root is gone."""
    if _PIVOT_ROOT is None:
        mount(".", "/", "", MS_MOVE)
        os.chroot(".")
    else:
        # Old and new root end up on the same mount point, then the old one is taken away.
        _check(_syscall(ctypes.c_long(_PIVOT_ROOT), b".", b"."), "pivot_root")
        _check(_umount(b".", _MNT_DETACH), "umount")
    os.chdir("/")


def empty_bounding_set() -> None:
    """Make sure that no program started from here on can gain a capability; ours stay."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last capability that this kernel knows


def drop_capabilities() -> None:
    """Give up every capability, now and for whatever is executed later."""
    _check(_capset(_CAPABILITY_HEADER, _NO_CAPABILITIES), "capset")
    prctl(PR_SET_NO_NEW_PRIVS, 1)
