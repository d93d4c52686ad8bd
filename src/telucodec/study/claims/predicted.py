"""Predictions held against the runs of the presets that they were made for."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from telucodec.study.claims.claim import Claim, Prediction, StepsPerEpoch
from telucodec.study.claims.finding import Finding, Measured, Part, Runs, bounds
from telucodec.study.claims.readings import CHOSEN, TIME, Asked, Reading, asked, read
from telucodec.study.results.collected import Collected
from telucodec.study.results.intervals import Interval
from telucodec.study.results.statistics import arm_interval


class Told(NamedTuple):
    """One prediction in one arm: seed -> what its run has of it."""

    arm: Asked
    prediction: Prediction
    read: dict[int, Reading]

    def holds(self, seed: int) -> bool:
        """Whether it came true in a run: of each utterance, if it says so, and never by a mean alone."""
        found, wanted = self.read[seed], self.prediction.range.as_meant()
        mean = wanted.holds(found.value)
        return mean and (self.prediction.over == "all" or (bool(found.each) and all(map(wanted.holds, found.each))))

    def may_hold(self, seed: int) -> bool:
        """Whether it comes true in a run at any number of steps an epoch."""
        wanted, found = self.prediction.range.as_meant(), self.read[seed]
        return found.low <= wanted.high and wanted.low <= found.high

    @property
    def interval(self) -> Interval:
        """Of the figure, over seeds."""
        return arm_interval({seed: {"": each.value} for seed, each in self.read.items()})


def predicted(claim: Claim, per_epoch: StepsPerEpoch, results: Sequence[Collected]) -> Iterator[Part]:
    """What runs say of a claim's predictions: those of each preset together, and those of time by themselves."""
    timed = [each for each in claim.predicts if each.metric == TIME]
    others = [each for each in claim.predicts if each.metric != TIME]
    for preset in dict.fromkeys(each.preset or claim.preset or "" for each in others):
        mine = [each for each in others if (each.preset or claim.preset or "") == preset]
        told = [[_told(each, arm, per_epoch) for each in mine] for arm in asked(preset, results)]
        verdict = _observed(told) if claim.kind == "observation" else _verdict(told)
        yield Part(verdict, tuple(_finding(each) for arm in told for each in arm if each.read))
    for each in timed:
        told = [[_told(each, arm, per_epoch)] for arm in asked(each.preset or claim.preset or "", results)]
        yield Part(_observed(told), tuple(_time(each) for arm in told for each in arm if each.read))


def _told(prediction: Prediction, arm: Asked, per_epoch: StepsPerEpoch) -> Told:
    found = {run.seed: read(prediction, run, per_epoch) for run in arm.runs}
    return Told(arm, prediction, {seed: each for seed, each in sorted(found.items()) if each is not None})


def _verdict(told: Sequence[Sequence[Told]]) -> Measured:
    """Of predictions that were made together.

    Confirmed: all hold with every seed at the document's own learning rate. Refuted: in no run at any learning rate can
    all hold, however many steps an epoch has.
    """
    seeds = [[set(each.read) for each in arm] for arm in told]
    if not any(len(known) >= 2 for arm in seeds for known in arm):
        return "untested"
    own = [arm for arm in told if arm[0].arm.own]
    if own and all(_all_hold(arm) for arm in own):
        return "confirmed"
    possible = [all(each.may_hold(seed) for each in arm if seed in each.read) for arm in told for seed in _seeds(arm)]
    return "inconclusive" if any(possible) else "refuted"


def _seeds(arm: Sequence[Told]) -> set[int]:
    return {seed for each in arm for seed in each.read}


def _all_hold(arm: Sequence[Told]) -> bool:
    """With two seeds or more, each of which has a figure for every prediction."""
    seeds = _seeds(arm)
    return len(seeds) >= 2 and all(seed in each.read and each.holds(seed) for each in arm for seed in seeds)


def _observed(told: Sequence[Sequence[Told]]) -> Measured:
    """Of what was seen elsewhere, or takes the time of another machine: a run here can repeat it, and not deny it."""
    return "inconclusive" if any(each.read for arm in told for each in arm) else "untested"


def _finding(told: Told) -> Finding:
    seeds, found = tuple(told.read), told.interval
    holding, possible = (sum(ask(seed) for seed in seeds) for ask in (told.holds, told.may_hold))
    verdict: Measured = "confirmed" if holding == len(seeds) else "inconclusive" if possible else "refuted"
    return _made(told, verdict if len(seeds) >= 2 else "untested", found, _text(told, found, holding, possible))


def _made(told: Told, verdict: Measured, found: Interval, text: str) -> Finding:
    runs = Runs(told.arm.study, (told.arm.arm,), tuple(told.read), max(each.step for each in told.read.values()))
    about = f"{told.prediction.metric} at {told.prediction.at}"
    return Finding(verdict, about, found.mean, found.low, found.high, runs, text)


def _text(told: Told, found: Interval, holding: int, possible: int) -> str:
    wanted, count = told.prediction.range, len(told.read)
    rounded = wanted.low == wanted.high and told.prediction.metric != "run/finished"
    said = f"{wanted} (taken as {wanted.as_meant()})" if rounded else f"{wanted}"
    text = f"{_figure(told, found)}; said to be {said}, which holds {_over(told)}with {holding} of {count} seeds"
    passed = [each for each in told.read.values() if math.isfinite(each.low)]
    if holding == count or not passed:
        return f"{text}."
    low, high = min(each.low for each in passed), max(each.high for each in passed)
    whole = told.prediction.at.unit == "any"
    where = "at some step" if whole else "if an epoch has more steps"
    later = f"comes there in {possible} of {count} runs {where}" if possible else "never comes there"
    when = "over all steps" if whole else "from then on"
    return f"{text}; {when} it lies between {low:.3g} and {high:.3g} and {later}."


def _over(told: Told) -> str:
    if told.prediction.over == "all":
        return ""
    wanted = told.prediction.range.as_meant()
    unknown = any(wanted.holds(each.value) and not each.each for each in told.read.values())
    return f"for {told.prediction.over} {'(whose figures are not recorded at that step) ' if unknown else ''}"


def _figure(told: Told, found: Interval) -> str:
    steps = sorted({each.step for each in told.read.values()})
    at = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"
    if math.isnan(found.mean):
        return f"{told.prediction.metric}: none of the runs comes to {told.prediction.at} (they end at {at})"
    if told.prediction.at.unit == "any" and told.prediction.at.number not in CHOSEN:
        at = f"in the median of all steps up to {steps[-1]}"
    else:
        at = f"at {at}"
    return f"{told.prediction.metric} is {found.mean:.3g}{bounds(found.low, found.high)} {at}"


def _time(told: Told) -> Finding:
    found = told.interval
    devices = sorted({run.device for run in told.arm.runs if run.device})
    steps, where = max(each.step for each in told.read.values()), " and ".join(devices) or "this machine"
    text = (
        f"{steps} steps took {found.mean:.3g} s{bounds(found.low, found.high)} on {where}. "
        f"{told.prediction.range} s are said of another machine and of an unknown number of steps: no run here times "
        "those."
    )
    return _made(told, "inconclusive", found, text)
