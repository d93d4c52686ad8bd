"""The losses against the loudness of the output, as a picture."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, safe for colour-blind eyes
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31")
STYLES = ("-", (0, (6, 2)), (0, (2, 1.5)))


def draw_sweep(
    ratios: NDArray[np.float64],
    curves: Mapping[str, NDArray[np.float64]],
    lowest: Mapping[str, tuple[float, float]],
    level: Mapping[str, float],
) -> "Figure":
    """Draw each loss, scaled to its own range, over the RMS ratio that a gain would give the output.

    Args:
        ratios: RMS of the output over the target's, at each gain, [points].
        curves: loss -> its values there, [points]; `all` is their weighted sum.
        lowest: loss -> the RMS ratio where it is lowest, between two gains, and its value there; absent where flat.
        level: rho and rms_ratio of the output as it is.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 5.6), layout="constrained")
    axes = figure.subplots()
    axes.set_yscale("function", functions=(_root, _square))  # linear, the lowest points drown in flat lines
    axes.set(xlim=(-0.02, ratios[-1]), ylim=(0, 1.6), yticks=(0, 0.1, 0.5, 1))
    axes.set_yticklabels(["lowest", "10 %", "50 %", "highest"])
    axes.set_ylabel("each loss, from its lowest to its highest value here")
    axes.set_xlabel("RMS of the output over RMS of the target, as its volume is turned up")
    figure.suptitle("How loud does each loss want this output to be?", fontsize=13)
    told = "A line: one loss while nothing but the output's volume changes. A dot: the volume that it likes best."
    axes.set_title(told, fontsize=9)
    _marks(axes, level, float(ratios[-1]))
    for number, (name, curve) in enumerate(curves.items()):
        _line(axes, number, name, (ratios, curve), lowest.get(name))
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right center", fontsize=9, frameon=False, title="loss: best RMS ratio")
    return figure


def _marks(axes: "Axes", level: Mapping[str, float], largest: float) -> None:
    """What to compare the dots with."""
    marks = (
        (max(0.0, level["rho"]), "#555555", "--", 0.97, f"what the waveform allows: r = rho = {level['rho']:.2f}"),
        (1.0, "#555555", "-", 0.91, "as loud as the target: r = 1"),
        (level["rms_ratio"], "#999999", ":", 0.85, f"this output: r = {level['rms_ratio']:.2f}"),
    )
    for at, colour, style, height, text in marks:
        if at > largest:
            continue
        axes.axvline(at, 0, height, color=colour, linestyle=style, linewidth=1.2, zorder=1)
        side, away = ("left", 4) if at < 0.55 * largest else ("right", -4)
        axes.annotate(
            text,
            (at, height),
            (away, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=8,
            color="#333333",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            zorder=2,
        )


def _line(
    axes: "Axes",
    number: int,
    name: str,
    line: tuple[NDArray[np.float64], NDArray[np.float64]],
    lowest: tuple[float, float] | None,
) -> None:
    at, values = line
    if lowest is not None:  # a corner of the line, so that its dot lies on it
        place = int(np.searchsorted(at, lowest[0]))
        at, values = np.insert(at, place, lowest[0]), np.insert(values, place, lowest[1])
    low, high = float(values.min()), float(values.max())
    height = (values - low) / (high - low) if high > low else np.zeros_like(values)
    whole = name == "all"
    colour = "black" if whole else COLOURS[number % len(COLOURS)]
    style, width = ("-", 2.6) if whole else (STYLES[number % len(STYLES)], 1.6)
    told = "flat" if lowest is None else f"{lowest[0]:.2f}"
    label = f"{'all, weighted' if whole else name}: {told}"
    axes.plot(at, height, color=colour, linestyle=style, linewidth=width, label=label, zorder=3)
    if lowest is not None:
        axes.plot(lowest[0], height[place], "o", color=colour, markersize=8, mec="white", zorder=4, clip_on=False)


def _root(y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.clip(y, 0, None))


def _square(y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.square(y)
