"""Children that open dangerous files for us: each may be killed at any time, and its memory, time and rights are small."""

import atexit
import contextlib
import fcntl
import os
import resource
import selectors
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

import gateway
from gateway.domain.problems import Problem, Rejected
from gateway.settings import Limits

T = TypeVar("T")

_LENGTH: Final = struct.Struct("<Q")
_IDLE: Final = 4
_PIPE: Final = 1_048_576
_COSTLY: Final = Problem(code="file_too_costly")


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """The child's answer when the file is refused; `peak` is the most memory it ever held, in bytes.

    `leaving`: the child has met something it cannot trust itself after, and ends.
    """

    problems: tuple[Problem, ...]
    peak: int
    leaving: bool = False


class Done(msgspec.Struct, frozen=True, tag=True):
    """The child's answer when the file was read, and what was found in it, in msgpack."""

    result: msgspec.Raw
    peak: int


_answer: Final = msgspec.msgpack.Decoder(Refusal | Done)


class Child:
    """One process that reads one file at a time."""

    def __init__(self) -> None:
        """Start it with nothing of our environment but the way to this package."""
        environment = {"PYTHONPATH": str(Path(gateway.__file__).parents[1]), "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gateway.mapping.opener"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
            start_new_session=True,
        )
        assert self.process.stdin is not None  # noqa: S101 - the pipes were asked for above
        assert self.process.stdout is not None  # noqa: S101
        self.inlet, self.outlet = self.process.stdin.fileno(), self.process.stdout.fileno()
        for pipe in (self.inlet, self.outlet):
            with contextlib.suppress(OSError, AttributeError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
        os.set_blocking(self.inlet, False)
        os.set_blocking(self.outlet, False)

    def ask(self, request: bytes, limits: Limits) -> bytes | None:
        """Hand over a request and wait for the answer; None when the child broke its limits or died."""
        frame = memoryview(_LENGTH.pack(len(request)) + request)
        answer, expected = bytearray(), _LENGTH.size
        deadline = time.monotonic() + limits.child_seconds
        with selectors.DefaultSelector() as ready:
            ready.register(self.inlet, selectors.EVENT_WRITE)
            ready.register(self.outlet, selectors.EVENT_READ)
            while len(answer) < expected:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                for key, _ in ready.select(left):
                    try:
                        if key.fd == self.inlet:
                            frame = frame[os.write(self.inlet, frame[:1_048_576]) :]
                            if not frame:
                                ready.unregister(self.inlet)
                            continue
                        piece = os.read(self.outlet, 1_048_576)
                    except OSError:
                        return None
                    if not piece:
                        return None
                    answer += piece
                    if len(answer) >= _LENGTH.size:
                        expected = _LENGTH.size + _LENGTH.unpack_from(answer)[0]
                    if expected > limits.child_memory:
                        return None
        return bytes(memoryview(answer)[_LENGTH.size :])

    def end(self) -> None:
        """Kill it and clear it away."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()


class Children:
    """The children of this process: each calling thread has one for itself while it reads a file; a few wait idle.

    `peak`: the most memory that any of them said it held, in bytes; one that was killed held no more than its limit.
    """

    def __init__(self) -> None:
        """Begin with none; the first file starts the first."""
        self._idle: list[Child] = []
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self.peak = 0
        atexit.register(self.close)

    def read(self, task: str, body: bytes, limits: Limits, decode: Callable[[msgspec.Raw], T]) -> T:
        """Have a child do `task` with the file. Raises Rejected with its problems, or `file_too_costly` when it had to be killed."""
        child = self._take()
        answer: Refusal | Done | None = None
        try:
            reply = child.ask(msgspec.msgpack.encode((task, limits, body)), limits)
            answer = None if reply is None else _answer.decode(reply)
        except msgspec.DecodeError:
            answer = None
        finally:
            if answer is None or (isinstance(answer, Refusal) and answer.leaving):
                child.end()
                self._give(Child())
            else:
                self._give(child)
        self.peak = max(self.peak, answer.peak if answer is not None else 0)
        if isinstance(answer, Done):
            return decode(answer.result)
        raise Rejected(*(answer.problems if answer is not None else (_COSTLY,)))

    def close(self) -> None:
        """End all idle children."""
        with self._lock:
            idle, self._idle = self._idle, []
        if os.getpid() == self._owner:
            for child in idle:
                child.end()

    def _take(self) -> Child:
        with self._lock:
            if os.getpid() != self._owner:
                self._idle, self._owner = [], os.getpid()
            while self._idle:
                child = self._idle.pop()
                if child.process.poll() is None:
                    return child
                child.end()
        return Child()

    def _give(self, child: Child) -> None:
        with self._lock:
            if len(self._idle) < _IDLE:
                self._idle.append(child)
                return
        child.end()


children: Final = Children()


def obey(limits: Limits) -> None:
    """In the child: accept the limits of this task. Files cannot be written, and the processor's time is counted from now."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.child_memory, resource.RLIM_INFINITY))
    used = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + limits.child_seconds) + 2, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def receive() -> tuple[str, Limits, bytes] | None:
    """In the child: the next request, None when the parent has gone."""
    head = sys.stdin.buffer.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return msgspec.msgpack.decode(sys.stdin.buffer.read(_LENGTH.unpack(head)[0]), type=tuple[str, Limits, bytes])


def reply(answer: Refusal | Done) -> None:
    """In the child: send the answer."""
    body = msgspec.msgpack.encode(answer)
    sys.stdout.buffer.write(_LENGTH.pack(len(body)))
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def peak() -> int:
    """In the child: the most memory it ever held, in bytes; where the system does not tell that of one program, 0."""
    with contextlib.suppress(OSError), Path("/proc/self/status").open(encoding="ascii") as status:
        return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")), 0)
    return 0
