"""What each switch of a factorial design does on average over the others."""

from collections.abc import Mapping
from itertools import combinations
from math import isfinite, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from telucodec.study.design.study import Study
from telucodec.study.results.intervals import student_interval


class Effect(NamedTuple):
    """The mean with a switch on minus that with it off, and with which others it is confused.

    Of several switches it is their interaction: half of what one does more once the other is on.
    """

    switches: tuple[str, ...]
    mean: float
    low: float  # 95 % interval over seeds (Student's t); NaN for fewer than two
    high: float
    seeds: int  # that have a figure of every row
    confused: tuple[str, ...]  # effects that the same figure would show, with - before those that it subtracts


def effects(study: Study, values: Mapping[str, Mapping[int, float]]) -> list[Effect]:
    """Main effects of the factors of a study, then those of pairs that are not confused with one of them.

    Args:
        study: its arms are the rows of the design; the base is that in which all are off.
        values: arm -> seed -> figure. A seed with a row missing, or not finite, is left out.

    Source: Box, Hunter and Hunter 2005, Statistics for Experimenters, chapters 5 and 6.
    """
    rows = {name: frozenset(arm.switches) & set(study.factors) for name, arm in study.arms.items()}
    rows = {name: on for name, on in rows.items() if name == study.base_name or on}
    seeds = [
        seed
        for seed in dict.fromkeys(seed for by_seed in values.values() for seed in by_seed)
        if all(isfinite(values.get(name, {}).get(seed, nan)) for name in rows)
    ]
    figures = np.array([[values[name][seed] for name in rows] for seed in seeds]).reshape(len(seeds), len(rows))
    found: dict[bytes, Effect] = {}
    wanted = [*combinations(study.factors, 1), *combinations(study.factors, 2)]
    for switches in wanted:
        column = np.array([np.prod([1 if switch in on else -1 for switch in switches]) for on in rows.values()])
        if abs(column.sum()) == len(column):
            continue  # it is the same in all rows
        key = column * column[0]
        if known := found.get(key.tobytes()):
            sign = "" if column[0] == known_sign(known, rows) else "- "
            confused = (*known.confused, sign + " ".join(switches))
            found[key.tobytes()] = known._replace(confused=confused)
            continue
        each = figures[:, column > 0].mean(1) - figures[:, column < 0].mean(1)
        found[key.tobytes()] = Effect(switches, *_bounds(each), len(seeds), ())
    return list(found.values())


def known_sign(effect: Effect, rows: Mapping[str, frozenset[str]]) -> int:
    """On which side of an effect the first row is."""
    first = next(iter(rows.values()))
    return int(np.prod([1 if switch in first else -1 for switch in effect.switches]))


def _bounds(each: NDArray[np.float64]) -> tuple[float, float, float]:
    return student_interval(each)[:3] if len(each) else (nan, nan, nan)
