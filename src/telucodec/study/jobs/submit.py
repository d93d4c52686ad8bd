"""Jobs on a SLURM cluster, with submitit."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telucodec.disk import is_held
from telucodec.errors import InputError
from telucodec.study.jobs.job import LOCK, Job
from telucodec.study.jobs.local import COMMAND, Process
from telucodec.study.jobs.outcome import LOG


@dataclass(frozen=True)
class SubmititSettings:
    """What conf/launcher/submitit.yaml says."""

    executor: str  # slurm, or local: processes of this machine
    logs: str  # folder of submitit's own files, below the sweep's
    array_parallelism: int  # how many of the jobs that were submitted together run at a time
    parameters: Mapping[str, Any]  # of submitit's executor: timeout_min, gpus_per_node, slurm_partition, ...


class Submitit:
    """Submits jobs, those that start together as one array.

    A job goes on if this process is gone; the sweep started again finds what it made, and waits where it is still at
    work. One that reaches its time limit, or makes room for another, saves, and SLURM puts it into the queue again.

    Args:
        settings: as configured.
        command: what makes the run of the folder that follows it.

    Raises:
        InputError: submitit is not installed.
    """

    def __init__(self, settings: SubmititSettings, command: Sequence[str] = COMMAND) -> None:
        try:
            import submitit
        except ImportError:
            raise InputError("launcher=submitit: needs submitit. Install telucodec[slurm].") from None
        self.submitit, self.settings, self.command = submitit, settings, command
        self.executor: Any = None
        self.new: list[Submitted] = []

    def expect(self, count: int | None) -> None:
        """As `Launcher.expect`: it is the cluster that prepares."""

    def start(self, job: Job, devices: Sequence[int]) -> "Submitted":
        """As `Launcher.start`; it is submitted when one of those started together is first looked at."""
        if devices:
            raise InputError("sweep.devices: SLURM hands them out. Give launcher.parameters.gpus_per_node instead.")
        self.executor = self.executor or self._executor(job.root)
        handle = Submitted(self, job)
        self.new.append(handle)
        return handle

    def submit(self) -> None:
        """Submit what was started since the last time, as one array."""
        new, self.new = self.new, []
        with self.executor.batch():
            for handle in new:
                handle.submitted = self.executor.submit(Remote(str(handle.folder), self.command))

    def _executor(self, root: Path) -> Any:
        at_once = {"slurm_array_parallelism": self.settings.array_parallelism}
        try:
            executor = self.submitit.AutoExecutor(root / self.settings.logs, cluster=self.settings.executor)
            executor.update_parameters(**at_once, **self.settings.parameters)
        except (NameError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"launcher: submitit refuses it: {error}") from None
        return executor


class Submitted:
    """One job in the queue of the cluster, or out of it."""

    def __init__(self, launcher: Submitit, job: Job) -> None:
        self.launcher, self.folder, self.log = launcher, job.folder.resolve(), job.folder / LOG
        self.submitted: Any = None  # submitit's own job
        self.asked = False

    def poll(self) -> int | None:
        """As `Handle.poll`; what left no code, such as a job that was cancelled, comes to 1."""
        if self.submitted is None:
            self.launcher.submit()
        if not self.submitted.done():
            return None
        try:
            return int(self.submitted.result())
        except Exception:  # submitit raises anew whatever the job raised
            return 1

    def stop(self) -> None:
        """As `Handle.stop`: SLURM's own signal, and half a minute to save."""
        if not self.asked and self.submitted is not None:
            self.submitted.cancel(check=False)
        self.asked = True

    def kill(self) -> None:
        """As `Handle.kill`, as far as SLURM lets one."""
        if self.submitted is not None:
            self.submitted.cancel(check=False)


class Remote:
    """Makes one job's run where it was sent to.

    Args:
        folder: of the job, the same on every machine.
        command: what makes the run of the folder that follows it.
    """

    def __init__(self, folder: str, command: Sequence[str]) -> None:
        self.folder, self.command = folder, tuple(command)
        self.process: Process | None = None

    def __call__(self) -> int:
        """Its exit code."""
        self.process = Process(Path(self.folder), (), self.command)
        return self.process.wait()

    def checkpoint(self) -> Any:
        """What SLURM is to do once the time is up: stop the run, and begin again with what it saved."""
        from submitit.helpers import DelayedSubmission

        if self.process is not None:
            self.process.stop()
        while is_held(Path(self.folder) / LOCK):  # the process itself is being waited for already
            time.sleep(0.1)
        return DelayedSubmission(Remote(self.folder, self.command))
