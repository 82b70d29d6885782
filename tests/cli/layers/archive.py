"""An archive of packages made on the spot: real .deb files, and apt set up to know only them."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Archive:
    """A directory that apt takes packages from, and the variables that make it do so."""

    directory: Path
    config: Path

    @staticmethod
    def make(folder: Path) -> Archive:
        """Make an empty one; its apt has no network and no other source."""
        pool, state = folder / "pool", folder / "state"
        pool.mkdir(parents=True)
        for name in ("lists/partial", "cache/archives/partial", "etc"):
            (state / name).mkdir(parents=True)
        (state / "status").write_text("")
        sources = state / "etc" / "sources.list"
        sources.write_text(f"deb [trusted=yes] file:{pool} ./\n")
        config = folder / "apt.conf"
        config.write_text(
            f'Dir::State "{state}";\nDir::State::status "{state}/status";\n'
            f'Dir::State::Lists "{state}/lists";\nDir::Cache "{state}/cache";\n'
            f'Dir::Etc "{state}/etc";\nDir::Etc::sourcelist "{sources}";\n'
            'Dir::Etc::sourceparts "-";\nAPT::Sandbox::User "";\n'
        )
        return Archive(pool, config)

    def add(self, name: str, files: Mapping[str, str | bytes], depends: str = "") -> None:
        """Add a package with these files; a text that begins with `->` is a symbolic link."""
        tree = self.directory.parent / "trees" / name
        for path, content in files.items():
            place = tree / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str) and content.startswith("->"):
                place.symlink_to(content.removeprefix("->"))
            elif isinstance(content, str):
                place.write_text(content)
            else:
                place.write_bytes(content)
                place.chmod(0o755)
        control = tree / "DEBIAN" / "control"
        control.parent.mkdir(parents=True, exist_ok=True)
        control.write_text(
            f"Package: {name}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: nobody <n@x.test>\n"
            + (f"Depends: {depends}\n" if depends else "")
            + f"Description: {name} for a test\n"
        )
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", "-z1", tree, self.file(name)],
            check=True, capture_output=True,
        )  # fmt: skip

    def file(self, name: str) -> Path:
        """Return a package's file."""
        return self.directory / f"{name}_1.0-1_all.deb"

    def publish(self) -> None:
        """Write the list of packages, with their digests as they are now, and have apt read it."""
        entries = []
        for deb in sorted(self.directory.glob("*.deb")):
            fields = subprocess.run(
                ["dpkg-deb", "--field", deb], check=True, capture_output=True, text=True
            ).stdout
            data = deb.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            entries.append(f"{fields}Filename: ./{deb.name}\nSize: {len(data)}\nSHA256: {digest}\n")
        (self.directory / "Packages").write_text("\n".join(entries))
        subprocess.run(
            ["apt-get", "-q", "update"],
            check=True, capture_output=True, env={**os.environ, "APT_CONFIG": str(self.config)},
        )  # fmt: skip
