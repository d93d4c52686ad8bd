"""A picture of what a manifest holds."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from telucodec.data.entry import SPLITS, Entry
from telucodec.disk import replacing

COLOURS = {
    "train": "#4477aa",
    "valid": "#ee6677",
    "test": "#228833",
}  # Paul Tol's bright scheme, safe for colour-blind eyes
MOST_SPEAKERS = 30  # bars that can still be told apart


def draw_entries(entries: Sequence[Entry], title: str, png: Path) -> None:
    """Draw level, bandwidth and duration by split, and minutes by speaker.

    Raises:
        InputError: the picture cannot be written.
    """
    figure = Figure(figsize=(11, 7.5), layout="constrained")  # no pyplot: nothing global, no window
    axes = figure.subplots(2, 2)
    hours = {name: sum(entry.seconds for entry in entries if entry.split == name) / 3600 for name in SPLITS}
    by_split = ", ".join(f"{name} {value:.2f} h" for name, value in hours.items() if value)
    figure.suptitle(f"{title}\n{len(entries)} utterances, {sum(hours.values()):.2f} h: {by_split}", fontsize=10)
    _histogram(axes[0, 0], entries, lambda entry: max(entry.rms_dbfs, -80.0), "level: RMS (dBFS)")
    _histogram(axes[0, 1], entries, lambda entry: entry.bandwidth_hz / 1000, "bandwidth (kHz)")
    _histogram(axes[1, 0], entries, lambda entry: entry.seconds, "duration (s)")
    _speakers(axes[1, 1], entries)
    with replacing(png) as partial:
        figure.savefig(partial, format="png", dpi=110)


def _histogram(axes: Axes, entries: Sequence[Entry], value: Callable[[Entry], float], label: str) -> None:
    by_split = {name: [value(entry) for entry in entries if entry.split == name] for name in SPLITS}
    there = {name: values for name, values in by_split.items() if values}
    edges = np.histogram_bin_edges(np.concatenate(list(there.values())), bins=40)
    axes.hist(
        list(there.values()), bins=list(edges), stacked=True, color=[COLOURS[name] for name in there], label=list(there)
    )
    axes.set_xlabel(label)
    axes.set_ylabel("utterances")
    axes.spines[["top", "right"]].set_visible(False)
    # above the bars: looking for the best place among them takes long
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(SPLITS))


def _speakers(axes: Axes, entries: Sequence[Entry]) -> None:
    """Minutes of the longest speakers, one bar each in the colour of its split, the others summed."""
    minutes: dict[tuple[str, str], float] = defaultdict(float)
    for entry in entries:
        minutes[entry.split, entry.speaker or "(unknown)"] += entry.seconds / 60
    longest = sorted(minutes, key=lambda key: -minutes[key])
    shown = sorted(longest[:MOST_SPEAKERS], key=lambda key: (SPLITS.index(key[0]), -minutes[key]))
    bars = [(name[:14], minutes[split, name], COLOURS[split]) for split, name in shown]
    if rest := longest[MOST_SPEAKERS:]:
        bars.append((f"{len(rest)} more", sum(minutes[key] for key in rest), "#bbbbbb"))
    axes.bar(range(len(bars)), [height for _, height, _ in bars], color=[colour for _, _, colour in bars])
    axes.set_xticks(range(len(bars)), [name for name, _, _ in bars], rotation=90, fontsize=7)
    axes.set_ylabel("minutes")
    axes.set_xlabel("speaker")
    axes.spines[["top", "right"]].set_visible(False)
