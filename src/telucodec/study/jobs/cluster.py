"""Jobs as tasks of a Ray cluster."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telucodec.errors import InputError
from telucodec.study.jobs.job import Job
from telucodec.study.jobs.local import COMMAND, Process
from telucodec.study.jobs.outcome import LOG


@dataclass(frozen=True)
class RaySettings:
    """What conf/launcher/ray.yaml says."""

    address: str  # of a cluster that runs: host:port, or auto
    cpus: float  # that a job takes
    gpus: float  # that a job takes; may be a fraction


class RayTasks:
    """Hands jobs to a cluster; they stop by themselves should this process be gone.

    Args:
        settings: as configured.
        command: what makes the run of the folder that follows it.

    Raises:
        InputError: Ray is not installed, or no cluster answers.
    """

    def __init__(self, settings: RaySettings, command: Sequence[str] = COMMAND) -> None:
        try:
            import ray
        except ImportError:
            raise InputError("launcher=ray: needs Ray. Install telucodec[ray].") from None
        self.ray, self.command = ray, tuple(command)
        try:
            if not ray.is_initialized():
                ray.init(address=settings.address, log_to_driver=False)
        except (ConnectionError, ValueError) as error:
            told = f"launcher.address={settings.address}: no Ray cluster answers ({error})."
            raise InputError(f"{told} Start one with `ray start --head`, or give another address.") from None
        self.task = ray.remote(num_cpus=settings.cpus, num_gpus=settings.gpus, max_retries=0)(make)

    def expect(self, count: int | None) -> None:
        """As `Launcher.expect`: it is the cluster that prepares."""

    def start(self, job: Job, devices: Sequence[int]) -> "Task":
        """As `Launcher.start`."""
        if devices:
            raise InputError("sweep.devices: Ray hands them out. Give launcher.gpus instead.")
        return Task(self.ray, self.task.remote(str(job.folder.resolve()), self.command, str(Path.cwd())), job)


class Task:
    """One job that Ray was given."""

    def __init__(self, ray: Any, reference: Any, job: Job) -> None:
        self.ray, self.reference, self.log = ray, reference, job.folder / LOG

    def poll(self) -> int | None:
        """As `Handle.poll`; what left no code comes to 1."""
        ready, _ = self.ray.wait([self.reference], timeout=0)
        if not ready:
            return None
        try:
            return int(self.ray.get(self.reference))
        except self.ray.exceptions.RayError:
            return 1

    def stop(self) -> None:
        """As `Handle.stop`; what has not begun never does."""
        self.ray.cancel(self.reference)

    def kill(self) -> None:
        """As `Handle.kill`."""
        self.ray.cancel(self.reference, force=True)


def make(folder: str, command: Sequence[str], where: str) -> int:
    """Make one job's run on the machine that Ray chose; its exit code."""
    os.chdir(where)  # paths in a configuration may be relative
    return Process(Path(folder), (), command).wait()
