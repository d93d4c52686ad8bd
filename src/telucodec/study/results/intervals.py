"""Means and where they may lie."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap
from scipy.stats import t as student

RESAMPLES = 4000


class Interval(NamedTuple):
    """A mean and where it may lie."""

    mean: float
    low: float
    high: float
    counted: int


def clustered_interval(
    values: Sequence[float], clusters: Sequence[str], confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Mean with its percentile bootstrap interval over clusters (2000 resamples of whole clusters).

    Utterances of one speaker are alike: what generalises to new speakers is an interval over speakers.

    Args:
        values: one an utterance; NaN are left out.
        clusters: whose each is.
        confidence: of the interval, in (0, 1).
        seed: of the resampling.

    Returns:
        The mean over all values; NaN bounds for fewer than three clusters.

    Source: Field and Welsh 2007, Bootstrapping clustered data.

    >>> clustered_interval([1.0, 1.0, 5.0, 5.0, 3.0], ["a", "a", "b", "b", "c"]).low
    1.0
    """
    kept = [(value, name) for value, name in zip(values, clusters, strict=True) if not np.isnan(value)]
    mean = float(np.mean([value for value, _ in kept])) if kept else float("nan")
    names = sorted({name for _, name in kept})
    if len(names) < 3:
        return Interval(mean, float("nan"), float("nan"), len(kept))
    sums = np.array([[sum(v for v, n in kept if n == name), sum(n == name for _, n in kept)] for name in names])
    draws = sums[np.random.default_rng(seed).integers(len(names), size=(2000, len(names)))].sum(1)
    low, high = np.quantile(draws[:, 0] / draws[:, 1], [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean, float(low), float(high), len(kept))


def mean_interval(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> Interval:
    """Mean with its bootstrap interval over the values (bias-corrected and accelerated, 2000 resamples).

    Args:
        values: independent figures, for example one an utterance; NaN are left out.
        confidence: of the interval, in (0, 1).
        seed: of the resampling.

    Returns:
        NaN bounds for fewer than three values; both bounds at the mean where all values are equal.

    Source: Efron 1987, Better Bootstrap Confidence Intervals.

    >>> mean_interval([2.0, 2.0, 2.0])
    Interval(mean=2.0, low=2.0, high=2.0, counted=3)
    """
    kept = np.asarray([value for value in values if not np.isnan(value)], dtype=float)
    mean = float(kept.mean()) if len(kept) else float("nan")
    if len(kept) < 3:
        return Interval(mean, float("nan"), float("nan"), len(kept))
    if np.ptp(kept) == 0:
        return Interval(mean, mean, mean, len(kept))
    found = bootstrap((kept,), np.mean, confidence_level=confidence, n_resamples=2000, rng=np.random.default_rng(seed))
    return Interval(mean, float(found.confidence_interval.low), float(found.confidence_interval.high), len(kept))


def student_interval(values: NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """Mean with Student's interval: covers what it says from two values on, if they are about normal.

    Args:
        values: independent figures without NaN, one a seed: [n].
        confidence: of the interval, in (0, 1).

    Returns:
        NaN bounds for fewer than two values.

    >>> [round(bound, 3) for bound in student_interval(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.484, 4.484, 3]
    """
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Interval(mean, float("nan"), float("nan"), count)
    half = float(student.ppf((1 + confidence) / 2, count - 1) * np.std(values, ddof=1) / count**0.5)
    return Interval(mean, mean - half, mean + half, count)


def bootstrap_interval(table: NDArray[np.float64], confidence: float = 0.95, seed: int = 0) -> Interval:
    """Mean over seeds with its percentile interval of a hierarchical bootstrap: seeds are drawn, then utterances.

    All seeds hear the same utterances, so a resample draws them once for all its seeds: drawn for each seed anew, an
    utterance that is hard for every seed would count as several.

    Args:
        table: figures [seeds, utterances], NaN where one is missing, at least one in each row. A seed counts once,
            however many utterances it has.
        confidence: of the interval, in (0, 1).
        seed: of the resampling; equal shapes share their resamples, so that paired intervals are comparable.

    Returns:
        NaN bounds for fewer than two seeds. With n seeds of equal utterances the interval cannot leave the range of
        their means, and covers 1 - 2^(1 - n) of truths at most (n <= 5).

    Source: Owen 2007, The pigeonhole bootstrap; Saravanan, Berman and Sober 2020, on hierarchical data.
    """
    seeds, utterances = table.shape
    mean = float(np.nanmean(table, 1).mean())
    if seeds < 2:
        return Interval(mean, float("nan"), float("nan"), seeds)
    known = np.isfinite(table)
    chosen, heard = _draws(seeds, seed), _draws(utterances, seed + 1)
    with np.errstate(invalid="ignore"):  # a resample without any utterance of a seed
        means = (heard @ np.where(known, table, 0.0).T) / (heard @ known.T)
    drawn = np.isfinite(means) * chosen
    totals = (np.where(np.isfinite(means), means, 0.0) * chosen).sum(1)
    found = totals[drawn.sum(1) > 0] / drawn.sum(1)[drawn.sum(1) > 0]
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean, float(low), float(high), seeds)


def wider(one: Interval, other: Interval) -> Interval:
    """Two intervals of the same mean as one that holds both."""
    return Interval(one.mean, min(one.low, other.low), max(one.high, other.high), one.counted)


@lru_cache(maxsize=64)
def _draws(count: int, seed: int) -> NDArray[np.float64]:
    """How often each of some things is drawn in each resample: [resamples, count]."""
    return np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=RESAMPLES).astype(float)
