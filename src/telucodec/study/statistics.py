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


def mean_interval(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> Interval:
    """Mean with its bootstrap interval over the values (bias-corrected and accelerated, 2000 resamples).

    Args:
        values: independent figures, for example one an utterance; NaN are left out.
        confidence: of the interval, in (0, 1).
        seed: of the resampling.

    Returns:
        NaN bounds for fewer than two values; both bounds at the mean where all values are equal.

    Source: Efron 1987, Better Bootstrap Confidence Intervals.

    >>> mean_interval([2.0, 2.0, 2.0])
    Interval(mean=2.0, low=2.0, high=2.0, counted=3)
    """
    kept = np.asarray([value for value in values if not np.isnan(value)], dtype=float)
    mean = float(kept.mean()) if len(kept) else float("nan")
    if len(kept) < 2:
        return Interval(mean, float("nan"), float("nan"), len(kept))
    if np.ptp(kept) == 0:
        return Interval(mean, mean, mean, len(kept))
    found = bootstrap((kept,), np.mean, confidence_level=confidence, n_resamples=2000, rng=np.random.default_rng(seed))
    return Interval(mean, float(found.confidence_interval.low), float(found.confidence_interval.high), len(kept))
