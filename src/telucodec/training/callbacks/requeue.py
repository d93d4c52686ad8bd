"""A SLURM job that had to stop goes into the queue again."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Literal

from lightning.pytorch.callbacks import Callback

from telucodec import ranks
from telucodec.training.context import Run

LIMIT = 60  # seconds that SLURM may take to answer


class Requeue(Callback):
    """Tells SLURM to start the run's job again, once a signal has stopped it and it has saved.

    SLURM keeps the job's command: with resume=auto in it the run goes on. Outside of SLURM nothing is done.

    Args:
        signals: those that mean the job and not the run: SIGUSR1 and SIGTERM, but not Ctrl-C.
        run: what the callbacks share.
    """

    def __init__(self, *, signals: Sequence[Literal["SIGUSR1", "SIGTERM", "SIGINT"]], run: Run) -> None:
        self.signals, self.run = {signal.Signals[name] for name in signals}, run
        run.stop.afterwards.append(self.tell)

    def tell(self) -> None:
        """Have the job started again if it is one, and if one of the signals stopped it; the first process does it.

        The others wait for it: once a task has ended, SLURM may end all others of the job.
        """
        job = slurm_job(os.environ)
        if job and self.run.stop.signal in self.signals:
            ranks.by_first(lambda: self._requeue(job))

    def _requeue(self, job: str) -> None:
        try:
            asked = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=LIMIT)
            wrong = asked.stderr.strip() or f"exit code {asked.returncode}" if asked.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            wrong = str(error)
        told = f"not put into the queue again ({wrong}). Submit it anew." if wrong else "is in the queue again."
        self.run.console.print(f"SLURM job {job}: {told}", markup=False, highlight=False, soft_wrap=True)


def slurm_job(environment: Mapping[str, str]) -> str | None:
    """What SLURM calls the job that this process belongs to; None outside of SLURM.

    >>> slurm_job({"SLURM_JOB_ID": "12"}), slurm_job({})
    ('12', None)

    The number of an array's last task is also that of the whole array, so a task goes by its place:

    >>> slurm_job({"SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"})
    '12_3'
    """
    if "SLURM_ARRAY_JOB_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment.get("SLURM_JOB_ID")
