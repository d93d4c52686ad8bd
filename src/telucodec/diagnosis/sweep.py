"""Which loss wants the output louder and which quieter: every loss of the audio against the output's gain."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import isnan, nan
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from telucodec.diagnosis.probe import Findings, Subject, untouched
from telucodec.diagnosis.sweep_picture import draw_sweep
from telucodec.errors import above, at_least
from telucodec.losses.term import Scored
from telucodec.metrics.level import Moments
from telucodec.records import Step, Verdict

Curve = NDArray[np.float64]  # a loss, [points]
Reader = Callable[[float], float]  # a loss at an RMS ratio
FLAT = 1e-6  # of the largest value: what float32 sums can tell apart
TRUST = 0.02  # of a parabola's height: how far from it the curve may be
ROUNDS = 4  # of closer looks, each at a quarter of the width


class Lowest(NamedTuple):
    """Where a curve is lowest."""

    at: float
    value: float  # of the curve there
    curvature: float  # second derivative there


class GainSweep:
    """Evaluates the losses that the codec reaches through the audio at other gains of the output.

    The gains are those that bring the RMS of the output to 0 ... `largest` times the target's. A waveform loss is
    lowest where the RMS ratio is the correlation rho, the gain of the Wiener filter; a loss on log spectra near 1.
    So the losses say which of them keep a half-learned output quiet. They are evaluated on held-out crops, with the
    codec in evaluation mode; those that have not started at this step are left out.

    Logs `sweep/rho` and `sweep/rms_ratio` of the output as it is; for each loss `sweep/<loss>/best_gain` on it,
    `best_rms_ratio`, which is that gain times the RMS ratio, and `curvature`, the unweighted loss's second derivative
    by the RMS ratio there; the same of the weighted sum as `sweep/all/...`; and the training objective on these
    crops, `val/loss`, with its unweighted parts `val/loss/<loss>`. A loss that is flat has no best gain.

    Args:
        points: gains tried, >= 5.
        largest: RMS ratio of the loudest output tried, > 1.
        judged_points: the same for losses that read discriminators, which cost most, >= 5; a cubic spline joins them.
        judged_crops: crops that discriminators hear at each of these gains, >= 1.

    Source: ours; the best gain of a squared error is the Wiener filter's.
    """

    def __init__(self, *, points: int, largest: float, judged_points: int, judged_crops: int) -> None:
        at_least(5, points=points, judged_points=judged_points)
        above(1, largest=largest)
        at_least(1, judged_crops=judged_crops)
        self.ratios = np.linspace(0, largest, points)
        self.judged_ratios = np.linspace(0, largest, judged_points)
        self.judged_crops = judged_crops

    @torch.no_grad()
    def __call__(self, subject: Subject) -> Findings:
        with untouched(subject.codec, subject.adversary, subject.terms):
            subject.codec.eval()
            step = subject.step(subject.held, subject.codec(subject.held))
            scored = subject.scored(step)
            level = Moments.of(step.target, step.audio).figures()
            figures = objective(scored) | {f"sweep/{name}": level[name] for name in ("rho", "rms_ratio")}
            if not level["rms_ratio"] > 0:  # silence: no gain changes it
                return Findings(figures)
            audible = {name: s for name, s in scored.items() if s.through == "audio"}
            read = self._readers(subject, step, list(audible), level["rms_ratio"])
            curves = {name: np.array([one(ratio) for ratio in self.ratios]) for name, one in read.items()}
            curves = {name: curve for name, curve in curves.items() if np.isfinite(curve).all()}
            if shares := known({name: weight for name, weight in in_force(subject, audible).items() if name in curves}):
                read["all"] = lambda ratio: sum(weight * read[name](ratio) for name, weight in shares.items())
                curves["all"] = np.sum([weight * curves[name] for name, weight in shares.items()], axis=0)
            tried = {name: refined(self.ratios, curve, read[name]) for name, curve in curves.items()}
        found = {name: low for name, low in tried.items() if low}
        for name, low in found.items():
            figures[f"sweep/{name}/best_gain"] = low.at / level["rms_ratio"]
            figures[f"sweep/{name}/best_rms_ratio"] = low.at
            figures[f"sweep/{name}/curvature"] = low.curvature
        picture = draw_sweep(self.ratios, curves, {name: (low.at, low.value) for name, low in found.items()}, level)
        return Findings(figures, {"gain_sweep": picture} if curves else {})

    def _readers(self, subject: Subject, step: Step, names: Sequence[str], rms_ratio: float) -> dict[str, Reader]:
        """For each loss what gives its value at an RMS ratio; where discriminators hear it, along a spline."""
        judged = [name for name in names if name in subject.terms.judged]
        splines = dict[str, Reader]()
        if judged:
            crops = subject.held[:: -(-len(subject.held) // self.judged_crops)]
            heard = subject.step(crops, subject.codec(crops))
            sparse = _evaluate(subject, judged, heard, self.judged_ratios / rms_ratio)
            splines = {name: _spline(self.judged_ratios, values) for name, values in sparse.items()}
        judge = _remembering(step.judge, step.target)

        def plain(name: str) -> Reader:
            def value(ratio: float) -> float:
                given = replace(step, audio=ratio / rms_ratio * step.audio, judge=judge)
                return float(subject.terms.among([name], given)[name].value)

            return value

        return {name: splines[name] if name in splines else plain(name) for name in names}


def lowest(at: Curve, values: Curve) -> Lowest | None:
    """Where a curve is lowest, by the parabola through its lowest point and the two nearest to it.

    Never outside its range; None where it is flat around there.

    Args:
        at: equally spaced, rising, [3 or more].
        values: there.

    >>> at = np.linspace(0, 2, 5)
    >>> lowest(at, 4 * (at - 0.75) ** 2), lowest(at, (at + 1) ** 2), lowest(at, 0 * at)
    (Lowest(at=0.75, value=0.0, curvature=8.0), Lowest(at=0.0, value=1.0, curvature=2.0), None)
    """
    middle = min(max(int(values.argmin()), 1), len(at) - 2)
    before, here, after = (float(values[k]) for k in (middle - 1, middle, middle + 1))
    if max(before, here, after) - min(before, here, after) <= FLAT * float(np.abs(values).max()):
        return None
    width, bend, slope = float(at[1] - at[0]), before - 2 * here + after, (after - before) / 2
    away = -slope / bend if bend > 0 else float(values.argmin()) - middle  # in points, from the one in the middle
    away = min(max(away, -float(middle)), float(len(at) - 1 - middle))
    return Lowest(float(at[middle]) + width * away, here + slope * away + bend * away**2 / 2, bend / width**2)


def refined(at: Curve, values: Curve, read: Reader) -> Lowest | None:
    """`lowest`, looked at more closely around there until the curve is what the parabola says.

    A loss on log spectra is steep on one side: a parabola through silence would promise values that no gain gives.

    Args:
        at: equally spaced, rising, [3 or more].
        values: there.
        read: gives the curve's value anywhere between.

    >>> at, curve = np.linspace(0, 2, 17), lambda r: abs(np.log((r + 1e-5) / 0.17))
    >>> low = refined(at, np.array([curve(r) for r in at]), curve)
    >>> abs(low.at - 0.17) < 0.01, low.value >= 0
    (True, True)
    """
    low = lowest(at, values)
    for _ in range(ROUNDS if low else 0):
        assert low is not None
        middle = min(max(int(values.argmin()), 1), len(at) - 2)
        near, seen = values[middle - 1 : middle + 2], read(low.at)
        if abs(seen - low.value) <= TRUST * float(near.max() - near.min()):
            return low._replace(value=seen)
        at = np.linspace(at[middle - 1], at[middle + 1], 9)
        inner = [read(ratio) for ratio in at[[1, 2, 3, 5, 6, 7]]]
        values = np.array([near[0], *inner[:3], near[1], *inner[3:], near[2]])
        best, closer = int(values.argmin()), lowest(at, values)
        low = closer or Lowest(float(at[best]), float(values[best]), low.curvature)
    if low is None:
        return None
    best = int(values.argmin())
    return Lowest(float(at[best]), float(values[best]), low.curvature)


def objective(scored: Mapping[str, Scored]) -> dict[str, float]:
    """The weighted sum of evaluated losses as `val/loss`, and each as it is, `val/loss/<loss>`."""
    values = torch.stack([s.value.float() for s in scored.values()]).tolist()
    whole = sum(s.weight * value for s, value in zip(scored.values(), values, strict=True))
    return {"val/loss": whole} | {f"val/loss/{name}": value for name, value in zip(scored, values, strict=True)}


def in_force(subject: Subject, scored: Mapping[str, Scored]) -> dict[str, float]:
    """What multiplies the gradient of each of these losses at this step; all of them depend on the audio."""
    grown = {name: s._replace(value=s.value.detach().requires_grad_()) for name, s in scored.items()}
    return subject.combine.in_force(grown)


def known(weights: Mapping[str, float]) -> dict[str, float]:
    """Those that are not 0; none where one is not known yet.

    >>> known({"a": 2.0, "b": 0.0}), known({"a": 2.0, "b": float("nan")})
    ({'a': 2.0}, {})
    """
    if any(isnan(weight) for weight in weights.values()):
        return {}
    return {name: weight for name, weight in weights.items() if weight}


def _spline(at: Curve, values: Curve) -> Reader:
    """A smooth curve through points; NaN everywhere if one is not finite."""
    if not np.isfinite(values).all():
        return lambda ratio: nan
    curve = CubicSpline(at, values)
    return lambda ratio: float(curve(ratio))


def _evaluate(subject: Subject, names: Sequence[str], step: Step, gains: Curve) -> dict[str, Curve]:
    """Each loss at each gain on the step's audio; the target is judged once."""
    judge, rows = _remembering(step.judge, step.target), []
    for gain in gains.tolist():
        scored = subject.terms.among(names, replace(step, audio=gain * step.audio, judge=judge))
        rows.append([s.value.float() for s in scored.values()])
    columns = zip(*rows, strict=True)
    return {name: torch.stack(column).double().cpu().numpy() for name, column in zip(names, columns, strict=True)}


def _remembering(judge: Callable[[Tensor], Verdict], target: Tensor) -> Callable[[Tensor], Verdict]:
    @cache
    def real() -> Verdict:
        return judge(target)

    return lambda audio: real() if audio is target else judge(audio)
