"""Sources of real projects: Debian source packages, fetched by name and kept outside of the tree.

Knows nothing of how they are built.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import platformdirs

_APT = Path("/etc/apt")
_AS_PUBLISHED = ("lua5.4", "redis")
"""Debian's patches rewrite their makefiles for packaging."""


class SourceUnavailable(Exception):
    """A source package cannot be had on this machine."""


def source_package(package: str) -> Path:
    """Return the unpacked sources of a Debian package; raises SourceUnavailable."""
    named = os.environ.get("CYXMAKE_CORPORA")
    base = Path(named) if named else platformdirs.user_cache_path("cyxmake-tests") / "corpora"
    target = base / package
    if not target.is_dir():
        try:
            _fetch(package, base, target)
        except (OSError, subprocess.SubprocessError) as error:
            told = getattr(error, "stderr", b"") or b""
            raise SourceUnavailable(f"{package}: {error} {told.decode()[-500:]}") from error
    return target


def package_version(sources: Path) -> str:
    """Return the version of unpacked sources, as their changelog has it."""
    match = re.match(r"\S+ \(([^)]+)\)", (sources / "debian/changelog").read_text("utf-8"))
    return match.group(1) if match else "?"


def _fetch(package: str, base: Path, target: Path) -> None:
    apt, unpack = shutil.which("apt-get"), shutil.which("dpkg-source")
    if apt is None or unpack is None:
        raise OSError("needs apt-get and dpkg-source")
    state = base / "apt"
    (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    sources = state / "sources.list"
    sources.write_text(source_entries(_APT))
    options = [
        "-q", "-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=-",
        "-o", f"Dir::State::Lists={state / 'lists'}", "-o", "APT::Sandbox::User=root",
    ]  # fmt: skip
    if not any((state / "lists").glob("*Sources*")):
        _run([apt, *options, "update"], base)
    download = base / f"{package}.download"
    shutil.rmtree(download, ignore_errors=True)
    download.mkdir()
    try:
        _run([apt, *options, "source", "--download-only", package], download)
    except subprocess.CalledProcessError:
        # A mirror may list a security update that it does not hold: take what came before it.
        _fetch_older(package, [apt, *options], _versions(package, options, base), download)
    description = next(download.glob("*.dsc"), None)
    if description is None:
        raise OSError("apt brought no sources of it")
    patches = ["--skip-patches"] if package in _AS_PUBLISHED else []
    _run([unpack, "-q", "--no-check", *patches, "-x", str(description), str(target)], base)
    shutil.rmtree(download)


def _fetch_older(package: str, apt: list[str], versions: list[str], download: Path) -> None:
    """Download the first of these versions that is there; raises what the last attempt raised."""
    for number, version in enumerate(versions, 1):
        try:
            _run([*apt, "source", "--download-only", f"{package}={version}"], download)
            return
        except subprocess.CalledProcessError:
            if number == len(versions):
                raise


def _versions(package: str, options: list[str], directory: Path) -> list[str]:
    told = _run(["apt-cache", *options, "showsrc", package], directory)
    return re.findall(r"^Version: (\S+)$", told, re.MULTILINE)


def _run(argv: list[str], directory: Path) -> str:
    done = subprocess.run(
        argv, cwd=directory, check=True, capture_output=True, timeout=300,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip
    return done.stdout.decode("utf-8", "replace")


def source_entries(apt: Path) -> str:
    """Return deb-src entries for the package sources that this machine already uses."""
    entries = []
    for file in sorted((apt / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", file.read_text()):
            fields = dict(re.findall(r"^([\w-]+): *(.*)$", stanza, re.MULTILINE))
            if "deb" in fields.get("Types", "").split():
                options = f"[signed-by={fields['Signed-By']}] " if "Signed-By" in fields else ""
                for uri in fields["URIs"].split():
                    for suite in fields["Suites"].split():
                        entries.append(f"deb-src {options}{uri} {suite} {fields['Components']}")
    listed = apt / "sources.list"
    if listed.exists():
        entries += re.sub(r"^deb ", "deb-src ", listed.read_text(), flags=re.MULTILINE).splitlines()
    return "\n".join(line for line in entries if line.startswith("deb-src")) + "\n"
