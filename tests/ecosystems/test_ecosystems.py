"""One real project of each build system, built whole on a worker; what it makes is run here.

Run with `pytest -m ecosystems`. Sources come from the packages' own registries and Debian's; a test
is skipped, with the reason, where a toolchain or a registry cannot be had.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.processes import BuildRun, Cluster, cluster
from support.source_packages import SourceUnavailable, source_package

pytestmark = [pytest.mark.ecosystems, pytest.mark.timeout(900)]

_FETCH_SECONDS = 300


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A coordinator and one worker that allows the network."""
    with cluster(tmp_path_factory.mktemp("ecosystems"), workers=0) as made:
        made.add_worker("w0", CYXMAKE_WORKER_ALLOW_NETWORK="true")
        yield made


@pytest.fixture(autouse=True)
def _unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out a virtual environment: its programs stand where no action sees them."""
    if environment := os.environ.get("VIRTUAL_ENV"):
        kept = [p for p in os.environ["PATH"].split(":") if not p.startswith(environment)]
        monkeypatch.setenv("PATH", ":".join(kept))


def needs(*tools: str) -> None:
    """Skip where a tool is not installed."""
    lacking = [tool for tool in tools if shutil.which(tool) is None]
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")


def fetch(*argv: str, directory: Path) -> str:
    """Run a package client; skips where it gets nothing."""
    try:
        done = subprocess.run(
            argv, cwd=directory, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{argv[0]} got no answer in {_FETCH_SECONDS} s")
    if done.returncode != 0:
        pytest.skip(f"{' '.join(argv[:3])}: {done.stderr[-300:] or done.stdout[-300:]}")
    return done.stdout


def whole(workers: Cluster, project: Path, *arguments: str) -> BuildRun:
    """Build a whole project, which has to succeed and to bring something."""
    done = workers.build(project, "--strategy", "whole-project", *arguments)
    assert done.status == 0, done.output[-3000:] + done.errors
    assert done.summary["artifacts"]
    assert done.summary["workers"] == {"w0": 1}
    return done


def said(*argv: str | Path, given: str = "") -> str:
    """Run what was built."""
    return subprocess.run(
        argv, input=given, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def debian(name: str, target: Path) -> Path:
    """Copy the sources of a Debian package."""
    try:
        return Path(shutil.copytree(source_package(name), target, symlinks=True))
    except SourceUnavailable as missing:
        pytest.skip(str(missing))


def check_cmake(workers: Cluster, top: Path) -> None:
    """fmt: its library, and its own tests there."""
    needs("cmake", "g++")
    project = debian("fmtlib", top / "fmt")
    whole(workers, project, "--option=-DFMT_TEST=OFF", "--option=-DFMT_DOC=OFF")
    main = top / "main.cc"
    main.write_text('#include <fmt/core.h>\nint main() { fmt::print("{}", 42); }\n')
    library = next((project / "build").glob("libfmt*.a"))
    said("g++", "-I", project / "include", main, library, "-o", top / "main")
    assert said(top / "main") == "42"


def check_make(workers: Cluster, top: Path) -> None:
    """Lua: a Makefile that builds among the sources."""
    needs("make", "gcc")
    project = debian("lua5.4", top / "lua")
    whole(workers, project)
    assert said(project / "src/lua", "-e", "print(6*7)") == "42\n"


def check_autotools(workers: Cluster, top: Path) -> None:
    """GNU hello: configure, make, and its tests; nothing is made anew by times that lie."""
    needs("make", "gcc")
    project = debian("hello", top / "hello")
    done = whole(workers, project, "--artifacts", "**/hello")
    found = [path for path in done.summary["artifacts"] if path.endswith("hello")]
    assert said(project / found[0]) == "Hello, world!\n"
    assert "aclocal" not in done.output


def check_meson(workers: Cluster, top: Path) -> None:
    """FriBidi by its meson.build."""
    needs("meson", "ninja", "gcc")
    project = debian("fribidi", top / "fribidi")
    for name in ("configure", "configure.ac", "CMakeLists.txt"):
        (project / name).unlink(missing_ok=True)
    done = whole(workers, project, "--option=-Ddocs=false")
    program = next(path for path in done.summary["artifacts"] if path.endswith("bin/fribidi"))
    assert said(project / program, "--nopad", given="abc\n").strip() == "abc"
    assert any(path.endswith(".so") for path in done.summary["artifacts"])  # a link among files


def check_cargo(workers: Cluster, top: Path) -> None:
    """hexyl, with what it depends on from the registry."""
    needs("cargo", "rustc")
    fetch("cargo", "new", "-q", "--vcs", "none", "user", directory=top)
    fetch("cargo", "add", "-q", "hexyl@=0.8.0", directory=top / "user")
    fetch("cargo", "vendor", "-q", "../vendor", directory=top / "user")
    project = Path(shutil.copytree(top / "vendor/hexyl", top / "hexyl"))
    whole(workers, project)
    assert "41 42 43" in said(
        project / "target/debug/hexyl", "--color=never", "--border=none", given="ABC"
    )


def check_go(workers: Cluster, top: Path) -> None:
    """gron, with its modules."""
    needs("go")
    (top / "go.mod").write_text("module any\n")
    told = fetch(
        "go", "mod", "download", "-json", "github.com/tomnomnom/gron@v0.7.1", directory=top
    )
    project = top / "gron"
    shutil.copytree(json.loads(told)["Dir"], project)
    for path in (project, *project.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    whole(workers, project)
    assert said(project / "bin/gron", "-m", given='{"a": 1}') == "json = {};\njson.a = 1;\n"


def check_npm(workers: Cluster, top: Path) -> None:
    """A TypeScript project that uses a package and is compiled by another."""
    needs("npm", "node")
    project = top / "ts"
    project.mkdir()
    package = {
        "name": "sample", "version": "1.0.0", "scripts": {"build": "tsc"},
        "dependencies": {"escape-string-regexp": "4.0.0"},
        "devDependencies": {"typescript": "5.4.5"},
    }  # fmt: skip
    options = {"outDir": "dist", "module": "commonjs", "esModuleInterop": True, "strict": True}
    (project / "package.json").write_text(json.dumps(package))
    (project / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "include": ["src"]})
    )
    (project / "src").mkdir()
    (project / "src/main.ts").write_text(
        "const answer: number = 6 * 7;\nconsole.log(`answer ${answer}`);\n"
    )
    whole(workers, project)
    assert said("node", project / "dist/main.js") == "answer 42\n"
    assert not (project / "node_modules").exists()


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>a.b</groupId><artifactId>sample</artifactId>
<version>1.0</version><packaging>jar</packaging>
<properties><maven.compiler.source>17</maven.compiler.source>
<maven.compiler.target>17</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<dependencies><dependency><groupId>org.apache.commons</groupId>
<artifactId>commons-lang3</artifactId><version>3.14.0</version></dependency></dependencies>
</project>
"""


def check_maven(workers: Cluster, top: Path) -> None:
    """A jar that is compiled against a library from the central repository."""
    needs("mvn", "java", "javac")
    source = top / "jar/src/main/java/a/Main.java"
    source.parent.mkdir(parents=True)
    (top / "jar/pom.xml").write_text(POM)
    source.write_text(
        "package a;\nimport org.apache.commons.lang3.StringUtils;\npublic class Main {\n"
        "  static String twice(String s) { return StringUtils.repeat(s, 2); }\n"
        '  public static void main(String[] a) { System.out.println("jar " + 6 * 7); }\n}\n'
    )
    whole(workers, top / "jar")
    assert said("java", "-cp", top / "jar/target/sample-1.0.jar", "a.Main") == "jar 42\n"


def check_gradle(workers: Cluster, top: Path) -> None:
    """A jar by gradle's plug-in for Java, which needs nothing from outside."""
    needs("gradle", "java", "javac")
    source = top / "g/src/main/java/a/Main.java"
    source.parent.mkdir(parents=True)
    (top / "g/settings.gradle").write_text("rootProject.name = 'sample'\n")
    (top / "g/build.gradle").write_text("apply plugin: 'java'\n")
    source.write_text(
        "package a;\npublic class Main { public static void main(String[] a) "
        "{ System.out.println(42); } }\n"
    )
    whole(workers, top / "g")
    assert said("java", "-cp", top / "g/build/libs/sample.jar", "a.Main") == "42\n"


def check_python(workers: Cluster, top: Path) -> None:
    """click's wheel, built by a backend from the index."""
    needs("python3")
    fetch(
        "python3", "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:",
        "click==8.1.7", directory=top,
    )  # fmt: skip
    with tarfile.open(top / "click-8.1.7.tar.gz") as archive:
        archive.extractall(top, filter="data")
    project = top / "click-8.1.7"
    done = whole(workers, project)
    wheel = next(path for path in done.summary["artifacts"] if path.endswith(".whl"))
    code = f"import sys; sys.path.insert(0, {str(project / wheel)!r}); import click; print(click)"
    assert ".whl/click" in said("python3", "-c", code)


@pytest.mark.parametrize(
    "check",
    [
        check_cmake, check_make, check_autotools, check_meson, check_cargo, check_go, check_npm,
        check_maven, check_gradle, check_python,
    ],
    ids=lambda check: check.__name__.removeprefix("check_"),
)  # fmt: skip
def test_a_real_project_is_built_on_a_worker(
    check: Callable[[Cluster, Path], None], workers: Cluster, tmp_path: Path
) -> None:
    """The project is sent, built there and brought home; its product does its work."""
    check(workers, tmp_path)
