"""A Meson build directory that is to be configured anew for other layers."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from cyxmake_cli.layers.meson import forget, options_before


def _meson(*words: str) -> str:
    return subprocess.run(["meson", *words], check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(shutil.which("meson") is None, reason="not installed: meson")
def test_it_forgets_what_was_found_and_keeps_what_people_wrote(tmp_path: Path) -> None:
    """Options are those of before but for the new ones; files by hand and products stay."""
    build, machine = tmp_path / "build", tmp_path / "machine.ini"
    (tmp_path / "meson.build").write_text(
        "project('p', meson_version : '>= 0.50')\nmessage('anew')\n"
    )
    machine.write_text("[constants]\na = 'b'\n")
    _meson("setup", "-Dwarning_level=3", "-Dprefix=/opt/a b", "--buildtype=release",
           "--native-file", str(machine), str(build), str(tmp_path))  # fmt: skip
    (build / "meson-private/by-hand.txt").write_text("by hand")
    (build / "mine").mkdir()
    (build / "mine/notes.md").write_text("by hand")
    given = ("--buildtype=minsize",)
    before = options_before(build, given)
    assert not any("buildtype" in word for word in before)
    forget(build)
    assert "Message: anew" in _meson("setup", *before, *given, str(build), str(tmp_path))
    told = json.loads(_meson("introspect", "--buildoptions", str(build)))
    values = {option["name"]: option["value"] for option in told}
    assert [values[name] for name in ("warning_level", "prefix", "buildtype")] == [
        "3", "/opt/a b", "minsize",
    ]  # fmt: skip
    assert options_before(build, ())[-2:] == ("--native-file", str(machine))
    assert (build / "meson-private/by-hand.txt").read_text() == "by hand"
    assert (build / "mine/notes.md").read_text() == "by hand"
