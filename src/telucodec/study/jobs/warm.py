"""Jobs that need not start Python: they are forked from a process that has imported what runs import."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property

from telucodec.study.jobs.forks import EVERY
from telucodec.training.version import version_on_disk

FORKS = ("-m", "telucodec.study.jobs.forks")
MODULES = (  # what runs import; nothing of it starts threads or CUDA, or draws what two runs must not share
    "telucodec.cli.make",
    "telucodec.cli.train",
    EVERY,
    "hydra.utils",
    "matplotlib.backends.backend_agg",
    "torch.utils.tensorboard",
)
ROOM = 1024  # bytes for the words of a job, where `ps` looks for them
POSSIBLE = hasattr(os, "pidfd_open")  # on Linux, where alone what has loaded torch may be forked
APART = {"PYTHONUNBUFFERED": "1", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}  # whoever looks for a GPU does not open CUDA
ENDING = 5.0  # seconds that a process has to be gone after its end of a socket is


class Warm:
    """The process that forks; it ends when it is closed, or when this one is gone.

    What it forks runs the code that was on disk when it began.

    Args:
        modules: that it imports.
    """

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        self.forked = 0  # how many have begun
        self.code = _code()
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 (closed with it)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, *FORKS, " " * ROOM, self.code, *modules],
                stdin=theirs.fileno(),
                stdout=self.said,
                stderr=self.said,
                env=os.environ | APART,
                start_new_session=True,
            )

    @property
    def gone(self) -> bool:
        """Whether it forks no more."""
        return self.process.poll() is not None

    @property
    def outdated(self) -> bool:
        """Whether a process that is started anew would run other code."""
        return self.code != _code()

    @cached_property
    def fate(self) -> str:
        """Why it forks no more."""
        try:
            code = self.process.wait(ENDING)
        except subprocess.TimeoutExpired:
            return "does not answer"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").split("\n")
        return f"failed ({next((line for line in reversed(lines) if line.strip()), f'exit code {code}')})"

    def close(self) -> None:
        """End it; what it forked goes on."""
        self.control.close()
        self.process.kill()
        self.process.wait()
        self.said.close()


class Forked:
    """A process that a warm one forks: what a job needs of `subprocess.Popen`.

    Should the warm one be gone before that, it is started without it, which is said.

    Args:
        warm: what forks it.
        command: Python and its words: -m, a module and its own, or a script and its own.
        environment: of the process, as far as it can act: see `telucodec.study.jobs.forks`.
        log: a descriptor of the file that its output is added to.
    """

    def __init__(self, warm: Warm, command: Sequence[str], environment: Mapping[str, str], log: int) -> None:
        self.warm, self.command, self.environment, self.folder = warm, list(command), dict(environment), os.getcwd()
        self.pid = 0  # while it has not begun
        self.returncode: int | None = None
        self.alone: subprocess.Popen[bytes] | None = None  # what was started without the warm one
        self.given, ours = os.pipe()
        self.stdin, self.log, self.life = open(ours, "wb", buffering=0), os.dup(log), -1  # noqa: SIM115
        self.asker, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = {"words": self.command, "environment": self.environment, "folder": self.folder}
        with theirs, tempfile.TemporaryFile() as wanted:  # a socket has no room for a large environment
            wanted.write(json.dumps(request).encode())
            wanted.seek(0)
            with suppress(BrokenPipeError, ConnectionResetError):  # it is gone: the first look finds that out
                socket.send_fds(warm.control, [b"fork"], [self.given, self.log, wanted.fileno(), theirs.fileno()])
        self.asker.setblocking(False)

    def poll(self) -> int | None:
        """As `Popen.poll`; 1 if the warm one is gone, which alone could say."""
        while self.returncode is None and self.alone is None and (told := self._hear()) is not None:
            word, _, number = told.partition(b" ")
            if word == b"begun":
                self._begun(int(number))
            elif word == b"ended":
                self._end(int(number))
            elif not self.pid:
                self._start_alone()
            elif select.select([self.life], [], [], 0)[0]:
                self._end(1)
            else:
                break
        return self.returncode if self.alone is None else self.alone.poll()

    def kill(self) -> None:
        """As `Popen.kill`, for one that has not begun: if it still does, it finds nobody who wants it, and ends."""
        if self.poll() is not None or self.pid:
            return
        self.asker.shutdown(socket.SHUT_RD)
        word, _, number = (self._hear() or b"").partition(b" ")
        if word == b"begun":  # just before
            self._begun(int(number))
        else:
            self._end(-signal.SIGKILL)

    def _hear(self) -> bytes | None:
        """What is new: nothing, if None; nothing ever, if empty."""
        try:
            told, descriptors, *_ = socket.recv_fds(self.asker, 64, 1)
        except BlockingIOError:
            return None
        except ConnectionError:
            return b""
        self.life = descriptors[0] if descriptors else self.life
        return told

    def _begun(self, pid: int) -> None:
        self.pid = pid
        self.warm.forked += 1

    def _start_alone(self) -> None:
        told = f"telucodec: the process that jobs are forked from {self.warm.fate}: this one starts without it\n"
        os.write(self.log, told.encode())
        sys.stderr.write(told)
        self.alone = subprocess.Popen(
            self.command,
            stdin=self.given,
            stdout=self.log,
            stderr=self.log,
            env=self.environment,
            cwd=self.folder,
            start_new_session=True,
        )
        self.pid = self.alone.pid
        self._release()

    def _end(self, code: int) -> None:
        self.returncode = code
        self._release()

    def _release(self) -> None:
        self.asker.close()
        for one in (self.given, self.log, self.life):
            if one >= 0:
                os.close(one)


def _code() -> str:
    """The version of the code on disk; nothing while it cannot be told, since somebody writes it."""
    try:
        return version_on_disk()
    except (OSError, SyntaxError, ValueError):
        return ""
