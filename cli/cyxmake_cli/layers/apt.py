"""Asks Debian's apt which packages a layer takes, and has it fetch them; needs no root.

Knows nothing of directories of layers. apt works out what is missing here in a simulation, checks
the archive's signatures and the hashes of what it fetches; the hashes are compared once more by
whoever unpacks. Lists of packages that are missing or old here are fetched into a place of ours.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from cyxmake_cli.layers.model import LayerError, LayerPlan, Package
from cyxmake_common.execution.process import ProcessRequest, ProcessResult, run_process

_TIMEOUT: Final = 600
_CHUNK: Final = 64
"""Packages that are asked for in one command."""

_INSTALLED: Final = re.compile(
    r"^Inst (?P<name>[^\s:]+)(?::[\w-]+)? (?:\[[^\]]*\] )?"
    r"\((?P<version>\S+) .*\[(?P<arch>[\w-]+)\]\)"
)
_NEVER: Final = re.compile(
    r"(?:libc6(?:-.*)?|libc-.*|libgcc-s1|libgcc-\d+-dev|libstdc\+\+.*|linux-.*|ld-.*"
    r"|(?:gcc|g\+\+|cpp|clang|binutils|libbinutils|gfortran|rustc|golang|dpkg|apt)(?:[-\d].*)?"
    r"|python3(?:\.\d+)?(?:-minimal|-dev)?|perl(?:-base)?|systemd.*|init.*)\Z"
)
"""What no layer can stand in for: the C library, compilers, interpreters, the system itself."""
_EXACT: Final = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?::\w+)? \(= (?P<version>[^)]+)\)")
_PROCESSORS: Final = {
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "i686": "i386", "ppc64le": "ppc64el",
}  # fmt: skip
_UNKNOWN: Final = re.compile(r"^E: (?:Unable to locate package|Package '?)\s*([^\s']+)", re.M)


class StaleLists(LayerError):
    """The lists of packages on this machine are missing, or older than the archive."""

    code = "stale_lists"


class Apt:
    """apt of this machine, as an ordinary user; `state` is a directory for lists of our own."""

    name: Final = "apt"

    def __init__(self, state: Path) -> None:
        self._state = state
        self._options: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Apt {'lists of our own' if self._options else 'lists of the system'}>"

    def plan(self, wanted: Sequence[str]) -> LayerPlan:
        """Return what a layer with some packages takes; raises LayerError."""
        self._require()
        try:
            return self._plan(wanted)
        except StaleLists:
            if self._options:
                raise
            self._refresh()
            return self._plan(wanted)

    def lacking(self, plan: LayerPlan) -> tuple[Package, ...]:
        """Return what a layer that was made elsewhere needs beside its packages on this machine.

        Nothing where apt does not know: whoever asks has a layer that is right by its record.
        """
        known = {package.name for package in plan.packages}
        try:
            chosen = [each for each in self._simulate(plan.wanted) if each[0] not in known]
            _refuse_system(chosen)
            return tuple(sorted(package for package, _ in self._described(chosen).values()))
        except LayerError:
            return ()

    def fetch(self, packages: Sequence[Package], folder: Path) -> dict[Package, Path]:
        """Fetch packages into an empty folder; raises LayerError.

        apt has checked them; the caller compares digests all the same.
        """
        self._require()
        try:
            self._download(packages, folder)
        except StaleLists:
            if self._options:
                raise
            self._refresh()
            self._download(packages, folder)
        files: dict[Package, Path] = {}
        for package in packages:
            # As apt names them: an epoch's colon is escaped.
            version = package.version.replace(":", "%3a")
            path = folder / f"{package.name}_{version}_{package.architecture}.deb"
            if not path.is_file():
                raise LayerError(f"apt did not bring {package.name} {package.version}")
            files[package] = path
        return files

    # ── asking ──────────────────────────────────────────────────────────────────────────────────

    def _plan(self, wanted: Sequence[str]) -> LayerPlan:
        chosen = self._simulate(wanted)
        if not chosen:
            names = ", ".join(wanted)
            raise LayerError(
                f"{names}: installed already, so a layer would be empty",
                next_step="what is missing lies elsewhere",
            )
        _refuse_system(chosen)
        found = self._described(chosen)
        # A library of the same source may be here, installed; its files belong beside the others.
        exact = {
            (match["name"], match["version"])
            for _, fields in found.values()
            for match in _EXACT.finditer(fields.get("Depends", ""))
            if match["name"] not in found and not _NEVER.match(match["name"])
        }
        if exact:
            # One of several alternatives need not exist.
            found |= self._described([(n, version, "") for n, version in exact], all_of_them=False)
        essential = [name for name, (_, fields) in found.items() if fields.get("Essential")]
        if essential:
            raise _belongs_to_system(essential)
        packages = tuple(sorted(package for package, _ in found.values()))
        return LayerPlan(self.name, this_system(), tuple(sorted(wanted)), packages)

    def _simulate(self, wanted: Sequence[str]) -> list[tuple[str, str, str]]:
        """Return name, version and architecture of what an installation would bring."""
        done = self._run(
            "apt-get", "--simulate", "--no-install-recommends", "-o", "Debug::NoLocking=true",
            "-o", "APT::Get::Show-User-Simulation-Note=false", "install", *wanted,
        )  # fmt: skip
        if not done.succeeded:
            said = _text(done)
            if unknown := _UNKNOWN.findall(said):
                raise StaleLists(
                    f"apt knows no package {', '.join(unknown)}",
                    next_step="check its name; `cyxmake packages search NAME` may know a like one",
                )
            raise LayerError(f"apt sees no way to have {', '.join(wanted)}: {_last_error(said)}")
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        matches = filter(None, map(_INSTALLED.match, lines))
        return [(match["name"], match["version"], match["arch"]) for match in matches]

    def _described(
        self, chosen: Iterable[tuple[str, str, str]], *, all_of_them: bool = True
    ) -> dict[str, tuple[Package, dict[str, str]]]:
        """Return packages with their digests, and all that the archive says of them, by name."""
        specs = [self._spec(*each) for each in chosen]
        found: dict[str, tuple[Package, dict[str, str]]] = {}
        for start in range(0, len(specs), _CHUNK):
            done = self._run("apt-cache", "show", *specs[start : start + _CHUNK])
            for fields in stanzas(done.stdout.decode("utf-8", "replace")):
                # What is installed is described as well, without a file in the archive.
                if "SHA256" in fields and "Filename" in fields:
                    package = Package.of(
                        {
                            "name": fields.get("Package"),
                            "version": fields.get("Version"),
                            "architecture": fields.get("Architecture"),
                            "sha256": fields["SHA256"].lower(),
                            "size": fields.get("Size", "0"),
                            "installed_size": int(fields.get("Installed-Size", "0")) * 1024,
                        }
                    )
                    found.setdefault(package.name, (package, fields))
        missing = [spec for spec in specs if re.split("[:=]", spec)[0] not in found]
        if missing and all_of_them:
            raise StaleLists(
                f"the archive has no {', '.join(missing)}", next_step="run `apt-get update`"
            )
        return found

    def _spec(self, name: str, version: str, architecture: str) -> str:
        """Return how apt is told of one package in one version."""
        foreign = architecture not in ("", "all", native())
        return f"{name}:{architecture}={version}" if foreign else f"{name}={version}"

    # ── fetching ────────────────────────────────────────────────────────────────────────────────

    def _download(self, packages: Sequence[Package], folder: Path) -> None:
        specs = [self._spec(p.name, p.version, p.architecture) for p in packages]
        done = self._run("apt-get", "download", *specs, cwd=folder)
        if not done.succeeded:
            raise StaleLists(
                f"the packages cannot be fetched: {_last_error(_text(done))}",
                next_step="check the network and `apt-get update`",
            )

    def _refresh(self) -> None:
        """Fetch the lists anew, into a place of our own; raises LayerError."""
        (self._state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (self._state / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        self._options = (
            "-o", f"Dir::State::Lists={self._state / 'lists'}",
            "-o", f"Dir::Cache={self._state / 'cache'}",
        )  # fmt: skip
        done = self._run("apt-get", "-q", "update")
        if not done.succeeded:
            raise LayerError(
                f"the lists of packages cannot be fetched: {_last_error(_text(done))}",
                next_step="check the network and the sources in /etc/apt",
            )

    def _require(self) -> None:
        missing = [p for p in ("apt-get", "apt-cache", "dpkg-deb") if shutil.which(p) is None]
        if missing:
            raise LayerError(
                f"layers are made of packages of Debian and Ubuntu, and {missing[0]} is not here",
                next_step="install what is missing with the system's own package manager",
            )

    def _run(self, program: str, *arguments: str, cwd: Path | None = None) -> ProcessResult:
        options = self._options
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # Root would hand the folder to a user of apt's own, who may not be able to write there.
            options = (*options, "-o", "APT::Sandbox::User=root")
        environ = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        argv = (program, *options, *arguments)
        request = ProcessRequest(argv, cwd=cwd, environment=environ, timeout=_TIMEOUT)
        try:
            return asyncio.run(run_process(request))
        except OSError as error:
            raise LayerError(f"{program} cannot be run: {error.strerror}") from error


def this_system() -> str:
    """Return the release and processor of this machine: `debian-bookworm-amd64`."""
    return f"{release()}-{native()}"


def native() -> str:
    """Return how Debian calls this machine's processor."""
    machine = platform.machine()
    return _PROCESSORS.get(machine, machine)


def release(os_release: Path = Path("/etc/os-release")) -> str:
    """Return name and release of this system: `debian-bookworm`."""
    try:
        text = os_release.read_text("utf-8")
    except OSError:
        text = ""
    fields = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE))
    name = fields.get("VERSION_CODENAME") or fields.get("VERSION_ID") or "unknown"
    return f"{fields.get('ID', 'unknown')}-{name}"


def stanzas(text: str) -> list[dict[str, str]]:
    """Read what `apt-cache show` prints: fields of one line each, by name."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+):[ \t]*(.*)$", block, re.MULTILINE))
        if fields:
            found.append(fields)
    return found


def _refuse_system(chosen: Iterable[tuple[str, str, str]]) -> None:
    if refused := [name for name, _, _ in chosen if _NEVER.match(name)]:
        raise _belongs_to_system(refused)


def _belongs_to_system(names: Sequence[str]) -> LayerError:
    return LayerError(
        f"this takes {', '.join(names)}, which no layer can stand in for",
        next_step="install it for the whole system: `cyxmake packages install NAME`",
    )


def _text(done: ProcessResult) -> str:
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _last_error(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("E: ") for line in lines if line.startswith("E:")]
    return errors[0] if errors else (lines[-1] if lines else "it does not say why")
