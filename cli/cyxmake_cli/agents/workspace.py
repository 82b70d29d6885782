"""The files that agents may touch: those below one directory, reached through no symbolic link.

Knows nothing of agents. Each folder of a path is opened by itself, without following links: what
somebody exchanges for a link meanwhile leads nowhere, either.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cyxmake_common.errors import Denied, ProjectError

MOST_BYTES: Final = 4 << 20
_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Workspace:
    """One directory and what is below it."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))

    def __repr__(self) -> str:
        return f"<Workspace {self.root}>"

    def name(self, path: str) -> str:
        """Return a path as it is called here, relative; raises Denied for one outside."""
        plain = os.path.normpath(os.path.join(self.root, path))  # noqa: PTH118 - pure text
        if "\0" in path or not plain.startswith(f"{self.root}{os.sep}"):
            raise Denied(f"{path} is outside of {self.root}")
        return os.path.relpath(plain, self.root)

    def read(self, path: str) -> bytes:
        """Return the bytes of a file; raises Denied, ProjectError."""
        name = self.name(path)
        with self._folder_of(name) as (folder, last), _told(name):
            descriptor = os.open(last, os.O_RDONLY | _FILE, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ProjectError(f"{name} has more than {MOST_BYTES >> 20} MB")
        return data

    def write(self, path: str, data: bytes) -> None:
        """Write a file in place of what was there; makes its folders. Raises as `read` does."""
        name = self.name(path)
        with self._folder_of(name, make=True) as (folder, last), _told(name):
            mode = 0o666
            with suppress(FileNotFoundError):
                found = os.stat(last, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISLNK(found.st_mode):
                    raise Denied(f"{name} is a symbolic link")
                mode = found.st_mode & 0o777
            scratch = f".{last}.{os.getpid()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE
            descriptor = os.open(scratch, flags, mode, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                os.replace(scratch, last, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(scratch, dir_fd=folder)
                raise

    @contextmanager
    def _folder_of(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder of a file step by step; yields it and the file's own name."""
        *parents, last = Path(name).parts
        folder = os.open(self.root, _FOLDER)
        try:
            for part in parents:
                with _told(name):
                    if make:
                        with suppress(FileExistsError):
                            os.mkdir(part, dir_fd=folder)
                    inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder, last
        finally:
            os.close(folder)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn the errors of the system into ours."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Denied(f"{name} leads through a symbolic link or a file") from error
        raise ProjectError(f"{name}: {error.strerror}") from error
