"""Runs a compile in a root that holds only what was captured and what the closure found.

Knows nothing of clusters: it is the shortest way from a capture to a compile without an installed
compiler. Uses bubblewrap; `available` says whether this machine can.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cyxmake_common.cas.tree import InputTree
from cyxmake_common.cas.tree_scan import TreeScanner
from cyxmake_common.cas.tree_walk import TreeDirectory, TreeFile, TreeSymlink
from cyxmake_common.digest import Digest
from cyxmake_common.includes.closure import Closure, IncludeClosure
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_common.toolchain.environment import relevant_environment
from cyxmake_common.toolchain.identity import Toolchain, ToolchainStore
from cyxmake_common.toolchain.local import LocalOnly


def available() -> bool:
    """Tell whether bubblewrap can make a root here."""
    if shutil.which("bwrap") is None:
        return False
    probe = ["bwrap", "--unshare-all", "--bind", "/", "/", "true"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


@dataclass(frozen=True, slots=True)
class Ran:
    """What one compile left: verdict, texts, and the bytes of every output that exists."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    outputs: dict[str, bytes]


class EmptyRootCompiler:
    """Compiles one command here and in an empty root, and returns both."""

    def __init__(self, store: ToolchainStore, work: Path, blobs: Path) -> None:
        self._store = store
        self._work = work
        self._blobs = blobs

    def compile_both(self, argv: list[str], cwd: Path) -> tuple[Ran, Ran]:
        """Return what the command leaves locally and in the empty root."""
        command = parse_compile(argv, lambda path: (cwd / path).read_bytes())
        assert isinstance(command, CompileCommand), command
        compiler = shutil.which(command.compiler)
        assert compiler is not None
        toolchain = self._store.get(compiler)
        assert isinstance(toolchain, Toolchain), toolchain
        environ = relevant_environment(
            command.kind, {"LANG": "C.UTF-8"}, path=toolchain.path, locales=toolchain.locales
        )
        assert not isinstance(environ, LocalOnly), environ
        builtin = self._store.builtin_includes(compiler, command, str(cwd))
        assert not isinstance(builtin, LocalOnly), builtin
        closure = IncludeClosure().closure(command, str(cwd), builtin, environ)
        root = self._materialise(toolchain, closure, command, cwd)
        environment = {**dict(environ), "PATH": os.environ["PATH"]}
        local = self._run(argv, command, cwd, environment, "")
        away = self._run([*self._bwrap(root, cwd, environ), *argv], command, cwd, None, str(root))
        return local, away

    def _materialise(
        self, toolchain: Toolchain, closure: Closure, command: CompileCommand, cwd: Path
    ) -> Path:
        tree = InputTree.load(toolchain.id, lambda digest: toolchain.directories[digest])
        sources: dict[Digest, str | bytes] = toolchain.blobs()

        def digest_file(path: str) -> Digest:
            digest = Digest.of_file(path)
            sources[digest] = path
            return digest

        scanner = TreeScanner(tree, digest_file)
        for folder in closure.directories:
            scanner.add_directory(folder)
        for path in closure.files:
            scanner.add_path(path)
        for output in command.outputs:
            tree.add_directory(os.path.normpath(cwd / output).rpartition("/")[0])
        root = self._work / "root"
        shutil.rmtree(root, ignore_errors=True)
        tree.add_directory("/tmp")
        for entry in tree.entries():
            place = f"{root}{entry.path}"
            match entry:
                case TreeDirectory():
                    Path(place).mkdir(parents=True, exist_ok=True)
                case TreeSymlink(_, target):
                    Path(place).symlink_to(target)
                case TreeFile(_, digest, executable):
                    os.link(self._blob(digest, sources[digest], executable), place)
        return root

    def _blob(self, digest: Digest, source: str | bytes, executable: bool) -> Path:
        """Return a copy of a blob for roots to link to: a compiler is copied once."""
        self._blobs.mkdir(exist_ok=True)
        path = self._blobs / f"{digest.hash}-{int(executable)}"
        if not path.exists():
            if isinstance(source, bytes):
                path.write_bytes(source)
            else:
                shutil.copyfile(source, path)
            path.chmod(0o755 if executable else 0o644)
        return path

    def _bwrap(self, root: Path, cwd: Path, environ: tuple[tuple[str, str], ...]) -> list[str]:
        variables = [word for name, value in environ for word in ("--setenv", name, value)]
        return [
            *("bwrap", "--unshare-all", "--die-with-parent", "--bind", str(root), "/"),
            *("--dev", "/dev", "--proc", "/proc", "--clearenv", *variables),
            *("--chdir", str(cwd)),
        ]

    def _run(
        self,
        argv: list[str],
        command: CompileCommand,
        cwd: Path,
        environ: dict[str, str] | None,
        root: str,
    ) -> Ran:
        """Run, and take the outputs away from where they were written."""
        done = subprocess.run(argv, check=False, capture_output=True, cwd=cwd, env=environ)
        outputs = {}
        for output in command.outputs:
            path = Path(f"{root}{os.path.normpath(cwd / output)}")
            if path.is_file():
                outputs[output] = path.read_bytes()
                path.unlink()
        return Ran(done.returncode, done.stdout, done.stderr, outputs)
