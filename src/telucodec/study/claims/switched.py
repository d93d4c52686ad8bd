"""Causal claims held against pairs of arms that differ by their switch alone."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from telucodec.study.claims.arithmetic import evaluate, keys
from telucodec.study.claims.claim import Effect
from telucodec.study.claims.finding import Finding, Measured, Runs
from telucodec.study.claims.margins import Margin, for_factor, margin
from telucodec.study.claims.pairs import nothing, pairs, place
from telucodec.study.claims.values import Range
from telucodec.study.results.collected import Collected
from telucodec.study.results.intervals import Interval
from telucodec.study.results.run import Ran
from telucodec.study.results.statistics import arm_interval, difference, values

Values = Mapping[int, Mapping[str, float]]  # seed -> utterance -> figure
WEIGHTED = r"(train|val)/loss$|weighted/|gradient_norm/"  # keys of figures that grow with the weights of the losses


def measured(effect: Effect, results: Sequence[Collected]) -> Iterator[Finding]:
    """What each pair of arms of each study says of an effect; nothing where no study has the pair."""
    for collected in results:
        if collected.study is not None:
            for one, other in pairs(collected.study, effect):
                yield _held(effect, collected, (one, other))


def figures(runs: Sequence[Ran], arm: str, metric: str) -> Values:
    """The last figures of one arm: by seed and utterance, or of a sum of keys by seed."""
    if metric == "run/finished":  # a run that failed for other reasons than its losses tells nothing
        over = [run for run in runs if run.arm == arm and run.status in ("finished", "diverged")]
        return {run.seed: {"": float(run.status == "finished")} for run in over}
    if keys(metric) == [metric]:
        return values(runs, arm, metric)
    found: dict[int, dict[str, float]] = {}
    for run in (run for run in runs if run.arm == arm and run.status == "finished"):
        rows = [row for row in run.rows.values() if all(key in row for key in keys(metric))]
        found[run.seed] = {"": evaluate(metric, rows[-1])} if rows else {}
    return found


def _held(effect: Effect, collected: Collected, arms: tuple[str, str]) -> Finding:
    with_it, without = (figures(collected.runs, arm, effect.metric) for arm in arms)
    seeds = tuple(sorted(seed for seed, told in with_it.items() if told and without.get(seed)))
    assert collected.study is not None
    allowed = margin(effect.metric) if effect.factor is None else for_factor()
    floor = _floor(collected, place(collected.study, arms[0]).root, effect.metric, allowed.relative)
    if floor > allowed.amount:
        allowed = allowed._replace(
            amount=floor, why="as much as all losses times a number change, which should be nothing"
        )
    found = _change(with_it, without, allowed.relative)
    steps = [run.steps for run in collected.runs if run.arm in arms and run.seed in seeds]
    runs = Runs(collected.study.name, arms, seeds, max(steps) if steps else None)
    told = len(seeds) >= 2 and math.isfinite(found.low)
    verdict = _verdict(found, _claimed(effect, allowed)) if told else "untested"
    text = _text(effect.metric, found, allowed) if told else _without(effect.metric, len(seeds))
    lost = [f"{run.arm} s{run.seed}" for run in collected.runs if run.arm in arms and run.status == "diverged"]
    if lost and effect.metric != "run/finished":  # those that are left are no fair sample of what the switch does
        verdict = "inconclusive" if told else verdict
        text += f" DivergedError, and without a figure: {', '.join(lost)}."
    return Finding(verdict, str(effect), found.mean, found.low, found.high, runs, text)


def _change(with_it: Values, without: Values, ratio: bool) -> Interval:
    """The figure with the switch over, or minus, the figure without, paired by seed and utterance."""
    if not ratio:
        mean, low, high = difference(with_it, without)[:3]
        return Interval(mean, low, high, 0)
    return arm_interval(
        {
            seed: {name: value / without[seed][name] for name, value in told.items() if without[seed].get(name)}
            for seed, told in with_it.items()
            if seed in without
        }
    )


def _floor(collected: Collected, root: str, metric: str, ratio: bool) -> float:
    """By how much the arm in which only the size of all losses differs, which changes nothing, moves a figure.

    A figure that is a sum of weighted losses is as many times larger there by definition, which tells nothing.
    """
    assert collected.study is not None
    if any(re.match(WEIGHTED, key) for key in keys(metric)):
        return 0.0
    there, found = figures(collected.runs, root, metric), 0.0
    for name in nothing(collected.study, root):
        change = _change(figures(collected.runs, name, metric), there, ratio).mean
        found = max(found, abs(change - 1.0 if ratio else change))
    return found  # max() leaves NaN out: the arm has no figure


def _claimed(effect: Effect, allowed: Margin) -> Range:
    """The changes that bear an effect out."""
    nothing = 1.0 if allowed.relative else 0.0  # what no change comes to
    least, most = nothing - allowed.amount, nothing + allowed.amount
    if effect.factor is not None:
        return Range(effect.factor.low * least, effect.factor.high * most)
    return {
        "up": Range(math.nextafter(most, math.inf), math.inf),
        "down": Range(-math.inf, math.nextafter(least, -math.inf)),
        "none": Range(least, most),
    }[str(effect.direction)]


def _verdict(found: Interval, claimed: Range) -> Measured:
    if claimed.low <= found.low and found.high <= claimed.high:
        return "confirmed"
    return "refuted" if found.high < claimed.low or found.low > claimed.high else "inconclusive"


def _text(metric: str, found: Interval, allowed: Margin) -> str:
    negligible = f"{allowed.amount:.0%}" if allowed.relative else f"{allowed.amount:.3g}"
    return (
        f"{metric} changes {'by the factor' if allowed.relative else 'by'} {found.mean:.3g} ({found.low:.3g} to "
        f"{found.high:.3g}); up to {negligible} counts as none ({allowed.why})."
    )


def _without(metric: str, seeds: int) -> str:
    if seeds == 1:
        return f"{metric}: only one seed has a figure in both arms, and one seed shows no difference."
    return f"{metric}: no figure that can be compared in both arms."
