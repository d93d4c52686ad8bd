"""How the laboratory's pictures look and are saved."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from telucodec.diagnosis.lab.experiment import Experiment
from telucodec.disk import replacing

BLUE, RED, GREEN, ORANGE, PINK, SKY, BLACK, GREY = (
    "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#000000", "#888888",
)  # fmt: skip
COLOURS = (BLUE, RED, GREEN, ORANGE, PINK, SKY)  # Okabe and Ito 2008, safe for colour-blind eyes
SHADES = 255  # of a palette picture: enough for the colours above and their smooth edges

Draw = Callable[[Experiment, Figure], None]


def picture(experiment: Experiment, draw: Draw) -> Figure:
    """An experiment drawn, 7 x 4 inches, without a window."""
    figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
    draw(experiment, figure)
    figure.suptitle(experiment.title, fontsize=11)
    return figure


def save(figure: Figure, png: Path) -> None:
    """Write a picture as a small PNG with a palette.

    Raises:
        InputError: the file cannot be written.
    """
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    image = Image.open(drawn).convert("RGB")
    with replacing(png) as partial:
        image.quantize(SHADES, dither=Image.Dither.NONE).save(partial, format="PNG", optimize=True)


def plain(axes: Axes, x: str, y: str, **limits: Any) -> None:
    """Name the axes in words and take away what shows nothing."""
    axes.set(**limits)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)


def line(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, **more: Any) -> None:
    """What is predicted."""
    axes.plot(x, y, color=colour, linewidth=1.4, **more)


def dots(
    axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, marker: str = "o", size: float = 4, **more: Any
) -> None:
    """What was measured."""
    axes.plot(x, y, color=colour, linestyle="none", marker=marker, markersize=size, **more)


def name(axes: Axes, x: float, y: float, text: str, colour: str, **more: Any) -> None:
    """Text at a place of the data, in the colour of what it names."""
    axes.text(x, y, text, color=colour, fontsize=8, va="center", **more)
