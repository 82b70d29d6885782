"""What people put where a package manager empties a directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cyxmake_cli.building.by_hand import kept_by_hand


def _write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def _files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_symlink() or p.is_file()}


def test_what_npm_did_not_bring_outlives_it(tmp_path: Path) -> None:
    """Its own packages go as it wants; files, programs and links by hand are there again."""
    modules, aside = tmp_path / "node_modules", tmp_path / ".cyxmake/node_modules"
    theirs = ("old/index.js", ".bin/old", "@s/old/a.js", "both/old.js")
    ours = ("mine/index.js", "@s/mine/b.js", ".bin/mine", "notes.txt", ".cache/x")
    _write(modules, *theirs, *ours)
    (modules / "linked").symlink_to(tmp_path)
    packages = {"node_modules/old": {"bin": {"old": "x"}}, "node_modules/@s/old": {},
                "node_modules/both": {}}  # fmt: skip
    (modules / ".package-lock.json").write_text(json.dumps({"packages": packages}))
    with kept_by_hand(modules, aside):
        shutil.rmtree(modules)
        _write(modules, "new/index.js", "both/new.js")
    assert _files(modules) == {*ours, "linked", "new/index.js", "both/new.js"}
    assert not aside.exists()


def test_what_a_killed_command_left_aside_goes_back(tmp_path: Path) -> None:
    """The next one puts it back first; what stands there by then is not written over."""
    modules, aside = tmp_path / "node_modules", tmp_path / "aside"
    _write(modules, "mine/a.js")
    with pytest.raises(KeyboardInterrupt), kept_by_hand(modules, aside):
        raise KeyboardInterrupt
    assert _files(modules) == {"mine/a.js"}
    _write(aside / "7", "@s/lost/b.js", "mine/other.js")
    with kept_by_hand(modules, aside):
        pass
    assert _files(modules) == {"mine/a.js", "@s/lost/b.js"}
    assert _files(aside) == {"7/mine/other.js"}
