"""What a stub does, of either kind: asks for plain compiles, becomes the compiler for the rest."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from cyxmake_cli.launcher import masquerade, protocol
from cyxmake_cli.launcher.home import Home
from cyxmake_cli.launcher.protocol import CompileRequest
from cyxmake_cli.launcher.stub import stub
from support.launcher import Bench, FalseAgent, say

DONE = protocol.done(b"", b"")
COMPILE = ("gcc", "-c", "a.c", "-o", "a.o")


def test_a_compile_that_is_done_starts_no_compiler(bench: Bench) -> None:
    """Both streams come back byte for byte, the status is 0, nothing else runs."""
    with FalseAgent(bench.home, say(protocol.done(b"out\xff", b"a.c:1: warning\n"))) as agent:
        done = bench.call(*COMPILE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"out\xff", b"a.c:1: warning\n")
    assert bench.told() == []
    (request,) = agent.requests
    assert request.argv[1:] == COMPILE[1:]
    assert Path(request.argv[0]).name == "gcc"
    assert request.compiler == str(bench.tools / "gcc")
    assert request.directory == str(bench.folder)
    assert str(bench.home.masquerade) not in request.environ["PATH"]
    assert not request.terminal


def test_signs_of_life_come_before_the_answer(bench: Bench) -> None:
    """However many there are, the stub waits on."""
    with FalseAgent(bench.home, say(protocol.ALIVE * 500 + DONE)):
        assert bench.call(*COMPILE).returncode == 0
    assert bench.told() == []


@pytest.mark.parametrize(
    "answer",
    [
        protocol.LOCAL,
        b"",
        protocol.ALIVE,
        b"?",
        DONE[:5],
        protocol.done(b"cut off", b"")[:-3],
    ],
    ids=["local", "closed", "dies", "nonsense", "cut in the sizes", "cut in the text"],
)
def test_whatever_is_no_answer_runs_the_compiler(bench: Bench, answer: bytes) -> None:
    """The compiler runs once, and only its own words are heard."""
    with FalseAgent(bench.home, say(answer)):
        done = bench.call(*COMPILE, SAY_OUT="o", SAY_ERR="e", EXIT="3")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"o", b"e")
    assert len(bench.told()) == 1


def test_a_compile_is_left_to_the_stub_with_options(bench: Bench) -> None:
    """They stand right behind the compiler's name; a cut list is no answer."""
    answer = protocol.local(["-ffile-prefix-map=/a b=/x", "-O\udcff"])
    with FalseAgent(bench.home, say(answer)):
        assert bench.call(*COMPILE).returncode == 0
    with FalseAgent(bench.home, say(answer[:-2])):
        assert bench.call(*COMPILE).returncode == 0
    rest = [word.encode().hex() for word in COMPILE[1:]]
    added = [b"-ffile-prefix-map=/a b=/x".hex(), b"-O\xff".hex()]
    assert [told["argv"] for told in bench.told()] == [[*added, *rest], rest]


def test_without_an_agent_the_compiler_runs(bench: Bench) -> None:
    """Nothing is said, no descriptor is left open, PATH has lost the stand-ins."""
    done = bench.call(*COMPILE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (told,) = bench.told()
    assert told["argv"] == [word.encode().hex() for word in COMPILE[1:]]
    assert told["path"] == f"{bench.tools}:/usr/bin:/bin"
    assert told["descriptors"] == [0, 1, 2, 3]  # the last is that of the listing itself


def test_a_dead_agents_socket_is_no_obstacle(bench: Bench) -> None:
    """What a killed agent leaves behind is the same as no agent."""
    with FalseAgent(bench.home, say(DONE)):
        pass
    assert bench.home.socket.exists()
    assert bench.call(*COMPILE).returncode == 0
    assert len(bench.told()) == 1


@pytest.mark.parametrize(
    "argv",
    [
        ("gcc", "a.o", "-o", "a"),
        ("gcc", "-E", "-c", "a.c"),
        ("gcc", "-M", "-c", "a.c"),
        ("gcc", "-c", "-x", "c", "-"),
        ("gcc", "-c", "conftest.c"),
        ("cc", "--version"),
        ("cc",),
        ("gcc", "-fsyntax-only", "-S", "a.c"),
        ("gcc", "-c", "CMakeFiles/CMakeTmp/x.c"),
    ],
)
def test_what_is_surely_no_plain_compile_is_not_asked_for(
    bench: Bench, argv: tuple[str, ...]
) -> None:
    """The stub becomes the compiler at once."""
    with FalseAgent(bench.home, say(DONE)) as agent:
        bench.call(*argv)
    assert agent.requests == []
    assert [told["argv"] for told in bench.told()] == [[w.encode().hex() for w in argv[1:]]]


@pytest.mark.parametrize("name", ["CMakeFiles/CMakeScratch/T", "meson-private/x", "_configtest"])
def test_configure_checks_are_known_by_their_directory(bench: Bench, name: str) -> None:
    """A compile in such a directory stays local."""
    folder = bench.folder / name
    folder.mkdir(parents=True)
    with FalseAgent(bench.home, say(DONE)) as agent:
        bench.call(*COMPILE, cwd=folder, PWD=str(folder))
    assert agent.requests == []
    assert len(bench.told()) == 1


def test_it_can_be_switched_off(bench: Bench) -> None:
    """CYXMAKE_LAUNCHER_DISABLE makes the stub a mere name."""
    with FalseAgent(bench.home, say(DONE)) as agent:
        bench.call(*COMPILE, CYXMAKE_LAUNCHER_DISABLE="1")
    assert agent.requests == []
    assert len(bench.told()) == 1


def test_a_signal_ends_it_as_it_ends_the_compiler(bench: Bench) -> None:
    """The process is the compiler, so that its end is the compiler's."""
    done = bench.call(*COMPILE, DIE_BY=str(int(signal.SIGSEGV)))
    assert done.returncode == -signal.SIGSEGV


def test_standard_input_reaches_the_compiler(bench: Bench) -> None:
    """Not a byte of it is taken, asked or not."""
    with FalseAgent(bench.home, say(protocol.LOCAL)):
        for argv in (("gcc", "-xc", "-c", "-"), COMPILE):
            bench.call(*argv, stdin=b"int x;\0\xff", TELL_STDIN="1")
    assert [told["stdin"] for told in bench.told()] == [b"int x;\0\xff".hex()] * 2


def test_any_argument_survives(bench: Bench) -> None:
    """Newlines, quotes, bytes of no encoding, empty words, 200 KB: here and in the request."""
    odd = (b"-c", b"a\nb", b"\xff\xfe", b"", b"'\"$x`", b"-D" + b"x" * 120_000, b"y" * 90_000)
    with FalseAgent(bench.home, say(protocol.LOCAL)) as agent:
        bench.call(b"gcc", *odd)
    assert [os.fsencode(word) for word in agent.requests[0].argv[1:]] == list(odd)
    assert bench.told()[0]["argv"] == [word.hex() for word in odd]


def test_the_umask_and_the_environment_are_sent(bench: Bench) -> None:
    """The agent learns what the outputs' modes and the compile's meaning depend on."""
    with FalseAgent(bench.home, say(DONE)) as agent:
        script = f"umask 027; cd {bench.folder}; exec gcc -c a.c"
        environ = bench.environ(CPATH="x\n=y", SPECIAL="\udcff")
        subprocess.run(["/bin/sh", "-c", script], env=environ, check=True)
    assert agent.requests[0].umask == 0o027
    assert agent.requests[0].environ["CPATH"] == "x\n=y"
    assert agent.requests[0].environ["SPECIAL"] == "\udcff"


def test_the_directory_is_named_as_compilers_name_it(bench: Bench) -> None:
    """PWD when it is right, though through a link; the kernel's name when PWD is stale."""
    link = bench.path / "link"
    link.symlink_to(bench.folder)
    with FalseAgent(bench.home, say(DONE)) as agent:
        bench.call(*COMPILE, env={**bench.environ(), "PWD": str(link)})
        bench.call(*COMPILE, env={**bench.environ(), "PWD": "/"})
        bench.call(*COMPILE, env={**bench.environ(), "PWD": "relative"})
    assert [r.directory for r in agent.requests] == [
        str(link),
        str(bench.folder),
        str(bench.folder),
    ]


def test_a_long_path_to_the_socket(tmp_path: Path, bench: Bench) -> None:
    """A socket's address holds some hundred bytes; the path may be longer."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    home = Home(deep / "launcher")
    home.make()
    with FalseAgent(home, say(DONE)) as agent:
        done = bench.call(*COMPILE, env={**bench.environ(), "CYXMAKE_CACHE_DIR": str(deep)})
    assert done.returncode == 0
    assert len(agent.requests) == 1


# ── which compiler ──────────────────────────────────────────────────────────────────────────────


def test_called_as_a_launcher(bench: Bench) -> None:
    """The compiler is the first argument: looked for in PATH, or a path that is used as it is."""
    other = bench.path / "gcc-special"
    shutil.copy(bench.tools / "gcc", other)
    with FalseAgent(bench.home, say(DONE)) as agent:
        for name in ("gcc", str(other), str(bench.home.masquerade / "cc")):
            bench.call(str(bench.stub), name, "-c", "a.c")
    assert [(r.compiler, r.argv[0]) for r in agent.requests] == [
        (str(bench.tools / "gcc"), "gcc"),
        (str(other), str(other)),
        (str(bench.tools / "cc"), "cc"),
    ]


def test_a_stand_in_called_by_its_path(bench: Bench) -> None:
    """The compiler hears its own path, for it would look for its files beside ours."""
    with FalseAgent(bench.home, say(DONE)) as agent:
        bench.call(str(bench.home.masquerade / "gcc"), "-c", "a.c")
    assert agent.requests[0].argv[0] == agent.requests[0].compiler == str(bench.tools / "gcc")


def test_several_folders_of_stand_ins(bench: Bench) -> None:
    """None of them is taken for the compiler, wherever it stands in PATH."""
    other = bench.path / "more"
    masquerade.install(other, bench.stub, ("gcc",))
    path = f"{other}:{bench.home.masquerade}::{other}/:{bench.tools}:{other}"
    bench.call(*COMPILE, env={**bench.environ(), "PATH": path})
    assert [told["path"] for told in bench.told()] == [f":{bench.tools}"]


def test_no_such_compiler(bench: Bench) -> None:
    """The status is that of a shell that finds no program."""
    done = bench.call(str(bench.stub), "gcc-not-there", "-c", "a.c")
    assert done.returncode == 127
    assert b"gcc-not-there: not found" in done.stderr


def test_a_compiler_that_leads_back_to_us_ends(bench: Bench) -> None:
    """A link that nobody marked as a stand-in cannot make us call ourselves for ever."""
    trap = bench.path / "trap"
    trap.mkdir()
    (trap / "gcc").symlink_to(bench.stub)
    done = bench.call(*COMPILE, env={**bench.environ(), "PATH": f"{trap}:/usr/bin:/bin"})
    assert done.returncode == 126
    assert b"calls itself" in done.stderr


def test_a_compiler_that_calls_a_compiler_is_asked_for_once(bench: Bench) -> None:
    """What runs below a compile is that compile's own affair."""
    wrapper = bench.tools / "gcc"
    wrapper.write_text(f'#!/bin/sh\nexec {bench.home.masquerade}/cc "$@"\n')
    with FalseAgent(bench.home, say(protocol.LOCAL)) as agent:
        bench.call(*COMPILE)
    assert len(agent.requests) == 1
    assert len(bench.told()) == 1


def test_a_script_without_its_first_line_is_run_by_a_shell(bench: Bench) -> None:
    """As execvp does it."""
    (bench.tools / "gcc").write_text("exit 7\n")
    assert bench.call(*COMPILE).returncode == 7


# ── ends in the middle ──────────────────────────────────────────────────────────────────────────


def test_the_agent_sees_the_stubs_end(bench: Bench) -> None:
    """Ctrl-C kills the stub; its connection ends with it."""
    ended: list[bytes] = []
    processes: queue.Queue[subprocess.Popen[bytes]] = queue.Queue()

    def script(request: CompileRequest, connection: socket.socket) -> None:
        del request
        processes.get(timeout=20).send_signal(signal.SIGINT)
        ended.append(connection.recv(1))

    environ = bench.environ()
    program = shutil.which("gcc", path=environ["PATH"])
    with FalseAgent(bench.home, script):
        process = subprocess.Popen(
            COMPILE, executable=program, cwd=bench.folder, env=environ, stderr=subprocess.DEVNULL
        )
        processes.put(process)
        process.wait(20)
    assert process.returncode in (-signal.SIGINT, 130)
    assert ended == [b""]
    assert bench.told() == []


def test_a_closed_standard_error_is_no_failure(bench: Bench) -> None:
    """The compile is done, whoever listens."""
    script = f"cd {bench.folder}; exec gcc -c a.c 2>&-"
    with FalseAgent(bench.home, say(protocol.done(b"", b"words"))):
        done = subprocess.run(["/bin/sh", "-c", script], env=bench.environ(), check=False)
    assert done.returncode == 0


# ── how it is made ──────────────────────────────────────────────────────────────────────────────


def test_the_stub_is_made_once(tmp_path: Path) -> None:
    """A second call finds the first one's program."""
    home = Home(tmp_path / "launcher")
    first = stub(home)
    stamp = first.stat().st_mtime_ns
    assert stub(home) == first
    assert first.stat().st_mtime_ns == stamp
    assert oct(home.path.stat().st_mode & 0o777) == "0o700"


def test_without_a_working_compiler_it_is_a_script(tmp_path: Path) -> None:
    """No compiler in PATH, or one that fails: the Python stub stands in."""
    (tmp_path / "cc").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "cc").chmod(0o755)
    home = Home(tmp_path / "launcher")
    for path in ("", str(tmp_path)):
        assert stub(home, path=path).read_bytes().startswith(b"#!/bin/sh")
