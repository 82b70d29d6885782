"""A file system in memory for the include closure: absolute paths to bytes, symlinks, directories.

Counts what is asked, so that tests can say what is not asked twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from cyxmake_common.includes.files import Identity


class FakeFiles:
    """A FileSystem; `files` may be changed between calls."""

    def __init__(self, files: Mapping[str, bytes | str], links: Mapping[str, str] = {}) -> None:
        self.files = {
            path: text.encode() if isinstance(text, str) else text for path, text in files.items()
        }
        self.links = dict(links)
        self.reads: list[str] = []

    def is_file(self, path: str) -> bool:
        """Tell whether a file is there, links and dots followed."""
        return self._real(path) in self.files

    def is_directory(self, path: str) -> bool:
        """Tell whether any file is below."""
        real = self._real(path)
        return real is not None and any(
            name.startswith(f"{real.rstrip('/')}/") for name in (*self.files, *self.links)
        )

    def read_link(self, path: str) -> str | None:
        """Return a link's target."""
        folder, _, name = path.rpartition("/")
        return self.links.get(f"{self._real(folder) or ''}/{name}")

    def identity(self, path: str) -> Identity | None:
        """Return a state made of path and content."""
        real = self._real(path)
        if real is None or not (self.is_file(path) or self.is_directory(path)):
            return None
        return Identity(1, hash(real), hash(self.files.get(real)), 0)

    def read(self, path: str) -> tuple[bytes, Identity]:
        """Return a file's bytes; raises OSError."""
        real, identity = self._real(path), self.identity(path)
        if real is None or identity is None or real not in self.files:
            raise FileNotFoundError(path)
        self.reads.append(path)
        return self.files[real], identity

    def _real(self, path: str) -> str | None:
        done: list[str] = []
        rest = path.split("/")[::-1]
        for _ in range(200):
            if not rest:
                return "/" + "/".join(done)
            part = rest.pop()
            here = "/" + "/".join([*done, part])
            if part in ("", "."):
                continue
            if part == "..":
                if not self._exists("/" + "/".join(done)):
                    return None
                del done[-1:]
            elif here in self.links:
                target = self.links[here]
                if target.startswith("/"):
                    done.clear()
                rest.extend(reversed(target.split("/")))
            else:
                done.append(part)
        return None

    def _exists(self, folder: str) -> bool:
        return any(name.startswith(f"{folder}/") for name in (*self.files, *self.links))
