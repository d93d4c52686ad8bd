"""The runs of a study or of a comparison, gathered."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from telucodec.disk import is_held
from telucodec.errors import InputError
from telucodec.study.design.study import Study
from telucodec.study.jobs.job import LOCK, state
from telucodec.study.jobs.outcome import LOG, last_lines
from telucodec.study.results.alike import unlike_evaluators, unlike_utterances
from telucodec.study.results.run import Ran, read_run


@dataclass(frozen=True)
class Collected:
    """What there is to compare, and what is not there."""

    study: Study | None  # none: any runs that were compared
    runs: Sequence[Ran]  # finished, diverged and failed ones, in the order of arms and seeds
    missing: Sequence[tuple[str, int]]  # (arm, seed) that never began
    failed: Sequence[tuple[str, int, str]]  # (arm, seed, why) of what began and did not finish: diverged ones too
    notes: Sequence[str]  # what a reader of the figures must know, in sentences

    @property
    def arms(self) -> tuple[str, ...]:
        """All arms that were wanted, in order: those without any run too."""
        absent = [*(arm for arm, _ in self.missing), *(arm for arm, _, _ in self.failed)]
        told = dict.fromkeys([*(run.arm for run in self.runs), *absent])
        return tuple(arm for arm in self.study.arms if arm in told) if self.study else tuple(told)

    def reference(self, arm: str) -> str:
        """The arm that another is compared with: of a study as it says, else the first one."""
        return self.study.reference(arm) if self.study else self.arms[0]


def collect(study: Study, jobs: Mapping[tuple[str, int], Path], code: str | None) -> Collected:
    """Gather the runs of a study from their folders.

    Args:
        study: whose.
        jobs: (arm, seed) -> folder of the job, whether it was made or not.
        code: version of the code whose runs are wanted; None: that of the run which started last.

    Returns:
        Runs of other code are left out, and a note says how many; so are runs that are still to be resumed. Each run
        has `run/seconds` and `run/finished` (1 or 0) among the figures of its last step.
    """
    runs: list[Ran] = []
    failed: list[tuple[str, int, str]] = []
    order = {arm: number for number, arm in enumerate(study.arms)}
    for (arm, seed), folder in sorted(jobs.items(), key=lambda item: (order[item[0][0]], item[0][1])):
        try:
            runs += _look(folder, arm)
        except InputError as error:
            failed.append((arm, seed, placeless(str(error))))
    runs, notes = _of_one_code(runs, code)
    failed += [(run.arm, run.seed, placeless(why_not(run))) for run in runs if run.status != "finished"]
    begun = {(run.arm, run.seed) for run in runs} | {(arm, seed) for arm, seed, _ in failed}
    missing = [pair for pair in jobs if pair not in begun]
    return Collected(study, runs, missing, failed, [*notes, *_doubts(study, runs)])


def placeless(text: str) -> str:
    """A text in one line and without the folders of absolute paths: it is committed, and they are this machine's.

    >>> placeless("/home/me/runs/a b.wav: cannot be read; see src/x.py, file:///data/y.flac or 3 / 4")
    'a b.wav: cannot be read; see src/x.py, file://y.flac or 3 / 4'
    """
    return re.sub(r"(?<![\w.)])/(?:[^\s/:'\"]+/)+", "", " ".join(text.split()))


def with_run_figures(run: Ran) -> Ran:
    """A run with what its record tells of the whole run as figures of its last step."""
    figures = {"run/seconds": run.seconds, "run/finished": float(run.status == "finished")}
    rows = {**run.rows, run.steps: {**run.rows.get(run.steps, {}), **figures}}
    return replace(run, rows=dict(sorted(rows.items())))


def why_not(run: Ran) -> str:
    """Why a run has no result, in words."""
    last = last_lines(run.folder / LOG)
    told = f" ({last[-1]})" if run.status == "failed" and last else ""
    return f"{run.status} at step {run.steps}{told}"


def _look(folder: Path, arm: str) -> list[Ran]:
    """The run in a job's folder, or nothing if nobody began it; an InputError says why there is none yet."""
    now = state(folder)
    last = last_lines(folder / LOG)
    if now.status == "waiting" and is_held(folder / LOCK):
        raise InputError("running at step 0")
    if now.status == "waiting" and last:
        raise InputError(f"failed before its first step ({last[-1]})")
    if now.status in ("running", "interrupted"):
        raise InputError(f"{now.status} at step {now.steps}")
    return [] if now.status == "waiting" else [with_run_figures(read_run(folder, arm))]


def _of_one_code(runs: list[Ran], code: str | None) -> tuple[list[Ran], list[str]]:
    if code is None:
        code = max(runs, key=lambda run: run.started).code if runs else ""
    others = Counter(run.code or "unknown" for run in runs if run.code != code)
    notes = [
        f"{count} {'run' if count == 1 else 'runs'} of other code ({name}, wanted {code}) left out."
        for name, count in others.items()
    ]
    return [run for run in runs if run.code == code], notes


def _doubts(study: Study, runs: Sequence[Ran]) -> list[str]:
    """What stands against comparing them: unlike evaluators or validation sets, and metrics that no run has."""
    logged = {key for run in runs for row in run.rows.values() for key in row}
    absent = [f"No run logged {metric}." for metric in study.metrics if runs and metric not in logged]
    return [*unlike_evaluators(runs), *unlike_utterances(runs), *absent]
