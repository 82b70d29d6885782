"""Package managers as a table of verbs: what to run to search, check, install, remove, list files.

Knows only words. Names are checked before they become words of a command: nothing that a manager
could take for an option or an address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cyxmake_common.errors import UsageError

_NAME: Final = re.compile(r"@?[A-Za-z0-9][\w.+~-]*(?:[/:][\w.+~-]+)*(?:(?:==|@|=|/)[\w.+~^-]+)?\Z")


@dataclass(frozen=True, slots=True)
class PackageManager:
    """One package manager. `{names}` becomes all names, `{name}` one; None: it cannot do that.

    `found` is looked for in what `exists` prints ({name} is filled in); without it the exit status
    counts. `system`: it installs for everybody, and needs the rights for that.
    """

    name: str
    program: str
    install: tuple[str, ...]
    exists: tuple[str, ...]
    remove: tuple[str, ...] | None = None
    search: tuple[str, ...] | None = None
    files: tuple[str, ...] | None = None
    found: str = ""
    system: bool = False
    platforms: tuple[str, ...] = ("linux", "darwin", "win32")


def _row(
    program: str,
    install: str,
    exists: str,
    remove: str = "",
    search: str = "",
    files: str = "",
    *,
    name: str = "",
    found: str = "",
    system: bool = False,
    platforms: str = "linux darwin win32",
) -> PackageManager:
    return PackageManager(
        name or program, program, tuple(install.split()), tuple(exists.split()),
        tuple(remove.split()) or None, tuple(search.split()) or None, tuple(files.split()) or None,
        found, system, tuple(platforms.split()),
    )  # fmt: skip


MANAGERS: Final[dict[str, PackageManager]] = {
    row.name: row
    for row in (
        _row("apt-get", "apt-get install -y --no-install-recommends {names}",
             "apt-cache show --no-all-versions {name}", "apt-get remove -y {names}",
             "apt-cache search --names-only {name}", "dpkg -L {name}",
             name="apt", system=True, platforms="linux"),
        _row("dnf", "dnf install -y {names}", "dnf -q info {name}", "dnf remove -y {names}",
             "dnf -q search {name}", "dnf -q repoquery --list {name}", system=True,
             platforms="linux"),
        _row("yum", "yum install -y {names}", "yum -q info {name}", "yum remove -y {names}",
             "yum -q search {name}", "rpm -ql {name}", system=True, platforms="linux"),
        _row("pacman", "pacman -S --noconfirm --needed {names}", "pacman -Si {name}",
             "pacman -R --noconfirm {names}", "pacman -Ss {name}", "pacman -Ql {name}",
             system=True, platforms="linux"),
        _row("zypper", "zypper --non-interactive install {names}",
             "zypper --non-interactive search --match-exact {name}",
             "zypper --non-interactive remove {names}", "zypper --non-interactive search {name}",
             "rpm -ql {name}", system=True, platforms="linux"),
        _row("apk", "apk add {names}", "apk search --exact {name}", "apk del {names}",
             "apk search {name}", "apk info -L {name}", found=r"^{name}-\d", system=True,
             platforms="linux"),
        _row("brew", "brew install {names}", "brew info --formula {name}", "brew uninstall {names}",
             "brew search {name}", "brew list {name}", platforms="linux darwin"),
        _row("port", "port -N install {names}", "port info --name {name}",
             "port -N uninstall {names}", "port search {name}", "port contents {name}",
             found=r"\b{name}\b", system=True, platforms="darwin"),
        _row("vcpkg", "vcpkg install {names}", "vcpkg search {name}", "vcpkg remove {names}",
             "vcpkg search {name}", found=r"^{name}\s"),
        _row("conan", "conan install --requires={name}", "conan search {name} -r *",
             "conan remove -c {name}", "conan search {name} -r *", found=r"^\s*{name}(/|$)"),
        _row("npm", "npm install {names}", "npm view {name} name", "npm uninstall {names}",
             "npm search --parseable {name}"),
        _row("yarn", "yarn add {names}", "yarn info {name} name", "yarn remove {names}"),
        _row("pnpm", "pnpm add {names}", "pnpm view {name} name", "pnpm remove {names}",
             "pnpm search {name}"),
        _row("python3", "python3 -m pip install {names}",
             "python3 -m pip index versions {name}", "python3 -m pip uninstall -y {names}",
             "", "python3 -m pip show --files {name}", name="pip"),
        _row("uv", "uv pip install {names}", "uv pip install --dry-run --no-deps {name}",
             "uv pip uninstall {names}", "", "uv pip show --files {name}"),
        _row("cargo", "cargo install {names}", "cargo info --quiet {name}",
             "cargo uninstall {names}", "cargo search --limit 20 {name}"),
        _row("go", "go install {name}@latest", "go list -m {name}@latest"),
        _row("choco", "choco install -y {names}", "choco search --exact --limit-output {name}",
             "choco uninstall -y {names}", "choco search --limit-output {name}",
             found=r"(?i)^{name}\|", system=True, platforms="win32"),
        _row("winget",
             "winget install --exact --silent --accept-package-agreements "
             "--accept-source-agreements --id {name}",
             "winget show --exact --accept-source-agreements --id {name}",
             "winget uninstall --exact --silent --id {name}",
             "winget search --accept-source-agreements {name}", platforms="win32"),
        _row("scoop", "scoop install {names}", "scoop info {name}", "scoop uninstall {names}",
             "scoop search {name}", found=r"(?m)^Name\s*:", platforms="win32"),
    )
}  # fmt: skip
"""Every package manager, those that belong to an operating system first."""


def checked(name: str) -> str:
    """Return a package's name; raises UsageError for what is none."""
    if _NAME.match(name) is None or ".." in name:
        raise UsageError(
            f"{name!r} is no name of a package", next_step="write it as a manager does"
        )
    return name


def argvs(words: tuple[str, ...], names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the commands of a verb for some packages: one, or one for each."""
    names = tuple(map(checked, names))
    if "{names}" in words:
        at = words.index("{names}")
        return ((*words[:at], *names, *words[at + 1 :]),)
    return tuple(tuple(word.replace("{name}", name) for word in words) for name in names)


def says_it_exists(manager: PackageManager, name: str, output: str, exit_code: int) -> bool:
    """Tell from the answer of `exists` whether there is such a package."""
    if not manager.found:
        return exit_code == 0
    pattern = manager.found.replace("{name}", re.escape(name))
    return re.search(pattern, output, re.MULTILINE) is not None
