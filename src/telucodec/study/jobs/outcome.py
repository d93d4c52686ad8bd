"""How a job came out."""

import signal
from dataclasses import dataclass
from pathlib import Path

from telucodec.study.jobs.job import Job, state

LOG = "log.txt"  # of a job's folder
ATTEMPT = "== started "  # begins the line that parts one attempt's output from the next
LINES = 6  # of a log, to show what went wrong


@dataclass(frozen=True)
class Outcome:
    """One job after a sweep."""

    job: Job
    status: str  # finished, diverged, failed, interrupted or waiting: as in `telucodec.study.jobs.job.State`
    seconds: float  # wall time of this attempt, start of its process included; 0 if there was none
    message: str  # what there is to say: the last lines of the log of a failure, or that it was made before
    log: Path


def made_before(job: Job) -> Outcome:
    """What a job that is over already comes to."""
    return Outcome(job, state(job.folder).status, 0.0, "made before", job.folder / LOG)


def not_started(job: Job) -> Outcome:
    """What a job comes to that a stop came before."""
    return Outcome(job, "waiting", 0.0, "not started", job.folder / LOG)


def outcome_of(job: Job, code: int, seconds: float, asked: bool, log: Path) -> Outcome:
    """What a process leaves: its folder decides, then its exit code.

    Args:
        job: what it was to make.
        code: its exit code, or minus the signal that ended it.
        seconds: that it ran.
        asked: whether it was asked to stop.
        log: its output.
    """
    now = state(job.folder)
    if now.over:
        return Outcome(job, now.status, seconds, "", log)
    if asked or code == 130:
        return Outcome(job, "interrupted", seconds, f"stopped at step {now.steps}", log)
    why = f"killed by {_signal_name(-code)}" if code < 0 else f"exit code {code}"
    return Outcome(job, "failed", seconds, "\n".join([why, *last_lines(log)]), log)


def last_lines(log: Path) -> list[str]:
    """The end of what a job's last attempt said, blank lines left out."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    said = text.rpartition(ATTEMPT)[2].splitlines()[text.count(ATTEMPT) > 0 :]
    return [line.rstrip() for line in said if line.strip()][-LINES:]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
