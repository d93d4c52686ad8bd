"""Jobs as processes of this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from telucodec.disk import opened
from telucodec.errors import InputError
from telucodec.study.jobs.job import Job
from telucodec.study.jobs.outcome import ATTEMPT, LOG

COMMAND = (sys.executable, "-m", "telucodec.cli.main", "train", "--job")  # and the folder
TIED = "TELUCODEC_TIED"  # set: a process is to save and stop once its standard input closes
TICK = 0.1  # seconds between two looks at a process


class Local:
    """Starts each job as a process of its own, which stops by itself should this one be gone.

    Args:
        command: what makes the run of the folder that follows it.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self.command = command

    def start(self, job: Job, devices: Sequence[int]) -> "Process":
        """As `Launcher.start`; devices become CUDA_VISIBLE_DEVICES."""
        return Process(job.folder, devices, self.command)


class Process:
    """A job's process, in a session of its own: Ctrl-C in the terminal does not reach it.

    It is asked to stop by closing its standard input: so it is, too, when this process is gone, and never twice.

    Args:
        folder: of the job; its output is added to log.txt there.
        devices: the accelerators that it sees; none: all that this process sees.
        command: what makes the run of the folder that follows it.

    Raises:
        InputError: the log cannot be written, or the command cannot be started.
    """

    def __init__(self, folder: Path, devices: Sequence[int], command: Sequence[str] = COMMAND) -> None:
        self.log, self.asked = folder / LOG, False
        environment = os.environ | {TIED: "1", "PYTHONUNBUFFERED": "1"}
        if devices:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, devices))
        try:
            with open(opened(self.log, os.O_APPEND), "ab") as log:
                log.write(f"{ATTEMPT}{datetime.now().isoformat(timespec='seconds')}\n".encode())
                log.flush()
                self.process = subprocess.Popen(
                    [*command, str(folder.resolve())],
                    stdin=subprocess.PIPE,  # nothing is ever written; it closes by itself should this process be gone
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise InputError(f"{folder}: its run cannot be started ({error.strerror}).") from None

    def poll(self) -> int | None:
        """As `Handle.poll`."""
        code = self.process.poll()
        if code is not None:
            self._close()
            self._signal_group()  # nothing that it started outlives it
        return code

    def wait(self) -> int:
        """Its exit code; a KeyboardInterrupt asks it to stop, a second one ends it."""
        while True:
            try:
                while (code := self.poll()) is None:
                    time.sleep(TICK)
                return code
            except KeyboardInterrupt:
                self.kill() if self.asked else self.stop()

    def stop(self) -> None:
        """As `Handle.stop`."""
        self.asked = True
        self._close()

    def kill(self) -> None:
        """As `Handle.kill`."""
        if self.process.poll() is None:
            self._signal_group()

    def _close(self) -> None:
        """What a tied process takes as a request to stop, whoever closes it."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    def _signal_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
