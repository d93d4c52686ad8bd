"""What starts jobs: here, on a SLURM cluster, or on a Ray cluster."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from telucodec.study.jobs.job import Job


class Handle(Protocol):
    """One job that was started."""

    @property
    def log(self) -> Path:
        """The file that its output goes to."""

    def poll(self) -> int | None:
        """Its exit code once it ended, else None; does not wait."""

    def stop(self) -> None:
        """Ask it to save and to end with 130; asking again changes nothing."""

    def kill(self) -> None:
        """End it at once, and whatever it started."""


class Launcher(Protocol):
    """Starts jobs that were written into their folders, each in a process of its own."""

    def expect(self, count: int | None) -> None:
        """Hear how many jobs there are to start at most: before the first, and again, 0, after the last has ended.

        Args:
            count: None: nobody knows yet.
        """

    def start(self, job: Job, devices: Sequence[int]) -> Handle:
        """Start one.

        Args:
            job: what to make; its folder holds job.json.
            devices: the numbers of the accelerators that it alone may use; none: those that it finds.

        Raises:
            InputError: it cannot be started.
        """
