"""The one picture: RMS ratio against correlation, with what both allow."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telucodec.diagnosis.identities import rho_implied

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = (-3, -1, 0, 1, 3, 6, 10, 20)  # dB of SNR
OFF, ON, SHADE = "#0072b2", "#d55e00", "#bbbbbb"


class Reported(NamedTuple):
    """A pair of figures that a document states."""

    name: str
    rms_ratio: float
    snr: float
    measured: bool  # else predicted


# the documents' own pairs of RMS ratio and SNR (conf/experiment/s000.yaml and so on)
DOCUMENTS = (
    Reported("S000, epoch 20", 0.159, -0.11, True),
    Reported("S004, epoch 45", 0.285, 0.53, True),
    Reported("S000, epoch 25", 0.4, 5.0, False),
    Reported("S000, epoch 25", 0.6, 10.0, False),
)


class Point(NamedTuple):
    """A run at one validation."""

    step: int
    rms_ratio: float
    rho: float


def plane(paths: Mapping[str, Sequence[Point]], title: str) -> "Figure":
    """Draw runs on the plane of RMS ratio and correlation.

    Every point of it is an SNR; along the dotted line, r = rho, no gain helps any more; above 1 there are no signals.

    Args:
        paths: name of a run -> its validations in order.
        title: of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 6.2), layout="constrained")
    axes = figure.subplots()
    widest = max([1.3, *(point.rms_ratio for path in paths.values() for point in path)]) * 1.03
    axes.set(xlim=(0, widest), ylim=(-0.14, 1.16), title=title)
    axes.set_xlabel("RMS ratio r: how loud the output is, 1 = as loud as the target")
    axes.set_ylabel("correlation rho: how much of the waveform is there")
    _background(axes, widest)
    _documents(axes)
    for number, (name, path) in enumerate(paths.items()):
        _path(axes, name, path, number)
    figure.legend(loc="outside lower center", fontsize=8, ncols=2)
    return figure


def _background(axes: "Axes", widest: float) -> None:
    r = np.linspace(0.01, widest, 400)
    for snr in LINES:
        rho = np.array([rho_implied(snr, x) for x in r])
        inside = (rho <= 1) & (rho >= -0.14)
        axes.plot(np.where(inside, r, np.nan), rho, color=SHADE, linewidth=0.9, zorder=1)
        if inside.any():
            at = np.flatnonzero(inside)[-1]
            place = (r[at], rho[at]) if r[at] < widest * 0.99 else (widest * 0.985, rho[at])
            axes.annotate(f"{snr} dB", place, fontsize=7, color="#777777", ha="right", va="center", zorder=2)
    line = np.linspace(0, 1, 2)
    axes.plot(line, line, ":", color="black", linewidth=1.4, label="best gain, r = rho: louder or quieter is worse")
    axes.axvline(1, color="black", linewidth=0.6, alpha=0.5)
    axes.axhspan(1, 1.16, color="#f3d9d9", zorder=0)
    axes.annotate("no two signals have these figures", (0.02 * widest, 1.1), fontsize=8, va="center", color="#8b0000")


def _documents(axes: "Axes") -> None:
    for measured, marker, label in (
        (True, "s", "reported by documents S000 and S004"),
        (False, "X", "predicted by document S000 for epoch 25"),
    ):
        points = [d for d in DOCUMENTS if d.measured == measured]
        rhos = [rho_implied(d.snr, d.rms_ratio) for d in points]
        axes.scatter([d.rms_ratio for d in points], rhos, marker=marker, s=42, color="black", label=label, zorder=4)
        for point, rho in zip(points, rhos, strict=True):
            told = f"{point.name}: {point.snr:+g} dB" if measured else f"{point.snr:+g} dB"
            axes.annotate(
                told,
                (point.rms_ratio, rho),
                (6, 4 if rho > 1 else -10),
                textcoords="offset points",
                fontsize=7,
                zorder=4,
            )


def _path(axes: "Axes", name: str, path: Sequence[Point], number: int) -> None:
    colour = (OFF, ON, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")[number % 6]
    r, rho = [p.rms_ratio for p in path], [p.rho for p in path]
    axes.plot(r, rho, "-o", color=colour, markersize=4, linewidth=1.4, label=name, zorder=5)
    for point in dict.fromkeys((path[0], path[-1])) if path else ():
        at = (point.rms_ratio, point.rho)
        left = point.rms_ratio > 0.85 * axes.get_xlim()[1]
        place, side = ((-6, 5), "right") if left else ((6, 5), "left")
        axes.annotate(f"step {point.step}", at, place, textcoords="offset points", ha=side, fontsize=8, color=colour)
