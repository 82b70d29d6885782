"""What a repository needs of others, read from its manifests; one reader an ecosystem.

Knows texts only; what is installed is asked elsewhere. A manifest that cannot be read says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from typing import Final

from cyxmake_cli.analysis import dependencies_native as native
from cyxmake_cli.analysis import dependencies_packages as packages
from cyxmake_cli.analysis.files import Files
from cyxmake_cli.analysis.model import Dependency

Reader = Callable[[str, str], Iterable[Dependency]]
"""Path and text of a manifest to what it needs."""

READERS: Final[tuple[tuple[str, Reader], ...]] = (
    ("CMakeLists.txt", native.cmake),
    ("*.cmake", native.cmake),
    ("meson.build", native.meson),
    ("configure.ac", native.autoconf),
    ("configure.in", native.autoconf),
    ("vcpkg.json", native.vcpkg),
    ("conanfile.txt", native.conan_text),
    ("conanfile.py", native.conan_python),
    ("MODULE.bazel", native.bazel),
    ("Cargo.toml", packages.cargo),
    ("package.json", packages.npm),
    ("pyproject.toml", packages.pyproject),
    ("setup.cfg", packages.setup_cfg),
    ("requirements*.txt", packages.requirements),
    ("go.mod", packages.go),
    ("pom.xml", packages.maven),
    ("build.gradle", packages.gradle),
    ("build.gradle.kts", packages.gradle),
)
_LIKELY: Final = re.compile(
    r"(?:^|/)(?:CMakeLists\.txt|meson\.build|configure\.(?:ac|in)|vcpkg\.json|conanfile\.\w+"
    r"|MODULE\.bazel|Cargo\.toml|package\.json|pyproject\.toml|setup\.cfg|requirements[^/]*\.txt"
    r"|go\.mod|pom\.xml|build\.gradle(?:\.kts)?|[^/]+\.cmake)$"
)


def dependencies(files: Files) -> tuple[Dependency, ...]:
    """Return what the project's own manifests need, each once for every ecosystem.

    What its own manifests define themselves is no dependency.
    """
    found: dict[tuple[str, str], Dependency] = {}
    for one in _all(files):
        key = one.ecosystem, one.name.lower()
        if key not in found or (found[key].kind != "run" and one.kind == "run"):
            found[key] = one
    return tuple(sorted(found.values(), key=lambda d: (d.ecosystem, d.name.lower())))


def _all(files: Files) -> Iterator[Dependency]:
    for path in files.sizes:
        if _LIKELY.search(path) is None or not files.own(path):
            continue
        name = path.rpartition("/")[2]
        for pattern, reader in READERS:
            if fnmatch(name, pattern):
                yield from reader(path, files.text(path))
                break
