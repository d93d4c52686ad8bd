"""Two figures that are bought with each other, and the arms that nothing beats in both."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from telucodec.errors import InputError
from telucodec.study.report.measures import Measure
from telucodec.study.results.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Placed = Mapping[str, tuple[Interval, Interval]]  # arm -> its figures on both axes


def front(points: Mapping[str, tuple[float, float]], better: tuple[int, int]) -> list[str]:
    """The names that no other is better than in both figures, or better in one and equal in the other.

    Args:
        points: name -> both figures.
        better: for each, 1 where higher is better, -1 where lower is.

    >>> front({"a": (3.0, 1.3), "b": (2.0, 1.2), "c": (1.0, 1.25)}, (1, -1))
    ['a', 'b']
    """
    good = {name: tuple(x * sign for x, sign in zip(pair, better, strict=True)) for name, pair in points.items()}
    return [name for name, own in good.items() if not any(_beats(other, own) for other in good.values())]


def front_figure(placed: Placed, axes_of: Sequence[Measure]) -> "Figure | None":
    """Every arm with its intervals; the front of those that nothing beats in both is joined by a line.

    Raises:
        InputError: a figure has no better side, like the RMS ratio; the message names it.
    """
    from matplotlib.figure import Figure

    across, up = axes_of
    for each in axes_of:
        if not each.better:
            raise InputError(f"front: of {each.key} neither more nor less is better. Choose a metric that has a side.")
    known = {name: pair for name, pair in placed.items() if all(math.isfinite(one.mean) for one in pair)}
    if not known:
        return None
    figure = Figure(figsize=(8.6, 6.0), layout="constrained")
    axes = figure.subplots()
    best = front({name: (x.mean, y.mean) for name, (x, y) in known.items()}, (across.better, up.better))
    line = sorted((known[name][0].mean, known[name][1].mean) for name in best)
    axes.plot(*zip(*line, strict=True), ":", color="black", linewidth=1.2, label="the front: no arm is better in both")
    for name, (x, y) in known.items():
        colour = "#0072b2" if name in best else "#777777"
        axes.plot([x.low, x.high], [y.mean, y.mean], color=colour, linewidth=0.8, alpha=0.5)
        axes.plot([x.mean, x.mean], [y.low, y.high], color=colour, linewidth=0.8, alpha=0.5)
        axes.plot([x.mean], [y.mean], "o", color=colour, markersize=5, markeredgecolor="white")
        axes.annotate(name, (x.mean, y.mean), (5, 4), textcoords="offset points", fontsize=7.5, color=colour)
    words = {1: "higher is better", -1: "lower is better"}
    axes.set(xlabel=f"{across.title} ({words[across.better]})", ylabel=f"{up.title} ({words[up.better]})")
    axes.grid(color="#ececec")
    axes.set_axisbelow(True)
    axes.margins(x=0.12)  # names stand to the right of their arms
    axes.legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def _beats(other: tuple[float, ...], own: tuple[float, ...]) -> bool:
    return other != own and all(a >= b for a, b in zip(other, own, strict=True))
