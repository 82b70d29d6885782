"""Templates: every word in them is known, descriptions break nothing, no template is unused."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import PurePosixPath

import pytest
from defusedxml import ElementTree

from cyxmake_cli.creation.model import Kind, Language, Licence, Spec
from cyxmake_cli.creation.offers import MAKINGS, OFFERED, STARTERS
from cyxmake_cli.creation.render import render

_TEXT = "It's \"one\" \\ of $HOME & <tags>, */ and '''quotes''' {x} @NAME@ %d"


@pytest.mark.parametrize(
    ("language", "kind"), sorted(OFFERED), ids=lambda value: value.value.replace("+", "p")
)
def test_every_pair_has_what_a_project_needs(language: Language, kind: Kind) -> None:
    """Build file, sources, a test, README, .gitignore, licence; and manifests that can be read."""
    spec = Spec("wide-field", _TEXT, language, kind, Licence.GPL)
    found = render(spec, "Ada", 2001)
    assert {"README.md", ".gitignore", "LICENSE"} <= found.keys()
    assert _TEXT in found["README.md"]
    assert STARTERS[kind] in found["README.md"]
    assert "GNU GENERAL PUBLIC LICENSE" in found["LICENSE"]
    assert ".cyxmake" not in found[".gitignore"]  # it has one of its own, and a file to share
    assert any("test" in path or "#[test]" in text for path, text in found.items())
    for path, text in found.items():
        place = PurePosixPath(path)
        assert not place.is_absolute()
        assert ".." not in place.parts
        match place.name:
            case "Cargo.toml":
                assert tomllib.loads(text)["package"]["description"] == _TEXT
            case "pyproject.toml":
                assert tomllib.loads(text)["project"]["description"] == _TEXT
            case "package.json":
                assert json.loads(text)["description"] == _TEXT
            case "pom.xml":
                root = ElementTree.fromstring(text)
                assert root.findtext("{*}description") == _TEXT


@pytest.mark.parametrize("licence", Licence)
def test_licences_come_whole(licence: Licence) -> None:
    """With year and holder where the text asks for them, and named in the manifest."""
    found = render(Spec("x-y", "x", Language.RUST, Kind.CLI, licence), "Ada", 2001)
    named = tomllib.loads(found["Cargo.toml"])["package"].get("license")
    assert named == (None if licence is Licence.NONE else licence.value)
    assert ("LICENSE" in found) == (licence is not Licence.NONE)
    if licence in (Licence.MIT, Licence.BSD):
        assert "2001" in found["LICENSE"]
        assert "Ada" in found["LICENSE"]


def test_no_template_is_left_over() -> None:
    """Each stands in a project of some offered pair."""
    place = files("cyxmake_cli.creation").joinpath("templates")
    folders = {"base", "counts", *Kind}
    for language, making in MAKINGS.items():
        for folder in place.joinpath(making.folder).iterdir():
            assert folder.name in folders
            if folder.name in set(Kind):
                assert (language, Kind(folder.name)) in OFFERED
