"""What a study can find: the smallest shift that its seeds would show."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import ncf
from scipy.stats import t as student

ALPHA, POWER = 0.05, 0.8


def detectable_shift(means: NDArray[np.float64]) -> float:
    """Minimum detectable effect: the true difference that a paired t test finds in 4 of 5 studies like this one.

    At a two-sided level of 0.05 without correction for many arms, with as many seeds and their measured spread. A
    difference that was not found is no evidence against one smaller than this.

    Args:
        means: paired differences, one a seed: [n].

    Returns:
        In the unit of the figures; NaN for fewer than two seeds.

    Source: Cohen 1988, Statistical Power Analysis; the noncentral t distribution, here as noncentral F.

    >>> round(detectable_shift(np.array([-1.0, 0.0, 1.0])), 2)
    3.26
    """
    if len(means) < 2:
        return float("nan")
    return noncentrality(len(means)) * float(means.std(ddof=1)) / float(len(means) ** 0.5)


@lru_cache(maxsize=256)
def noncentrality(seeds: int) -> float:
    """Shift over its standard error at which the paired t test of so many seeds (at least 2) has a power of 0.8."""
    return float(brentq(lambda shift: power(seeds, shift) - POWER, 0.1, 40.0, xtol=1e-9))


def power(seeds: int, shift: float) -> float:
    """Chance that the two-sided t test of so many seeds finds a shift (> 0) of so many standard errors.

    The square of a noncentral t is a noncentral F, which scipy evaluates where its noncentral t gives NaN.

    >>> round(power(3, 0.01), 3), round(power(3, 5.0), 3)
    (0.05, 0.719)
    """
    limit = float(student.ppf(1 - ALPHA / 2, seeds - 1))
    return float(ncf.sf(limit**2, 1, seeds - 1, shift**2))
