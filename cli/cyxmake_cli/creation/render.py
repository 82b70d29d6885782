"""A specification to the files of its project: templates filled in, nothing written anywhere.

Knows where templates lie and which words stand in them. A word in at signs that is not known is a
mistake in a template, and a test finds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final
from xml.sax.saxutils import escape

from cyxmake_cli.creation.model import Kind, Licence, Spec
from cyxmake_cli.creation.offers import MAKINGS, STARTERS

_WORD: Final = re.compile(r"@([A-Z_]+)@")
_ENDING: Final = ".tmpl"
_DOT: Final = "dot."
_SHARED: Final = {Kind.LIBRARY: "counts", Kind.CLI: "counts"}
"""Templates that two kinds have in common, in languages that lay both out alike."""
_HIDDEN: Final = ("README.md", "LICENSE", ".gitignore")

_JAVA_MAIN: Final = """
        <configuration>
          <archive>
            <manifest>
              <mainClass>com.example.{package}.Main</mainClass>
            </manifest>
          </archive>
        </configuration>"""


def render(spec: Spec, holder: str, year: int) -> dict[str, str]:
    """Return the files of a project: path below its directory, and text."""
    making = MAKINGS[spec.language]
    words = _words(spec, holder, year)
    found: dict[str, str] = {}
    for layer in ("base", _SHARED.get(spec.kind, ""), spec.kind.value):
        place = _templates().joinpath(making.folder, layer)
        if layer and place.is_dir():
            for path, text in _below(place):
                found[fill(path, words)] = fill(text, words)
    if spec.licence is not Licence.NONE:
        text = files(__package__).joinpath(f"licences/{spec.licence.value}.txt").read_text("utf-8")
        found["LICENSE"] = fill(text, words)
    places = "\n".join(f"- `{path}`" for path in sorted(found) if path not in _HIDDEN)
    readme = _templates().joinpath("all", "README.md.tmpl").read_text("utf-8")
    text = fill(readme, {**words, "PLACES": places})
    found["README.md"] = re.sub(r"\n+```\n", "\n```\n", text)  # a library has nothing to run
    return dict(sorted(found.items()))


def fill(text: str, words: dict[str, str]) -> str:
    """Return a text with its words filled in; raises KeyError for one that is not known.

    One pass: what is filled in is not looked at again.
    """
    return _WORD.sub(lambda found: words[found[1]], text)


def _templates() -> Traversable:
    return files(__package__).joinpath("templates")


def _below(place: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    for entry in place.iterdir():
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(_ENDING):
            name = entry.name.removesuffix(_ENDING)
            name = f".{name.removeprefix(_DOT)}" if name.startswith(_DOT) else name
            yield prefix + name, entry.read_text("utf-8")


def _words(spec: Spec, holder: str, year: int) -> dict[str, str]:
    making = MAKINGS[spec.language]
    free = spec.licence is not Licence.NONE
    licence = spec.licence.value
    package = spec.name.replace("-", "")
    words = {
        "NAME": spec.name,
        "IDENT": spec.identifier,
        "UPPER": spec.identifier.upper(),
        "NOHYPHEN": package,
        "DESCRIPTION": spec.description,
        "DESCRIPTION_JSON": json.dumps(spec.description),
        "DESCRIPTION_XML": escape(spec.description),
        "LICENCE_JSON": json.dumps(licence if free else "UNLICENSED"),
        "LICENCE_TOML": f"license = {json.dumps(licence)}\n" if free else "",
        "LICENCE_LINE": f"{licence}: see [LICENSE](LICENSE)." if free else "All rights reserved.",
        "PRIVATE_JSON": json.dumps(spec.kind is not Kind.LIBRARY or not free),
        "PYTHON_SCRIPTS": _python_scripts(spec),
        "TS_LIB": '"ES2022", "DOM"' if spec.kind is Kind.GAME else '"ES2022"',
        "JAVA_MAIN": "" if spec.kind is Kind.LIBRARY else _JAVA_MAIN.format(package=package),
        "YEAR": str(year),
        "HOLDER": holder,
        "STARTER": STARTERS[spec.kind],
    }
    words["BUILD"] = fill(making.build, words)
    words["TEST"] = fill(making.test, words)
    words["RUN"] = "" if spec.kind is Kind.LIBRARY else fill(making.run, words)
    return words


def _python_scripts(spec: Spec) -> str:
    if spec.kind is Kind.LIBRARY:
        return ""
    section = "gui-scripts" if spec.kind is Kind.GUI else "scripts"
    return f'\n[project.{section}]\n{spec.name} = "{spec.identifier}.__main__:main"\n'
