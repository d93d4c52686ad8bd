"""Jobs as processes of this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from telucodec.disk import opened
from telucodec.errors import InputError
from telucodec.study.jobs.job import Job
from telucodec.study.jobs.outcome import ATTEMPT, LOG
from telucodec.study.jobs.warm import MODULES, POSSIBLE, Forked, Warm

COMMAND = (sys.executable, "-m", "telucodec.cli.main", "train", "--job")  # and the folder
TIED = "TELUCODEC_TIED"  # set: a process is to save and stop once its standard input closes
TICK = 0.1  # seconds between two looks at a process


@dataclass(frozen=True)
class LocalSettings:
    """What conf/launcher/local.yaml says."""

    warm: bool  # whether jobs are forked from a process that has imported what they import


class Local:
    """Starts each job as a process of its own, which stops by itself should this one be gone.

    Args:
        settings: as configured.
        command: what makes the run of the folder that follows it.
        modules: what it imports, where it is forked.
    """

    def __init__(
        self, settings: LocalSettings, command: Sequence[str] = COMMAND, modules: Sequence[str] = MODULES
    ) -> None:
        self.settings, self.command, self.modules = settings, command, modules
        self.pays = False  # to fork them
        self.warm: Warm | None = None

    def expect(self, count: int | None) -> None:
        """As `Launcher.expect`; forking pays from the second job on."""
        self.pays = self.settings.warm and POSSIBLE and count not in (0, 1)
        if self.warm is not None and not self.pays:
            self.warm.close()
            self.warm = None

    def start(self, job: Job, devices: Sequence[int]) -> "Process":
        """As `Launcher.start`; devices become CUDA_VISIBLE_DEVICES."""
        return Process(job.folder, devices, self.command, self._warm())

    def _warm(self) -> Warm | None:
        """What the next job is forked from: another one, if the last is gone, unless that never came to forking.

        None: it is to be started.
        """
        if self.warm is not None and self.warm.gone:
            again = self.warm.forked > 0
            what = "another takes its place" if again else "jobs start without it"
            sys.stderr.write(f"telucodec: the process that jobs are forked from {self.warm.fate}: {what}\n")
            self.expect(0)
            self.expect(None if again else 0)
        if self.warm is None and self.pays:
            self.warm = Warm(self.modules)
        elif self.warm is not None and self.warm.outdated:  # it stays: it alone can tell how what it forked ends
            sys.stderr.write("telucodec: the code on disk is not what jobs are forked with: this one starts anew\n")
            return None
        return self.warm


class Process:
    """A job's process, in a session of its own: Ctrl-C in the terminal does not reach it.

    It is asked to stop by closing its standard input: so it is, too, when this process is gone, and never twice.

    Args:
        folder: of the job; its output is added to log.txt there.
        devices: the accelerators that it sees; none: all that this process sees.
        command: what makes the run of the folder that follows it.
        warm: what forks it; None: it is started.

    Raises:
        InputError: the log cannot be written, or the command cannot be started.
    """

    process: subprocess.Popen[bytes] | Forked

    def __init__(
        self, folder: Path, devices: Sequence[int], command: Sequence[str] = COMMAND, warm: Warm | None = None
    ) -> None:
        self.log, self.asked = folder / LOG, False
        environment = os.environ | {TIED: "1", "PYTHONUNBUFFERED": "1"}
        if devices:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, devices))
        try:
            with open(opened(self.log, os.O_APPEND), "ab") as log:
                log.write(f"{ATTEMPT}{datetime.now().isoformat(timespec='seconds')}\n".encode())
                log.flush()
                words = [*command, str(folder.resolve())]
                if warm is not None:
                    self.process = Forked(warm, words, environment, log.fileno())
                    return
                self.process = subprocess.Popen(
                    words,
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
            self.process.kill()
            self._signal_group()

    def _close(self) -> None:
        """What a tied process takes as a request to stop, whoever closes it."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    def _signal_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if self.process.pid:  # it has begun
                os.killpg(self.process.pid, signal.SIGKILL)
