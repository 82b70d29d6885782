"""The table of build systems, in the order in which they are asked; native ones are in `native`.

Knows only words: nothing is run or looked at here.
"""

from __future__ import annotations

from typing import Final

from cyxmake_cli.systems.manifests import (
    builds_with_other_tool,
    has_real_test,
    has_script,
    holds,
    is_go_program,
    is_python_package,
    uses_pytest,
)
from cyxmake_cli.systems.model import (
    BuildType,
    FactRule,
    Mark,
    Step,
    SystemName,
    SystemSpec,
    TargetWords,
    Verb,
)
from cyxmake_cli.systems.native import AUTOTOOLS, BAZEL, CMAKE, MAKE, MESON, NINJA, SCONS

_WRAPPER: Final = "wrapper"
_LOCK: Final = "lock"
_WRAPPED: Final = frozenset((_WRAPPER,))
_LOCKED: Final = frozenset((_LOCK,))


_CARGO: Final = SystemSpec(
    SystemName.CARGO,
    "Cargo",
    marks=(Mark("Cargo.toml", 0.95, "[package]", holds(r"^\s*\[(package|workspace)\b"), 0.3),),
    tools=(("cargo",), ("rustc",)),
    build_dir="target",
    types={
        BuildType.DEBUG: (),
        BuildType.RELEASE: ("--release",),
        BuildType.RELEASE_DEBUG: ("--release", "--config", "profile.release.debug=true"),
        BuildType.SMALL: ("--release", "--config", "profile.release.opt-level='s'"),
    },
    jobs=("-j{n}",),
    verbose=("-v",),
    targets=TargetWords(each=("-p", "{target}")),
    facts=(FactRule(_LOCK, ("Cargo.lock",)),),
    steps={
        Verb.BUILD: (
            Step((
                "cargo", "build", "--target-dir", "{build}", "{type}", "{jobs}", "{verbose}",
                "{targets}", "{options}",
            )),
        ),
        Verb.TEST: (
            Step((
                "cargo", "test", "--target-dir", "{build}", "{type}", "{jobs}", "{verbose}",
                "{targets}", "{options}",
            )),
        ),
        Verb.CLEAN: (Step(("cargo", "clean", "--target-dir", "{build}")),),
        Verb.INSTALL: (
            Step(("cargo", "install", "--path", "{source}", "--root", "{prefix}")),
        ),
    },
    artefacts=("debug/*", "release/*", "*/debug/*", "*/release/*"),
    made=("target",),
    languages=("Rust",),
)  # fmt: skip

_PROGRAMS: Final = "programs"

_GO: Final = SystemSpec(
    SystemName.GO,
    "Go",
    marks=(Mark("go.work", 0.96, "go "), Mark("go.mod", 0.95, "module ")),
    tools=(("go",),),
    build_dir="bin",
    types={
        BuildType.DEBUG: ("-gcflags=all=-N -l",),
        BuildType.RELEASE: ("-trimpath", "-ldflags=-s -w"),
        BuildType.RELEASE_DEBUG: ("-trimpath",),
    },
    jobs=("-p={n}",),
    verbose=("-v",),
    targets=TargetWords(default=("./...",)),
    facts=(
        # Without a program, `-o DIR/` is an error of its own.
        FactRule(
            _PROGRAMS, ("*.go", "cmd/*.go", "*/*.go", "cmd/*/*.go", "*/*/*.go"), is_go_program
        ),
    ),
    steps={
        Verb.BUILD: (
            Step(
                (
                    "go", "build", "-o", "{build}/", "{type}", "{jobs}", "{verbose}", "{options}",
                    "{targets}",
                ),
                needs=frozenset((_PROGRAMS,)),
            ),
            Step(
                ("go", "build", "{type}", "{jobs}", "{verbose}", "{options}", "{targets}"),
                unless=frozenset((_PROGRAMS,)),
            ),
        ),
        Verb.TEST: (
            Step(("go", "test", "{jobs}", "{verbose}", "{options}", "{targets}")),
        ),
        Verb.INSTALL: (
            Step(("go", "install", "{targets}"), environment=(("GOBIN", "{prefix}/bin"),)),
        ),
    },
    artefacts=("*",),
    made=("bin",),
    languages=("Go",),
)  # fmt: skip


def _maven(program: str) -> dict[Verb, Step]:
    common = (program, "-B", "{jobs}", "{verbose}", "{options}")
    return {
        Verb.BUILD: Step((*common, "package", "-DskipTests", "{targets}")),
        Verb.TEST: Step((*common, "test", "{targets}")),
        Verb.CLEAN: Step((program, "-B", "clean")),
        Verb.INSTALL: Step((*common, "install", "-DskipTests", "{targets}")),
    }


def _gradle(program: str) -> dict[Verb, Step]:
    common = (program, "--console=plain", "{jobs}", "{verbose}", "{options}")
    return {
        Verb.BUILD: Step((*common, "{targets}")),
        Verb.TEST: Step((*common, "test")),
        Verb.CLEAN: Step((program, "--console=plain", "clean")),
        Verb.INSTALL: Step((*common, "publishToMavenLocal")),
    }


def _either(wrapped: dict[Verb, Step], plain: dict[Verb, Step]) -> dict[Verb, tuple[Step, ...]]:
    """Return steps that use the project's own wrapper where it has one."""
    return {
        verb: (
            Step(wrapped[verb].argv, needs=_WRAPPED),
            Step(plain[verb].argv, unless=_WRAPPED),
        )
        for verb in plain
    }


_MAVEN: Final = SystemSpec(
    SystemName.MAVEN,
    "Maven",
    marks=(Mark("pom.xml", 0.95, "<project"),),
    tools=(("mvn", "./mvnw"), ("java",)),
    facts=(FactRule(_WRAPPER, ("mvnw",)),),
    jobs=("-T{n}",),
    verbose=("-X",),
    targets=TargetWords(first=("-am", "-pl"), joined=","),
    steps=_either(_maven("./mvnw"), _maven("mvn")),
    artefacts=("target/*.jar", "target/*.war", "*/target/*.jar", "*/target/*.war"),
    made=("target", "*/target"),
    languages=("Java", "Kotlin", "Scala"),
)

_GRADLE: Final = SystemSpec(
    SystemName.GRADLE,
    "Gradle",
    marks=(
        Mark("settings.gradle.kts", 0.95, "rootProject"),
        Mark("settings.gradle", 0.95, "rootProject"),
        Mark("build.gradle.kts", 0.93, "plugins"),
        Mark("build.gradle", 0.93, "plugin"),
    ),
    tools=(("gradle", "./gradlew"), ("java",)),
    facts=(FactRule(_WRAPPER, ("gradlew",)),),
    jobs=("--max-workers={n}",),
    verbose=("--info",),
    targets=TargetWords(default=("assemble",)),
    steps=_either(_gradle("./gradlew"), _gradle("gradle")),
    artefacts=("build/libs/*", "*/build/libs/*", "build/distributions/*"),
    made=("build", "*/build", ".gradle"),
    languages=("Java", "Kotlin", "Groovy"),
)


def _node(
    name: SystemName,
    title: str,
    lock: tuple[str, ...],
    frozen: tuple[Step, ...],
    loose: Step,
    marks: tuple[Mark, ...],
) -> SystemSpec:
    """Return one of the package managers that run the scripts of a package.json."""
    program = name.value
    return SystemSpec(
        name,
        title,
        marks=marks,
        tools=((program,), ("node",)),
        facts=(
            FactRule(_LOCK, lock),
            FactRule("script:build", ("package.json",), has_script("build")),
            FactRule("script:test", ("package.json",), has_real_test),
            FactRule("script:clean", ("package.json",), has_script("clean")),
            FactRule("yarn-berry", (".yarnrc.yml",)),
        ),
        configured=("node_modules",),
        inputs=("package.json", *lock),
        # A target is a script of the package; without a script "build" there is nothing to do.
        targets=TargetWords(default=("build",)),
        steps={
            Verb.CONFIGURE: (*frozen, loose),
            Verb.BUILD: (
                Step((program, "run", "{target}"), needs=frozenset(("script:build",)), each=True),
            ),
            Verb.TEST: (Step((program, "run", "test"), needs=frozenset(("script:test",))),),
            Verb.CLEAN: (Step((program, "run", "clean"), needs=frozenset(("script:clean",))),),
        },
        artefacts=("dist/**", "build/**", "lib/**", "out/**", ".next/**", ".output/**"),
        made=("node_modules", "dist", ".next", ".output", ".turbo"),
        languages=("JavaScript", "TypeScript"),
    )


_UNLOCKED: Final = Step(("npm", "install", "--no-audit", "--no-fund", "{options}"), unless=_LOCKED)
_BERRY: Final = frozenset(("yarn-berry",))

_NPM: Final = _node(
    SystemName.NPM,
    "npm",
    ("package-lock.json", "npm-shrinkwrap.json"),
    (Step(("npm", "ci", "--no-audit", "--no-fund", "{options}"), needs=_LOCKED),),
    _UNLOCKED,
    (Mark("package.json", 0.8, '"name"', has_script("build"), 0.5),),
)
_YARN: Final = _node(
    SystemName.YARN,
    "Yarn",
    ("yarn.lock",),
    (
        Step(("yarn", "install", "--immutable", "{options}"), needs=_LOCKED | _BERRY),
        Step(("yarn", "install", "--frozen-lockfile", "{options}"), needs=_LOCKED, unless=_BERRY),
    ),
    Step(("yarn", "install", "{options}"), unless=_LOCKED),
    (
        Mark("yarn.lock", 0.85),
        Mark("package.json", 0.85, '"packageManager"', holds(r'"packageManager"\s*:\s*"yarn@')),
    ),
)
_PNPM: Final = _node(
    SystemName.PNPM,
    "pnpm",
    ("pnpm-lock.yaml",),
    (Step(("pnpm", "install", "--frozen-lockfile", "{options}"), needs=_LOCKED),),
    Step(("pnpm", "install", "{options}"), unless=_LOCKED),
    (
        Mark("pnpm-lock.yaml", 0.86),
        Mark("pnpm-workspace.yaml", 0.86),
        Mark("package.json", 0.86, '"packageManager"', holds(r'"packageManager"\s*:\s*"pnpm@')),
    ),
)

_UV: Final = "uv"
_PYTEST: Final = "pytest"

_PYTHON: Final = SystemSpec(
    SystemName.PYTHON,
    "Python",
    marks=(
        Mark("pyproject.toml", 0.97, "build-backend", builds_with_other_tool),
        Mark("pyproject.toml", 0.9, "[build-system]", is_python_package, 0.2),
        Mark("setup.py", 0.8, "setup("),
        Mark("setup.cfg", 0.7, "[metadata]", holds(r"^\[metadata\]")),
    ),
    tools=(("python3", "python"),),
    build_dir="dist",
    facts=(
        FactRule(
            _PYTEST, ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini"), uses_pytest
        ),
        FactRule(_PYTEST, ("conftest.py", "tests/conftest.py", "test/conftest.py")),
        FactRule("src", ("src",)),
    ),
    targets=None,
    verbose=("-v",),
    steps={
        Verb.BUILD: (
            Step((
                "python3", "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps",
                "--wheel-dir", "{build}", "{verbose}", "{options}", "{source}",
            )),
        ),
        Verb.TEST: (
            Step(
                ("python3", "-m", "pytest", "{verbose}", "{options}"),
                needs=frozenset((_PYTEST, "src")),
                environment=(("PYTHONPATH", "{source}/src"),),
            ),
            Step(
                ("python3", "-m", "pytest", "{verbose}", "{options}"),
                needs=frozenset((_PYTEST,)),
                unless=frozenset(("src",)),
                environment=(("PYTHONPATH", "{source}"),),
            ),
            Step(
                ("python3", "-m", "unittest", "discover", "{verbose}", "{options}"),
                unless=frozenset((_PYTEST,)),
                environment=(("PYTHONPATH", "{source}/src:{source}"),),
            ),
        ),
        Verb.INSTALL: (
            Step(("python3", "-m", "pip", "install", "--prefix", "{prefix}", "{source}")),
        ),
    },
    artefacts=("*.whl", "*.tar.gz"),
    made=("dist", "build", "*.egg-info", "__pycache__", ".venv", ".tox"),
    languages=("Python",),
)  # fmt: skip

SYSTEMS: Final[dict[SystemName, SystemSpec]] = {
    spec.name: spec
    for spec in (
        CMAKE, MESON, AUTOTOOLS, BAZEL, SCONS, _CARGO, _GO, _MAVEN, _GRADLE, _PNPM, _YARN, _NPM,
        _PYTHON, NINJA, MAKE,
    )
}  # fmt: skip
"""Every build system; of two with equal confidence the earlier one is meant."""
