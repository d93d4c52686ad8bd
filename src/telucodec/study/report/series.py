"""Figures along a training: curves of every metric, and the way through the plane of RMS ratio and correlation."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from telucodec.diagnosis.identities import rho_implied
from telucodec.diagnosis.plane import DOCUMENTS, LINES, Point
from telucodec.study.report.measures import Measure
from telucodec.study.results.run import Ran

MOST = 48  # points of a curve that are kept
POOLED = ("val/rms_ratio_pooled", "val/rho_pooled")
MEAN = ("val/rms_ratio", "val/rho")


class Clock(NamedTuple):
    """How far an arm was at each step, mean over its seeds."""

    steps: list[int]
    seconds: list[float]
    hours_per_step: float  # of audio


def short(value: float | None) -> float | None:
    """A number as the page's data hold it: five significant digits; None where it is not finite.

    >>> short(1.23456789), short(math.nan)
    (1.2346, None)
    """
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None


def thinned(steps: Sequence[int], most: int = MOST) -> list[int]:
    """At most so many of the steps, evenly picked, the first and the last among them.

    >>> thinned(range(0, 101), 5)
    [0, 25, 50, 75, 100]
    """
    if len(steps) <= most:
        return list(steps)
    return [steps[round(n * (len(steps) - 1) / (most - 1))] for n in range(most)]


def curve(runs: Sequence[Ran], key: str) -> dict[str, Any] | None:
    """One metric of one arm: the steps, and a row of values a seed, None where a seed has none.

    Args:
        runs: those of the arm.
        key: of the log.
    """
    found = {ran.seed: dict(ran.curve(key)) for ran in runs}
    steps = thinned(sorted({step for values in found.values() for step in values}))
    if not steps:
        return None
    rows = [[short(values.get(step)) for step in steps] for values in found.values() if values]
    return {"steps": steps, "rows": rows}


def curves(by_arm: Mapping[str, Sequence[Ran]], measures: Sequence[Measure]) -> dict[str, dict[int, Any]]:
    """Key -> number of the arm -> its curve; keys that no arm has are left out."""
    found: dict[str, dict[int, Any]] = {}
    for wanted in measures:
        each = {number: curve(runs, wanted.key) for number, runs in enumerate(by_arm.values())}
        there = {number: one for number, one in each.items() if one}
        if there:
            found[wanted.key] = there
    return found


def clock(runs: Sequence[Ran]) -> Clock | None:
    """When an arm was where: from the log where it holds seconds, else evenly from the first step to the last."""
    timed = [ran for ran in runs if ran.steps and math.isfinite(ran.seconds)]
    if not timed:
        return None
    steps = thinned(sorted({step for ran in timed for step in (0, *ran.rows, ran.steps)}))
    each = [_seconds(ran) for ran in timed]
    seconds = [_mean([_between(known, step) for known in each if step <= max(known)]) for step in steps]
    heard = [ran.audio_hours / ran.steps for ran in timed]
    return Clock(steps, [short(value) or 0.0 for value in seconds], short(_mean(heard)) or 0.0)


def paths(ran: Ran) -> list[Point]:
    """A run's way through the plane, over all samples; means over utterances where the log holds nothing else."""
    r, rho = POOLED if any(set(POOLED) <= row.keys() for row in ran.rows.values()) else MEAN
    pairs = ((step, row.get(r, math.nan), row.get(rho, math.nan)) for step, row in ran.rows.items())
    return [Point(step, x, y) for step, x, y in pairs if math.isfinite(x + y)]


def plane_data(by_arm: Mapping[str, Sequence[Ran]]) -> dict[str, Any]:
    """Every run's path, and what the picture of the plane shows behind them."""
    found = []
    for number, runs in enumerate(by_arm.values()):
        for ran in runs:
            path = paths(ran)
            kept = set(thinned([point.step for point in path], 24))
            points = [[p.step, short(p.rms_ratio), short(p.rho)] for p in path if p.step in kept]
            if points:
                found.append({"arm": number, "seed": ran.seed, "points": points})
    documents = [[d.name, d.rms_ratio, short(rho_implied(d.snr, d.rms_ratio)), d.snr, d.measured] for d in DOCUMENTS]
    return {"paths": found, "documents": documents, "lines": list(LINES)}


def _seconds(ran: Ran) -> dict[int, float]:
    known = {step: row["seconds"] for step, row in ran.rows.items() if "seconds" in row}
    return {0: 0.0, ran.steps: ran.seconds} | known


def _between(known: Mapping[int, float], step: int) -> float:
    before = max(s for s in known if s <= step)
    after = min(s for s in known if s >= step)
    share = (step - before) / (after - before) if after > before else 0.0
    return known[before] + share * (known[after] - known[before])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
