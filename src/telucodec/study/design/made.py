"""What lies in the folder of a study's jobs: those that are wanted now, and those of an older base or other code."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from telucodec.disk import is_held
from telucodec.reading import read_json
from telucodec.study.jobs.job import LOCK, Job, State, content_of, state
from telucodec.study.jobs.outcome import LOG, last_lines


@dataclass(frozen=True)
class Made:
    """One folder below jobs/."""

    folder: Path
    arm: str  # as its study called it
    seed: int
    code: str  # version of the code that it was made for
    content: str  # what identifies it besides the code
    steps: int  # that it was to make
    state: State
    start: float  # seconds from when it was wanted to when it trained; 0 if that is not known

    @property
    def seconds(self) -> float:
        """Wall time, the start of its process included."""
        return self.start + self.state.seconds


def made(root: Path) -> list[Made]:
    """Every job that lies in a study's folder, by name of its folder; what cannot be read is left out."""
    found = []
    for path in sorted(root.glob("jobs/*/job.json")):
        try:
            told = read_json(path)
            config = told["config"]
            arm, steps, seed = told["label"].rpartition(" s")[0] or told["label"], config["max_steps"], config["seed"]
            content = content_of(config, told["base"])
            found.append(
                Made(path.parent, arm, seed, told["code"], content, steps, state(path.parent), _start(path.parent))
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def folders(
    jobs: Mapping[tuple[str, int], Job], there: Sequence[Made], code: str | None
) -> dict[tuple[str, int], Path]:
    """Where the run of each (arm, seed) is or would be.

    Args:
        jobs: those of the current code.
        there: what the study's folder holds.
        code: version of the code whose runs are wanted; None: the current one.
    """
    if code is None:
        return {key: job.folder for key, job in jobs.items()}
    of_code = {each.content: each.folder for each in there if each.code == code}
    return {key: of_code.get(content_of(job.config, job.base), job.folder) for key, job in jobs.items()}


def how(folder: Path) -> State:
    """How a job stands, with the steps that it has made so far; one that ended before it began failed.

    A process that is only starting has said nothing yet, or holds the job.
    """
    now = state(folder)
    if now.status == "waiting" and is_held(folder / LOCK):
        return State("running")
    if now.status == "waiting" and last_lines(folder / LOG):
        return State("failed")
    return now if now.over else State(now.status, max(now.steps, _logged(folder)), now.seconds)


def _logged(folder: Path) -> int:
    """The last step in metrics.jsonl."""
    try:
        with (folder / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 65536))
            lines = file.read().splitlines()
    except OSError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):  # half of a line
            continue
    return 0


def _start(folder: Path) -> float:
    try:
        told = read_json(folder / "run.json")
        started = datetime.fromisoformat(told["started"]).timestamp()
        seconds = started - (folder / "job.json").stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
    return seconds if 0 < seconds < 120 else 0.0  # it was written again since, or copied
