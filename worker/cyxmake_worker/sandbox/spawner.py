"""Forks sandboxed commands on Linux: a small single-threaded process that a worker keeps beside
itself.

Knows nothing of actions or digests and imports nothing of ours: it is run as a script, by a
Python without site packages, so that a fork of it is cheap and safe, which a fork of the threaded
worker is not.

Theory of operation. At its start the spawner enters namespaces that all actions share and that
hold nothing of the host: an empty network namespace, a host name, and, unless it may change its
user id, a user namespace. Then it reads packets from the socket it was started with:

    R id   with five descriptors: request (JSON), report, stdout, stderr, gone. Fork `init` for it.
    K id   kill that init, and with it, since it is process 1 of a PID namespace, every descendant.

`gone` is held open until the action has no process any more.

A request may hold several commands (see steps), show parts of the host, read-only, and leave the
network as it is. For that, `setup` must allow the network: then the spawner keeps the host's, and
the empty ones are made by children that hand them over.

The `init` of an action lays the overlay, pivots into it and forks the command. Both write lines
of JSON to the report pipe: {"places"} once the output directories exist, {"failed"} when
something of ours went wrong (then the command never ran), {"exited"} with the wait status. A
report without `failed` and `exited` means that init was killed. Death is passed on: when the
worker dies the socket ends and the spawner goes, when the spawner dies every init is killed by
its parent-death signal.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import Final, NoReturn

from cyxmake_worker.sandbox import kernel
from cyxmake_worker.sandbox.requests import Failed, Request, Setup, attempt
from cyxmake_worker.sandbox.root import lay_root, prepare_devices
from cyxmake_worker.sandbox.steps import APART, StepEnd, StepRequest, Steps

if sys.platform != "linux":
    raise ImportError("namespaces exist on Linux only")

PACKET: Final = struct.Struct("<cQ")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _enter_namespaces(setup: Setup) -> None:
    """Enter what all actions share, and prepare the one /dev that all of them see."""
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWPID
    if not setup["network"]:
        flags |= kernel.CLONE_NEWNET
    uid, gid = os.getuid(), os.getgid()
    if setup["user_namespace"]:
        flags |= kernel.CLONE_NEWUSER
    attempt("unshare", lambda: kernel.unshare(flags))
    if setup["user_namespace"]:
        # One id only, ours: files of the command belong to us, and nobody else's id can be taken.
        attempt("setgroups", lambda: _write("/proc/self/setgroups", "deny"))
        attempt("uid_map", lambda: _write("/proc/self/uid_map", f"{setup['uid']} {uid} 1"))
        attempt("gid_map", lambda: _write("/proc/self/gid_map", f"{setup['gid']} {gid} 1"))
    attempt("bounding set", kernel.empty_bounding_set)
    attempt("private", lambda: kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE))
    attempt("hostname", lambda: socket.sethostname("localhost"))
    attempt("dev", lambda: prepare_devices(setup["base"] + "/dev"))


def _drop_privileges(setup: Setup) -> None:
    if not setup["user_namespace"]:
        os.setgroups([])
        os.setresgid(setup["gid"], setup["gid"], setup["gid"])
        os.setresuid(setup["uid"], setup["uid"], setup["uid"])
    kernel.drop_capabilities()


def _make_places(request: Request) -> dict[str, str]:
    """Make the directories of the outputs; return where each output is once links are followed."""
    places: dict[str, str] = {}
    parents: dict[str, str] = {}
    os.makedirs(request["cwd"], exist_ok=True)  # noqa: PTH103
    os.chdir(request["cwd"])
    for output in request["outputs"]:
        parent, name = os.path.split(os.path.join(request["cwd"], output))  # noqa: PTH118
        if parent not in parents:
            parents[parent] = os.path.realpath(parent)  # makedirs stops at a dangling link
            os.makedirs(parents[parent], exist_ok=True)  # noqa: PTH103
        places[output] = f"{parents[parent].rstrip('/')}/{name}"
    return places


def _program(name: str, path: str) -> str:
    """Return the path of the program that a shell would start; raises FileNotFoundError."""
    if "/" in name:
        return name
    for directory in path.split(":"):
        found = f"{directory or '.'}/{name}"
        if os.path.isfile(found) and os.access(found, os.X_OK):  # noqa: PTH113
            return found
    raise FileNotFoundError(2, "not found in PATH", name)


def _execute(setup: Setup, request: Request, streams: tuple[int, int], report: int) -> NoReturn:
    """Become the command."""
    _become_command(setup, request, streams)
    places: dict[str, str] = {}
    attempt("outputs", lambda: places.update(_make_places(request)))
    _tell(report, {"places": places})
    _reset_signals()
    environment = request["environment"]
    try:
        program = _program(request["argv"][0], environment.get("PATH", "/usr/bin:/bin"))
        os.execve(program, request["argv"], environment)  # noqa: S606 - what we are for
    except OSError as error:
        raise Failed("exec", error) from error


def _execute_step(
    setup: Setup, request: Request, streams: tuple[int, int], step: StepRequest
) -> NoReturn:
    """Become the command of one step; what cannot be started says so and has failed."""
    _become_command(setup, request, streams)
    _reset_signals()
    environment = {**request["environment"], **step["environment"]}
    try:
        os.makedirs(step["directory"], exist_ok=True)  # noqa: PTH103
        os.chdir(step["directory"])
        program = _program(step["argv"][0], environment.get("PATH", "/usr/bin:/bin"))
        os.execve(program, step["argv"], environment)  # noqa: S606 - what we are for
    except OSError as error:
        os.write(2, f"{step['argv'][0]}: {error.strerror}\n".encode())
        os._exit(127)


def _run_steps(
    setup: Setup, request: Request, streams: tuple[int, int], report: int, apart: int
) -> dict[str, object]:
    """Run the steps of an arrangement; returns what is told of the end."""
    arranged = request["arranged"]
    assert arranged is not None
    _make_places_as_command(setup, request, report)

    def start(number: int, step: StepRequest) -> NoReturn:
        out = streams
        if apart >= 0:
            file = os.open(str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=apart)
            out = (file, file)
        _execute_step(setup, request, out, step)

    steps = Steps(arranged["steps"], max(1, arranged["jobs"]), arranged["keep_going"], start)
    ends: list[StepEnd] = steps.run()
    _tell(report, {"steps": ends})
    return {"status": steps.failed, "rss": steps.rss, "cpu": steps.cpu}


def _make_places_as_command(setup: Setup, request: Request, report: int) -> None:
    """Make the directories of the outputs as the user that the commands will be."""
    pid = os.fork()
    if pid == 0:
        try:
            _drop_privileges(setup)
            os.umask(0o022)
            _tell(report, {"places": _make_places(request)})
        except OSError as error:
            _tell_failure(report, Failed("outputs", error))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def _reset_signals() -> None:
    # Python ignores these two; a command has a right to die of them.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def _become_command(setup: Setup, request: Request, streams: tuple[int, int]) -> None:
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(streams[0], 1)
    os.dup2(streams[1], 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limit := request["file_bytes"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if limit := request["memory_bytes"]:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    attempt("privileges", lambda: _drop_privileges(setup))
    os.umask(0o022)


def _tell(report: int, message: dict[str, object]) -> None:
    os.write(report, json.dumps(message).encode() + b"\n")


def _tell_failure(report: int, failure: Failed) -> None:
    error = failure.error
    text = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    _tell(report, {"failed": {"stage": failure.stage, "errno": error.errno or 0, "text": text}})


def _run_init(setup: Setup, network: int, descriptors: list[int]) -> None:
    """Be process 1 of an action: lay its root, start the command, tell how it ended."""
    request_file, report, stdout, stderr, gone = descriptors
    os.close(gone)
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # the command must not look into us through /proc/1
        request: Request = json.loads(os.pread(request_file, os.fstat(request_file).st_size, 0))
        arranged = request["arranged"]
        if arranged is None or not arranged["network"]:
            attempt("network", lambda: kernel.setns(network, kernel.CLONE_NEWNET))
        elif not setup["network"]:
            raise Failed("network", OSError(1, "is not allowed here"))
        attempt("unshare", lambda: kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC))
        apart = -1
        if arranged is not None and arranged["apart"]:
            apart = os.open(f"{request['scratch']}/{APART}", os.O_RDONLY | os.O_DIRECTORY)
        lay_root(setup, request)
        started = time.monotonic()
        if arranged is not None:
            ended = _run_steps(setup, request, (stdout, stderr), report, apart)
            for descriptor in (stdout, stderr):
                os.close(descriptor)
            _end_the_rest()
            _tell(report, {"exited": {**ended, "seconds": time.monotonic() - started}})
            return
        command = os.fork()
        if command == 0:
            _execute(setup, request, (stdout, stderr), report)
        for descriptor in (stdout, stderr):
            os.close(descriptor)
        while True:
            pid, status, usage = os.wait4(-1, 0)  # orphans come to us and are forgotten
            if pid == command:
                break
        _end_the_rest()
        seconds = time.monotonic() - started
        cpu = usage.ru_utime + usage.ru_stime
        exited = {"status": status, "rss": usage.ru_maxrss, "seconds": seconds, "cpu": cpu}
        _tell(report, {"exited": exited})
    except Failed as failure:
        _tell_failure(report, failure)
    except (OSError, ValueError, KeyError) as error:
        wrapped = error if isinstance(error, OSError) else OSError(0, repr(error))
        _tell_failure(report, Failed("init", wrapped))


def _receive_packet(channel: socket.socket) -> tuple[bytes, list[int]]:
    """Return a packet and its descriptors, none of which the command may inherit.

    Not `socket.recv_fds`: that one forgets its flags, and a command would hold the report pipe.
    """
    fds = array.array("i")
    data, ancillary, _, _ = channel.recvmsg(
        PACKET.size, socket.CMSG_LEN(8 * fds.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return data, list(fds)


def _end_the_rest() -> None:
    """Kill what the command left running; nothing may write any more once its end is reported."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _network_of_child() -> int:
    """Return an empty network namespace that a child made: whoever leaves ours cannot come back."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        pid = os.fork()
        if pid == 0:
            try:
                kernel.unshare(kernel.CLONE_NEWNET)
                made = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                socket.send_fds(theirs, [b"n"], [made])
            except OSError as error:
                theirs.send(f"e{error.errno or 0}".encode())
            finally:
                os._exit(0)
        data, descriptors, _, _ = socket.recv_fds(ours, 16, 1)
        os.waitpid(pid, 0)
    if not descriptors:
        number = int(data[1:] or b"0")
        raise OSError(number, os.strerror(number), "unshare")
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]


class Spawner:
    """The loop: packets in, forks out."""

    def __init__(self, channel: socket.socket, setup: Setup) -> None:
        self._channel = channel
        self._setup = setup
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._networks: list[int] = []
        self._running: dict[int, tuple[int, int, int, int]] = {}
        """By pidfd: (action id, pid, network namespace, `gone`)."""

    def serve(self) -> None:
        """Serve until the worker closes its end; the commands then die with us."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor != self._channel.fileno():
                    self._reap(descriptor)
                elif not self._receive():
                    return

    def _receive(self) -> bool:
        data, descriptors = _receive_packet(self._channel)
        if not data:
            return False
        kind, number = PACKET.unpack(data)
        if kind == b"R":
            self._start(number, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if kind == b"K":
            for pidfd, (running, _, _, _) in self._running.items():
                if running == number:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        return True

    def _start(self, number: int, descriptors: list[int]) -> None:
        report = descriptors[1]
        try:
            network = self._networks.pop() if self._networks else self._make_network()
            # Only children of ours enter the new PID namespace; afterwards ours is put back,
            # because a second one can only be made from there.
            kernel.unshare(kernel.CLONE_NEWPID)
            pid = os.fork()
            if pid == 0:
                self._become_init(network, descriptors)
            kernel.setns(self._own_pids, kernel.CLONE_NEWPID)
        except OSError as error:
            _tell_failure(report, Failed("fork", error))
            return
        pidfd = os.pidfd_open(pid)
        self._running[pidfd] = (number, pid, network, os.dup(descriptors[4]))
        self._poll.register(pidfd, select.POLLIN)

    def _become_init(self, network: int, descriptors: list[int]) -> NoReturn:
        try:
            others = [running[3] for running in self._running.values()]
            for descriptor in (self._channel.fileno(), self._own_pids, *self._running, *others):
                os.close(descriptor)
            _run_init(self._setup, network, descriptors)
        finally:
            os._exit(0)

    def _make_network(self) -> int:
        """Return an empty network namespace; they are reused, as making one takes milliseconds."""
        if self._setup["network"]:
            return _network_of_child()
        kernel.unshare(kernel.CLONE_NEWNET)
        return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _reap(self, pidfd: int) -> None:
        _, pid, network, gone = self._running.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        os.waitpid(pid, 0)
        os.close(gone)
        self._networks.append(network)


def main() -> None:
    """Run with two arguments: the descriptor of the socket, and the setup."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    setup: Setup = json.loads(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker to decide about
    gc.disable()
    gc.freeze()
    try:
        _enter_namespaces(setup)
        inner = os.fork()
        if inner == 0:
            # Process 1 of a PID namespace: whatever ends us ends every action, also the strayed.
            attempt("pdeathsig", lambda: kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL))
            channel.send(b"{}")
            Spawner(channel, setup).serve()
            os._exit(0)
    except Failed as failure:
        _tell_failure(channel.fileno(), failure)
        return
    channel.close()
    os.waitpid(inner, 0)
