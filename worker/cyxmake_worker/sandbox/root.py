"""Lays what a command sees as `/`: layers, devices, parts of the host, a place to write.

Knows nothing of what is run there. Part of the spawner: standard library only.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from typing import Final

from cyxmake_worker.sandbox import kernel
from cyxmake_worker.sandbox.requests import Request, Setup, attempt

if sys.platform != "linux":
    raise ImportError("namespaces exist on Linux only")

_DEVICES: Final = ("null", "zero", "full", "random", "urandom")


def prepare_devices(path: str) -> None:
    """Make the one /dev that all commands see."""
    os.makedirs(path, mode=0o755, exist_ok=True)  # noqa: PTH103 - pathlib would slow every fork
    kernel.mount("tmpfs", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, "mode=0755,size=64k")
    for name in _DEVICES:
        os.close(os.open(f"{path}/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
        kernel.mount(f"/dev/{name}", f"{path}/{name}", "", kernel.MS_BIND)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink("/proc/self/fd" + target, f"{path}/{name}")  # noqa: PTH211
    os.mkdir(f"{path}/shm")  # noqa: PTH102
    kernel.mount(
        "none",
        path,
        "",
        kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NOEXEC,
    )


def lay_root(setup: Setup, request: Request) -> None:
    """Mount the overlay and what stands on it, and make it the root of everything we see."""
    os.chdir(request["scratch"])
    arranged = request["arranged"]
    layers = [setup["base"] + "/skeleton", *request["layers"]]
    if arranged is not None and arranged["skeleton"]:
        layers.insert(0, arranged["skeleton"])
    names = [_plain_name(index, layer) for index, layer in enumerate(layers)]
    _make_plain_parents(request)
    # `volatile`: else the unmount would flush the whole file system to disk.
    options = f"lowerdir={':'.join(names)},upperdir=upper,workdir=work,volatile"
    if setup["user_namespace"]:
        options += ",userxattr"
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    # Everybody mounts at the same place: each of us sees only its own mounts.
    root = setup["base"] + "/root"
    attempt("overlay", lambda: kernel.mount("overlay", root, "overlay", flags, options))
    os.chdir(root)
    devices, recursive = setup["base"] + "/dev", kernel.MS_BIND | kernel.MS_REC
    attempt("bind dev", lambda: kernel.mount(devices, "dev", "", recursive))
    attempt("shm", lambda: kernel.mount("tmpfs", "dev/shm", "tmpfs", flags, "mode=1777,size=1g"))
    for path in arranged["shown"] if arranged is not None else ():
        attempt("show", lambda: kernel.mount(path, path[1:], "", recursive))  # noqa: B023
        attempt("seal", lambda: kernel.seal(path[1:]))  # noqa: B023
    with contextlib.suppress(OSError):
        # Read-only: kernel settings belong to user 0, which a command of a root worker may be.
        # Refused inside containers that mask parts of /proc; most tools can do without.
        kernel.mount("proc", "proc", "proc", flags | kernel.MS_NOEXEC | kernel.MS_RDONLY)
    attempt("pivot", kernel.pivot)


def _plain_name(index: int, layer: str) -> str:
    """Return a name for a layer that means nothing in mount options; our own paths are relative."""
    if not set(":,\\") & set(layer):
        return layer
    name = f"layer{index}"
    os.symlink(layer, name)  # noqa: PTH211
    return name


def _make_plain_parents(request: Request) -> None:
    """Make the output directories in the upper layer, as far as no symbolic link is on the way.

    The same could be done inside the overlay, which takes a quarter of a millisecond per level to
    copy a directory up. What is behind a link is left for `_make_places`, which sees the links.
    """
    made: set[str] = set()
    for output in ["", *(os.path.split(path)[0] for path in request["outputs"])]:
        prefix = ""
        for name in f"{request['cwd']}/{output}".split("/"):
            if name in ("", "."):
                continue
            prefix += "/" + name
            if prefix in made:
                continue
            if name == ".." or not _is_plain(prefix, request["layers"]):
                break
            with contextlib.suppress(FileExistsError):
                os.mkdir("upper" + prefix)  # noqa: PTH102
                # The command may be another user than we are.
                os.chmod("upper" + prefix, 0o777)  # noqa: PTH101, S103
            made.add(prefix)


def _is_plain(path: str, layers: list[str]) -> bool:
    """Tell whether a path is a directory in the layers or nothing yet."""
    for layer in layers:
        with contextlib.suppress(FileNotFoundError):
            return stat.S_ISDIR(os.lstat(layer + path).st_mode)
    return True
