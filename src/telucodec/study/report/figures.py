"""Still pictures of a study, for its README."""

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from telucodec.audio.picture import pixels
from telucodec.diagnosis.plane import DOCUMENTS, Point, plane
from telucodec.disk import replacing
from telucodec.study.report.arms import Row, by_arm, chosen, rows
from telucodec.study.report.front import front_figure
from telucodec.study.report.measures import TABLE, Measure, measure, tabled
from telucodec.study.report.series import curve, paths
from telucodec.study.results.collected import Collected
from telucodec.study.results.run import Ran

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BYTES = 200_000
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a7500")
DIM = "#c4c6c9"
WIDEST = 2.2  # a run that blew up must not squeeze the others
UNLABELLED = "diverged or not at its end"


def figures(collected: Collected, folder: Path) -> list[Path]:
    """Draw forest.png, plane.png and curves.png, and front.png where the study asks for it, each below 200 kB.

    Returns:
        What was written; a picture without any figures to show is left out.

    Raises:
        InputError: the folder cannot be written.
    """
    assert collected.study
    study, runs = collected.study, by_arm(collected)
    columns = tabled(collected.runs, study.primary, study.metrics)
    table = rows(collected, study.primary, columns)
    named = [table[number].name for number in chosen(table, study.highlight)]
    made = {
        "forest.png": forest_figure(table, measure(study.primary), study.higher_is_better),
        "plane.png": plane_figure(runs, named, study.name),
        "curves.png": curves_figure(runs, named, columns),
    }
    if study.front:
        across, up = (measure(key) for key in study.front)
        both = {row.name: row.figures for row in rows(collected, study.primary, [across, up])}
        made["front.png"] = front_figure({n: (own[across.key], own[up.key]) for n, own in both.items()}, [across, up])
    return [_save(figure, folder / name) for name, figure in made.items() if figure is not None]


def forest_figure(table: Sequence[Row], primary: Measure, higher: bool) -> "Figure | None":
    """Paired differences in the primary metric, the best on top; filled where the interval leaves out zero."""
    from matplotlib.figure import Figure

    known = [(row, row.difference) for row in table if row.difference and math.isfinite(row.difference.mean)]
    if not known:
        return None
    known.sort(key=lambda pair: pair[1].mean * (1 if higher else -1))
    figure = Figure(figsize=(8.6, 1.1 + 0.23 * len(known)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="black", linewidth=0.8, linestyle=":")
    for height, (_, one) in enumerate(known):
        colour = "#777777" if not one.clear else COLOURS[0] if (one.mean > 0) == higher else COLOURS[1]
        if math.isfinite(one.low):
            axes.plot([one.low, one.high], [height, height], color=colour, linewidth=1.8, solid_capstyle="butt")
        axes.plot(
            [one.mean], [height], "D", markersize=5, color=colour, markerfacecolor=colour if one.clear else "white"
        )
    several = len({row.reference for row, _ in known}) > 1
    names = [f"{row.name} (to {row.reference})" if several else row.name for row, _ in known]
    axes.set_yticks(range(len(known)), names, fontsize=8)
    axes.set(ylim=(-0.7, len(known) - 0.3), xlabel=f"difference in {primary.title}, arm minus reference")
    axes.set_title("95 % intervals over seeds and utterances; filled: without zero", fontsize=9)
    axes.grid(axis="x", color="#e5e5e5")
    axes.set_axisbelow(True)
    return figure


def plane_figure(runs: Mapping[str, Sequence[Ran]], named: Sequence[str], title: str) -> "Figure | None":
    """Every run's way through the plane: coloured by arm if there are few, else by the label at its end."""
    ways = [(name, ran, paths(ran)) for name, each in runs.items() for ran in each]
    ways = [(name, ran, way) for name, ran, way in ways if way]
    if not ways:
        return None
    figure = _backdrop([way[-1] for _, _, way in ways], title)
    axes = figure.axes[0]
    few = len(runs) <= len(COLOURS)
    kinds = list(runs) if few else sorted({ran.label or UNLABELLED for _, ran, _ in ways}, key=_severity)
    colours = {kind: COLOURS[number % len(COLOURS)] for number, kind in enumerate(kinds)}
    for name, ran, way in ways:
        colour = colours[name if few else ran.label or UNLABELLED]
        r, rho = [point.rms_ratio for point in way], [point.rho for point in way]
        axes.plot(r, rho, color=colour, linewidth=0.7 if few else 0.5, alpha=0.55, zorder=5)
        axes.plot(
            r[-1:], rho[-1:], "o", color=colour, markersize=5, markeredgecolor="white", markeredgewidth=0.6, zorder=6
        )
    _name_ends(axes, runs, named)
    _legend(figure, axes, colours)
    return figure


def curves_figure(
    runs: Mapping[str, Sequence[Ran]], named: Sequence[str], columns: Sequence[Measure]
) -> "Figure | None":
    """Up to four metrics over the steps: means over seeds, bands from the lowest to the highest, few arms in colour."""
    from matplotlib.figure import Figure

    shown = [each for each in columns if each.key in {columns[0].key, *TABLE}][:4]
    drawn = {each: {name: found for name in runs if (found := curve(runs[name], each.key))} for each in shown}
    drawn = {each: arms for each, arms in drawn.items() if any(len(one["steps"]) > 1 for one in arms.values())}
    if not drawn:
        return None
    figure = Figure(figsize=(8.6, 3.4 * math.ceil(len(drawn) / 2)), layout="constrained")
    panels = figure.subplots(math.ceil(len(drawn) / 2), min(2, len(drawn)), squeeze=False).flatten()
    colours = dict(zip(named, COLOURS, strict=False))
    for axes, (each, arms) in zip(panels, drawn.items(), strict=False):
        for name, one in sorted(arms.items(), key=lambda pair: pair[0] in colours):
            _curve(axes, one, name, colours.get(name))
        axes.set_title(each.title, fontsize=9)
        axes.grid(color="#ececec")
        axes.tick_params(labelsize=8)
        axes.set_xlabel("steps", fontsize=8)
    for axes in panels[len(drawn) :]:
        axes.remove()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", fontsize=8, ncols=4)
    return figure


def _backdrop(ends: Sequence[Point], title: str) -> "Figure":
    """The plane with the documents' points, as wide as runs end, and how many end beyond."""
    widest = min(WIDEST, max(1.3, *(1.1 * end.rms_ratio for end in ends)))
    figure = plane({"": [Point(0, widest, 0.0)]}, title)  # a stand-in that sets how wide it is
    axes = figure.axes[0]
    for artist in (axes.lines[-1], *axes.texts[-1:]):
        artist.remove()
    for text in axes.texts[-len(DOCUMENTS) :]:
        text.set(zorder=7, bbox={"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.3})
    right = axes.get_xlim()[1]
    for text in axes.texts:
        if text.get_text().startswith("no two"):  # the documents' points would cover it where the plane is wide
            text.set(position=(0.985 * right, 1.13), horizontalalignment="right")
    beyond = sum(end.rms_ratio > right for end in ends)
    if beyond:
        told = f"{beyond} {'run ends' if beyond == 1 else 'runs end'} farther to the right"
        axes.text(0.985 * right, -0.11, told, fontsize=8, ha="right", color="#555555")
    return figure


def _curve(axes: "Axes", one: Mapping[str, Any], name: str, colour: str | None) -> None:
    table = np.array([[math.nan if value is None else value for value in row] for row in one["rows"]], dtype=float)
    known = np.isfinite(table).any(0)
    steps, table = np.array(one["steps"])[known], table[:, known]
    if colour is None:
        axes.plot(steps, np.nanmean(table, 0), color=DIM, linewidth=0.7, zorder=1)
        return
    axes.plot(steps, np.nanmean(table, 0), color=colour, linewidth=1.5, label=name, zorder=3)
    axes.fill_between(steps, np.nanmin(table, 0), np.nanmax(table, 0), color=colour, alpha=0.18, linewidth=0, zorder=2)


def _severity(label: str) -> tuple[bool, bool, str]:
    return (label == UNLABELLED, label != "healthy", label)


def _name_ends(axes: "Axes", runs: Mapping[str, Sequence[Ran]], names: Sequence[str]) -> None:
    """Write arms' names beside where they end, those that would cover another left out."""
    taken: list[tuple[float, float, float]] = []  # from, to and height of those that are there
    right = axes.get_xlim()[1]
    for name in names:
        ends = [way[-1] for ran in runs[name] if (way := paths(ran))]
        if not ends:
            continue
        r, rho = (float(np.mean([getattr(end, key) for end in ends])) for key in ("rms_ratio", "rho"))
        wide = 0.0085 * right * (len(name) + 1)
        left = r + wide > right
        begin, end = (r - wide, r) if left else (r, r + wide)
        if r > right or any(begin < there and end > here and abs(rho - y) < 0.045 for here, there, y in taken):
            continue
        taken.append((begin, end, rho))
        axes.annotate(
            name, (r, rho), (-7 if left else 7, 4), textcoords="offset points", ha="right" if left else "left",
            fontsize=7.5, zorder=8, bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip


def _legend(figure: "Figure", axes: "Axes", colours: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    for legend in list(figure.legends):
        legend.remove()
    handles, labels = axes.get_legend_handles_labels()
    handles += [Line2D([], [], marker="o", linewidth=1, color=colour) for colour in colours.values()]
    figure.legend(handles, [*labels, *colours], loc="outside lower center", fontsize=8, ncols=3)


def _save(figure: "Figure", path: Path) -> Path:
    """Write a picture with few colours, coarser and coarser until it is small enough."""
    for dpi in (130, 110, 90, 70, 50):
        figure.set_dpi(dpi)
        file = BytesIO()
        Image.fromarray(pixels(figure)).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(
            file, "PNG", optimize=True
        )
        if len(file.getvalue()) < MOST_BYTES:
            break
    with replacing(path) as partial:
        partial.write_bytes(file.getvalue())
    return path
