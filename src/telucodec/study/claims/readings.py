"""What runs have at the points that predictions speak of.

An epoch is the stated number of steps, and the first one counts as 0 or 1: the figure is that of the first row of the
log from there on. As nobody wrote down how many steps an epoch had, all is read besides that a run comes through from
there to as many steps as are granted.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from telucodec.study.claims.arithmetic import evaluate, keys
from telucodec.study.claims.claim import Prediction, StepsPerEpoch
from telucodec.study.design.study import OWN
from telucodec.study.results.collected import Collected
from telucodec.study.results.run import Ran

TIME = "run/seconds"
POSITIVE = "the first SNR above 0 dB"
CHOSEN = {"the start": 0, POSITIVE: 0, "the end": -1}  # points in words -> which row; all other words mean all of them
EPOCHS = 100  # that the documents train for: what has not come by then does not come


class Reading(NamedTuple):
    """What one run has of one prediction; NaN where it broke off before, or never came there."""

    step: int
    value: float
    low: float  # of all values from there to as many steps as are granted
    high: float
    each: tuple[float, ...] = ()  # of single utterances at this step, where these are meant and recorded


class Asked(NamedTuple):
    """One arm of one study that is a preset and nothing else."""

    study: str
    arm: str
    own: bool  # at the learning rate that the document states
    runs: Sequence[Ran]


def asked(preset: str, results: Sequence[Collected]) -> list[Asked]:
    """The arms that run a preset: they have its name, and change nothing but the learning rate."""
    found = []
    for study, runs in ((each.study, each.runs) for each in results if each.study is not None):
        for arm in study.arms.values():
            if (arm.of or arm.name) == preset and not arm.switches and not arm.without and arm.times == 1:
                made = [run for run in runs if run.arm == arm.name and run.status in ("finished", "diverged")]
                found.append(Asked(study.name, arm.name, arm.rate == OWN, made))
    return found


def read(prediction: Prediction, run: Ran, per_epoch: StepsPerEpoch) -> Reading | None:
    """The figure of a run at the point of a prediction, and all that it comes through later.

    Returns:
        None where the run ended before, or does not log this.
    """
    found = _read(prediction, run, per_epoch)
    if found is None or prediction.over == "all":
        return found
    name = prediction.metric.removeprefix("val/")
    heard = (each.figures for each in run.heard if each.step == found.step)
    return found._replace(each=tuple(figures[name] for figures in heard if name in figures))


def _read(prediction: Prediction, run: Ran, per_epoch: StepsPerEpoch) -> Reading | None:
    if prediction.metric == TIME:
        return Reading(run.steps, run.seconds, run.seconds, run.seconds) if run.status == "finished" else None
    rows, at = _rows(prediction.metric, run), prediction.at
    if isinstance(at.number, str):
        return _in_words(at.number, rows, run, EPOCHS * per_epoch.stated)
    count = int(at.number)
    first, last = count, count
    if at.unit == "epoch":
        first, last = (max(count, 1) * each for each in (per_epoch.stated, per_epoch.granted))
    later = {step: value for step, value in rows.items() if step >= first}
    if not later:
        broken = run.status == "diverged" and run.steps < first
        return Reading(run.steps, math.nan, math.nan, math.nan) if broken else None
    step, value = next(iter(later.items()))
    passed = [value, *(value for step, value in later.items() if step <= last)]
    return Reading(step, value, min(passed), max(passed))


def _rows(metric: str, run: Ran) -> dict[int, float]:
    """Step -> value of a sum of keys, in order."""
    if metric == "run/finished":  # by each step: whether it had not diverged
        return dict.fromkeys(run.rows, 1.0) | ({run.steps: 0.0} if run.status == "diverged" else {})
    known = {s: row for s, row in run.rows.items() if all(math.isfinite(row.get(k, math.nan)) for k in keys(metric))}
    return {step: evaluate(metric, row) for step, row in known.items()}


def _in_words(which: str, rows: Mapping[int, float], run: Ran, long: int) -> Reading | None:
    """At a point that is told in words; before the first step nothing was trained."""
    trained = {step: value for step, value in rows.items() if step > 0}
    if which == POSITIVE:
        above = [step for step, row in run.rows.items() if step > 0 and row.get("val/snr", -1.0) > 0]
        if trained and not above:
            return Reading(run.steps, math.nan, math.nan, math.nan) if run.steps >= long else None
        trained = {step: value for step, value in trained.items() if step >= above[0]} if above else {}
    if not trained:
        return None
    steps, values = [*trained], [*trained.values()]
    if which in CHOSEN:
        value = values[CHOSEN[which]]
        return Reading(steps[CHOSEN[which]], value, value, value)
    return Reading(steps[-1], median(values), min(values), max(values))
