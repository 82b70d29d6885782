"""Dependencies of projects with a package manager: Cargo, npm, Python, Go, Maven, Gradle.

Knows texts only. XML is read without entities: a manifest may be hostile.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError

from cyxmake_cli.analysis.dependencies_native import line_at
from cyxmake_cli.analysis.model import Dependency
from cyxmake_cli.systems.manifests import json_object, toml

_REQUIREMENT: Final = re.compile(r"^([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;@#()]*)")
_GO_LINE: Final = re.compile(r"^\s*(?:require\s+)?([\w.~-]+(?:\.[\w-]+)+(?:/\S+)?)\s+(v\S+)(.*)$")
_GRADLE: Final = re.compile(
    r"^\s*(\w*(?:[iI]mplementation|api|compileOnly|runtimeOnly|annotationProcessor|kapt|classpath))"
    r"\s*\(?\s*[\"']([\w.-]+:[\w.-]+)(?::([\w.$+-]+))?",
    re.MULTILINE,
)
_NPM_KINDS: Final = {
    "dependencies": "run", "devDependencies": "dev", "optionalDependencies": "optional",
    "peerDependencies": "optional",
}  # fmt: skip
_CARGO_KINDS: Final = {
    "dependencies": "run", "dev-dependencies": "dev", "build-dependencies": "build",
}  # fmt: skip


def _line_of_key(text: str, name: str) -> int:
    match = re.search(rf"^\s*[\"']?{re.escape(name)}[\"']?\s*[=:.]|\[.*\.{re.escape(name)}\]",
                      text, re.MULTILINE)  # fmt: skip
    return line_at(text, match.start() + len(match[0]) - len(match[0].lstrip())) if match else 0


def _line_of(text: str, word: str) -> int:
    at = text.find(word)
    return line_at(text, at) if at >= 0 else 0


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def cargo(path: str, text: str) -> Iterator[Dependency]:
    """Read the tables of dependencies, those for some targets and of a workspace too."""
    found = toml(text)
    tables = [found, *(_table(t) for t in _table(found.get("target")).values())]
    workspace = _table(_table(found.get("workspace")).get("dependencies"))
    sections = [(_table(t.get(key)), kind) for t in tables for key, kind in _CARGO_KINDS.items()]
    for section, kind in [*sections, (workspace, "run")]:
        for name, value in section.items():
            details = _table(value)
            if "path" in details and "version" not in details:
                continue
            if details.get("workspace") is True:
                continue  # the workspace says which
            version = value if isinstance(value, str) else str(details.get("version", ""))
            yield Dependency(
                str(details.get("package", name)), "cargo", path, _line_of_key(text, name), version,
                "optional" if details.get("optional") is True else kind,
            )  # fmt: skip


def npm(path: str, text: str) -> Iterator[Dependency]:
    """Read the dependencies of a package.json; those of the same workspace are left out."""
    found = json_object(text)
    for key, kind in _NPM_KINDS.items():
        for name, version in _table(found.get(key)).items():
            if isinstance(version, str) and not version.startswith(
                ("workspace:", "file:", "link:")
            ):
                yield Dependency(name, "npm", path, _line_of(text, f'"{name}"'), version, kind)


def _python(path: str, text: str, line: str, kind: str, number: int = 0) -> Iterator[Dependency]:
    match = _REQUIREMENT.match(line.strip())
    if match:
        yield Dependency(
            match[1], "python", path, number or _line_of(text, match[0].strip()),
            match[2].strip().rstrip(",").strip(), kind,
        )  # fmt: skip


def pyproject(path: str, text: str) -> Iterator[Dependency]:
    """Read what a Python package needs to run, to be built, and for its extras and groups."""
    found = toml(text)
    project = _table(found.get("project"))
    lists = [
        (project.get("dependencies"), "run"),
        (_table(found.get("build-system")).get("requires"), "build"),
        *((extra, "optional") for extra in _table(project.get("optional-dependencies")).values()),
        *((group, "dev") for group in _table(found.get("dependency-groups")).values()),
    ]
    for lines, kind in lists:
        for line in lines if isinstance(lines, list) else ():
            if isinstance(line, str):
                yield from _python(path, text, line, kind)
    poetry = _table(_table(found.get("tool")).get("poetry"))
    for name, value in _table(poetry.get("dependencies")).items():
        if name != "python":
            version = value if isinstance(value, str) else str(_table(value).get("version", ""))
            yield Dependency(name, "python", path, _line_of_key(text, name), version)


def setup_cfg(path: str, text: str) -> Iterator[Dependency]:
    """Read what a setup.cfg asks for."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    for section, key, kind in (
        ("options", "install_requires", "run"), ("options", "setup_requires", "build"),
        ("options", "tests_require", "dev"),
    ):  # fmt: skip
        for line in parser.get(section, key, fallback="").splitlines():
            yield from _python(path, text, line, kind)


def requirements(path: str, text: str) -> Iterator[Dependency]:
    """Read a pip requirements file; options and addresses are left out."""
    dev = any(word in path.lower() for word in ("dev", "test", "doc", "lint"))
    for number, line in enumerate(text.splitlines(), 1):
        said = line.partition("#")[0].strip()
        if said and not said.startswith("-") and "://" not in said:
            yield from _python(path, text, said, "dev" if dev else "run", number)


def go(path: str, text: str) -> Iterator[Dependency]:
    """Read the modules that a go.mod requires; indirect ones are left out."""
    block = ""
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if word.endswith("(") and word[:-1].strip().isalpha():
            block = word[:-1].strip()
        elif word == ")":
            block = ""
        elif (
            (block == "require" or (not block and word.startswith("require ")))
            and (match := _GO_LINE.match(line))
            and "// indirect" not in match[3]
        ):
            yield Dependency(match[1], "go", path, number, match[2])


def xml(text: str) -> Element | None:
    """Return an XML document without entities and external parts; None for anything else."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
    return root


def maven(path: str, text: str) -> Iterator[Dependency]:
    """Read the dependencies of a pom.xml, with properties of the same file filled in."""
    root = xml(text)
    if root is None:
        return
    properties = {f"${{{e.tag}}}": (e.text or "").strip() for e in root.findall("properties/*")}
    group = root.findtext("groupId") or root.findtext("parent/groupId") or ""
    project = {"${project.groupId}": group, "${project.version}": root.findtext("version") or ""}
    values = properties | project
    managed = root.findall("dependencyManagement/dependencies/dependency")
    versions = {
        (d.findtext("groupId"), d.findtext("artifactId")): d.findtext("version") for d in managed
    }
    for one in root.findall("dependencies/dependency"):
        group_id, artifact = one.findtext("groupId") or "", one.findtext("artifactId") or ""
        group_id = values.get(group_id, group_id)
        if not artifact or group_id == group:
            continue
        version = one.findtext("version") or versions.get((group_id, artifact)) or ""
        scope = one.findtext("scope") or "compile"
        optional = one.findtext("optional") == "true"
        yield Dependency(
            f"{group_id}:{artifact}", "maven", path, _line_of(text, f">{artifact}<"),
            values.get(version, version),
            "optional" if optional else {"test": "dev", "provided": "build"}.get(scope, "run"),
        )  # fmt: skip


def gradle(path: str, text: str) -> Iterator[Dependency]:
    """Read the dependencies of a Gradle script as far as they are written out."""
    for match in _GRADLE.finditer(text):
        dev = match[1].startswith(("test", "androidTest"))
        version = "" if (match[3] or "").startswith("$") else match[3] or ""
        yield Dependency(
            match[2], "maven", path, line_at(text, match.start(2)), version, "dev" if dev else "run"
        )
