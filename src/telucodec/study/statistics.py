"""Figures with their uncertainty."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap


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
