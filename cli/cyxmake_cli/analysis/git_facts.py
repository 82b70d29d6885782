"""The state of a repository's version control: branch, commit, what differs, where it comes from.

Knows git only. Passwords in addresses are left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from cyxmake_cli.analysis.model import Json
from cyxmake_cli.git import git, in_repository


def git_facts(root: Path) -> Json | None:
    """Return the facts, None outside of a repository."""
    if not in_repository(root):
        return None
    status = git(root, "status", "--porcelain=v2", "--branch", "--untracked-files=normal")
    if status is None:
        return None
    head: dict[str, str] = {}
    changed = untracked = 0
    for line in status.decode("utf-8", "replace").splitlines():
        if line.startswith("# "):
            name, _, value = line[2:].partition(" ")
            head[name] = value
        elif line.startswith("? "):
            untracked += 1
        else:
            changed += 1
    commit = head.get("branch.oid", "")
    ahead = re.match(r"\+(\d+) -(\d+)", head.get("branch.ab", ""))
    config = git(root, "config", "--get-regexp", r"^remote\..*\.url$") or b""
    remotes = {}
    for line in config.decode("utf-8", "replace").splitlines():
        key, _, url = line.partition(" ")
        remotes[key.removeprefix("remote.").removesuffix(".url")] = re.sub(r"//[^/@]*@", "//", url)
    return {
        "branch": None if head.get("branch.head") == "(detached)" else head.get("branch.head"),
        "commit": None if commit == "(initial)" else commit,
        "changed": changed,
        "untracked": untracked,
        "ahead": int(ahead[1]) if ahead else None,
        "behind": int(ahead[2]) if ahead else None,
        "remotes": remotes,
        "submodules": (root / ".gitmodules").is_file(),
    }
