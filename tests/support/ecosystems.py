"""Real projects of ten build systems: where each comes from, and what is true of it.

Sources come by package name through the ordinary clients of each registry; nothing of them is kept
in this repository.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.source_packages import SourceUnavailable, source_package


@dataclass(frozen=True)
class Project:
    """A project and its facts: what `init` must say of it, and what `build` must leave behind.

    `dependencies` are those to run or build; `none` of a kind is said by an empty tuple. `product`
    is a glob below the project; `needs` the programs without which it is not built here; `rewrites`
    files of its sources that its own tools write anew.
    """

    fetch: Callable[[Path], Path]
    name: str
    version: str
    system: str
    evidence: tuple[str, int]
    language: str
    others: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    asks_for: tuple[tuple[str, str], ...] = ()
    product: str = ""
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    tests: bool = False
    rewrites: tuple[str, ...] = ()


def _debian(package: str) -> Callable[[Path], Path]:
    return lambda place: Path(shutil.copytree(source_package(package), place / package,
                                              symlinks=True))  # fmt: skip


def _run(argv: list[str], cwd: Path) -> str:
    try:
        done = subprocess.run(
            argv, cwd=cwd, check=True, capture_output=True, text=True, timeout=200
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SourceUnavailable(f"{argv[0]}: {error}") from error
    return done.stdout


def _unpacked(archive: Path, place: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(place, filter="data")
    return next(path for path in place.iterdir() if path.is_dir())


def _crate(name: str, version: str) -> Callable[[Path], Path]:
    def fetch(place: Path) -> Path:
        wish = place / "wish"
        (wish / "src").mkdir(parents=True)
        (wish / "src/lib.rs").touch()
        (wish / "Cargo.toml").write_text(
            '[package]\nname = "wish"\nversion = "0.0.0"\nedition = "2021"\n'
            f'[dependencies]\n{name} = "={version}"\n'
        )
        _run(["cargo", "fetch", "--quiet"], wish)
        home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
        found = next((home / "registry/src").glob(f"*/{name}-{version}"))
        return Path(shutil.copytree(found, place / name))

    return fetch


def _go_module(name: str, version: str) -> Callable[[Path], Path]:
    def fetch(place: Path) -> Path:
        found = json.loads(_run(["go", "mod", "download", "-json", f"{name}@{version}"], place))
        target = place / name.rpartition("/")[2]
        shutil.copytree(found["Dir"], target)
        for path in [target, *target.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
        return target

    return fetch


def _npm_package(name: str, version: str) -> Callable[[Path], Path]:
    def fetch(place: Path) -> Path:
        _run(["npm", "pack", "--silent", f"{name}@{version}"], place)
        return _unpacked(next(place.glob("*.tgz")), place / "unpacked")

    return fetch


def _source_distribution(name: str, version: str) -> Callable[[Path], Path]:
    def fetch(place: Path) -> Path:
        _run(
            ["python3", "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
             f"{name}=={version}"],
            place,
        )  # fmt: skip
        return _unpacked(next(place.glob("*.tar.gz")), place / "unpacked")

    return fetch


def _maven_sample(place: Path) -> Path:
    """Make a project with the layout and the plugins that Maven's own archetype gives."""
    root = place / "greeter"
    (root / "src/main/java/org/example").mkdir(parents=True)
    (root / "src/main/java/org/example/Greeter.java").write_text(
        "package org.example;\n\npublic class Greeter {\n"
        '    public static void main(String[] a) { System.out.println("hello"); }\n}\n'
    )
    (root / "pom.xml").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0">\n'
        "  <modelVersion>4.0.0</modelVersion>\n  <groupId>org.example</groupId>\n"
        "  <artifactId>greeter</artifactId>\n  <version>1.2</version>\n  <properties>\n"
        "    <maven.compiler.source>17</maven.compiler.source>\n"
        "    <maven.compiler.target>17</maven.compiler.target>\n"
        "    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>\n"
        "  </properties>\n</project>\n"
    )
    return root


PROJECTS = {
    "cmake": Project(
        _debian("leveldb"), "leveldb", "1.23.0", "cmake", ("CMakeLists.txt", 7), "C++",
        targets=("leveldb", "leveldbutil", "memenv"), asks_for=(("cmake", "3.9"), ("c++", "11")),
        product="build/libleveldb.a",
        arguments=("--option=-DLEVELDB_BUILD_TESTS=OFF", "--option=-DLEVELDB_BUILD_BENCHMARKS=OFF"),
        needs=("cmake", "g++"),
    ),
    "meson": Project(
        _debian("fribidi"), "fribidi", "1.0.8", "meson", ("meson.build", 1), "C",
        others=("autotools",), targets=("fribidi", "fribidi-benchmark"),
        asks_for=(("meson", ">= 0.44"),), product="build/lib/libfribidi.so*",
        arguments=("--option=-Ddocs=false",), needs=("meson", "ninja", "gcc"),
    ),
    "autotools": Project(
        _debian("hello"), "GNU Hello", "", "autotools", ("configure.ac", 11), "C",
        others=("make",), targets=("hello",), asks_for=(("autoconf", "2.62"),),
        product="build/hello", needs=("make", "gcc"),
    ),
    "make": Project(
        _debian("lua5.4"), "lua5.4", "", "make", ("Makefile", 52), "C",
        targets=("all", "install", "uninstall"), product="src/liblua.a", arguments=("generic",),
        needs=("make", "gcc"),
    ),
    "scons": Project(
        _debian("csstidy"), "csstidy", "", "scons", ("SConstruct", 21), "C++",
        product="release/csstidy/csstidy", needs=("scons", "g++"),
    ),
    "cargo": Project(
        _crate("hexyl", "0.8.0"), "hexyl", "0.8.0", "cargo", ("Cargo.toml", 13), "Rust",
        targets=("hexyl",), dependencies=("ansi_term", "atty", "clap", "libc"),
        asks_for=(("rust-edition", "2018"),), product="target/debug/hexyl", needs=("cargo",),
        tests=True,
    ),
    "go": Project(
        _go_module("github.com/google/uuid", "v1.6.0"), "uuid", "", "go", ("go.mod", 1), "Go",
        targets=("github.com/google/uuid",), product="go.mod", needs=("go",), tests=True,
    ),
    "npm": Project(
        _npm_package("is-number", "7.0.0"), "is-number", "7.0.0", "npm", ("package.json", 2),
        "JavaScript", targets=("test",), asks_for=(("node", ">=0.12.0"),),
        product="node_modules/mocha/package.json", needs=("npm",),
    ),
    "python": Project(
        _source_distribution("six", "1.16.0"), "six", "1.16.0", "python", ("setup.py", 46),
        "Python", product="dist/six-1.16.0-*.whl", needs=("python3",),
        rewrites=("six.egg-info/PKG-INFO",),
    ),
    "maven": Project(
        _maven_sample, "greeter", "1.2", "maven", ("pom.xml", 1), "Java", targets=("greeter",),
        asks_for=(("java", "17"),), product="target/greeter-1.2.jar", needs=("mvn",),
    ),
}  # fmt: skip
"""By build system."""
