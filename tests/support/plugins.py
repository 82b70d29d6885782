"""Packages with entry points, put on a path as an installer does."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import Final

from support.processes import REPOSITORY

EXAMPLES: Final = REPOSITORY / "docs/examples/plugins"


def install_example(kind: str, site: Path) -> None:
    """Install one of the examples of the documentation."""
    project = tomllib.loads((EXAMPLES / kind / "pyproject.toml").read_text("utf-8"))["project"]
    shutil.copytree(EXAMPLES / kind / "src", site, dirs_exist_ok=True)
    _describe(site, project["name"], project["version"], project["entry-points"])


def install(site: Path, name: str, text: str, **points: dict[str, str]) -> None:
    """Install a module with entry points: group (without `cyxmake.`) to name and object."""
    site.mkdir(parents=True, exist_ok=True)
    (site / f"{name}.py").write_text(text, "utf-8")
    groups = {f"cyxmake.{group}": given for group, given in points.items()}
    _describe(site, name, "1.0", groups)


def _describe(site: Path, name: str, version: str, groups: dict[str, dict[str, str]]) -> None:
    place = site / f"{name.replace('-', '_')}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, points in groups.items():
        lines.append(f"[{group}]")
        lines.extend(f"{key} = {value}" for key, value in points.items())
    (place / "entry_points.txt").write_text("\n".join(lines) + "\n")
