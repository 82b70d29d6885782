"""Launchers for tests: a scratch home, either kind of stub, a compiler that only tells how it was
called, and an agent that says what it is told to say.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cyxmake_cli.launcher import masquerade, protocol
from cyxmake_cli.launcher.home import Home
from cyxmake_cli.launcher.protocol import CompileRequest, Header
from cyxmake_cli.launcher.stub import stub
from support.processes import environment

TELLER = """#!{python}
import json, os, signal, sys
told = {{
    "argv0": os.environ.pop("TOLD_ARGV0", ""),
    "argv": [os.fsencode(a).hex() for a in sys.argv[1:]],
    "path": os.environ.get("PATH"),
    "stdin": sys.stdin.buffer.read().hex() if os.environ.get("TELL_STDIN") else "",
    "descriptors": sorted(int(n) for n in os.listdir("/proc/self/fd")),
}}
with open(os.environ["TELL"], "a") as file:
    file.write(json.dumps(told) + "\\n")
sys.stdout.write(os.environ.get("SAY_OUT", ""))
sys.stderr.write(os.environ.get("SAY_ERR", ""))
sys.stdout.flush(), sys.stderr.flush()
if os.environ.get("DIE_BY"):
    os.kill(os.getpid(), int(os.environ["DIE_BY"]))
sys.exit(int(os.environ.get("EXIT", "0")))
"""
"""A compiler that writes down how it was called; a script, since it is only ever exec'd."""


@dataclass
class Bench:
    """A scratch home with a stub, stand-ins for `cc` and `gcc`, and a telling compiler."""

    path: Path
    stub: Path
    home: Home
    tools: Path
    folder: Path

    @classmethod
    def make(cls, path: Path, *, native: bool) -> Bench:
        """Make everything in a folder."""
        tools = path / "tools"
        tools.mkdir(parents=True)
        for name in ("cc", "gcc"):
            (tools / name).write_text(TELLER.format(python=sys.executable))
            (tools / name).chmod(0o755)
        home = Home(path / "cache" / "launcher")
        home.path.parent.mkdir()
        program = stub(home) if native else stub(home, path="")
        masquerade.install(home.masquerade, program, ("cc", "gcc"))
        folder = path / "work"
        folder.mkdir()
        return cls(path, program, home, tools, folder)

    def environ(self, **more: str) -> dict[str, str]:
        """Return the environment of a call: stand-ins first, then the telling compilers."""
        usual = {
            "CYXMAKE_CACHE_DIR": str(self.path / "cache"),
            "CYXMAKE_CONFIG_DIR": str(self.path / "config"),
            "CYXMAKE_LAUNCHER_NO_START": "1",
            "PATH": f"{self.home.masquerade}:{self.tools}:/usr/bin:/bin",
            "PWD": str(self.folder),
            "TELL": str(self.path / "told"),
        }
        return environment(**usual | more)

    def call(
        self,
        *argv: str | bytes,
        stdin: bytes | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        **more: str,
    ) -> subprocess.CompletedProcess[bytes]:
        """Call a compiler by name, as a build tool would."""
        environ = dict(env) if env is not None else self.environ(**more)
        program = shutil.which(os.fsdecode(argv[0]), path=environ["PATH"])
        return subprocess.run(
            argv,
            executable=program or argv[0],
            cwd=cwd or self.folder,
            env=environ,
            input=stdin,
            capture_output=True,
            check=False,
        )

    def told(self) -> list[dict[str, object]]:
        """Return how the real compiler was called, call by call."""
        try:
            lines = (self.path / "told").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]


Script = Callable[[CompileRequest, socket.socket], None]
"""What a false agent does with a request: it says what it likes and may close the connection."""


def say(answer: bytes) -> Script:
    """Return a script that gives one answer."""

    def script(request: CompileRequest, connection: socket.socket) -> None:
        del request
        connection.sendall(answer)

    return script


class FalseAgent:
    """Listens where the agent would, and does what the script says; a context manager."""

    def __init__(self, home: Home, script: Script) -> None:
        self._home = home
        self._script = script
        self.requests: list[CompileRequest] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve, name="false agent")

    def __enter__(self) -> Self:
        here = Path.cwd()
        os.chdir(self._home.path)
        try:
            Path("agent.sock").unlink(missing_ok=True)
            self._listener.bind("agent.sock")
        finally:
            os.chdir(here)
        self._listener.listen(64)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    header = Header.parse(_receive(connection, protocol.HEADER.size))
                    body = _receive(connection, header.length)
                    request = protocol.parse_compile_request(header, body)
                    self.requests.append(request)
                    self._script(request, connection)
                except OSError:
                    continue


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("the stub is gone")
        data += piece
    return data
