"""Pictures of the experiments on loudness: I1 to I4, I6 and I10."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from telucodec.diagnosis import identities
from telucodec.diagnosis.lab.experiment import Experiment
from telucodec.diagnosis.lab.losses import WEIGHTS
from telucodec.diagnosis.lab.picture import (
    BLACK,
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    RED,
    SKY,
    dots,
    line,
    name,
    plain,
)

FINE = np.linspace(0.0, 1.6, 200).tolist()


def decomposition(experiment: Experiment, figure: Figure) -> None:
    """SNR against the RMS ratio for several correlations, and the parts of the noise in outputs of the documents."""
    data = experiment.data
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    shown = {"0.0": BLUE, "0.344": RED, "0.8": GREEN, "0.95": ORANGE, "0.999": PINK}
    for key, colour in shown.items():
        rho = float(key)
        line(left, FINE, [identities.snr(rho, r) for r in FINE], colour)
        dots(left, data["rms_ratio"], data["snr"][key], colour)
        if rho:
            best = identities.snr_ceiling(rho)
            dots(left, [rho], [min(best, 24.2)], colour, "v", 6)
        name(left, 1.63, identities.snr(rho, 1.6), f"{rho:g}", colour, clip_on=False)
    left.axhline(0, color=BLACK, linewidth=0.8)
    name(left, 1.63, 7, "rho", BLACK, clip_on=False)
    plain(left, "RMS of the output over RMS of the target", "SNR, dB", xlim=(0, 1.6), ylim=(-6, 25))
    left.set_title("lines: I1; dots: measured; triangles: the best gain", fontsize=8)
    _parts(right, data["parts"])


def _parts(axes: Axes, parts: dict[str, Sequence[float]]) -> None:
    bottoms = np.zeros(len(parts))
    for index, (part, colour) in enumerate((("shape", BLUE), ("gain", ORANGE), ("offset", GREEN))):
        heights = np.array([values[index] for values in parts.values()])
        axes.bar(range(len(parts)), heights, bottom=bottoms, color=colour, width=0.6, label=part)
        bottoms += heights
    plain(axes, "", "noise over signal power", ylim=(0, 1.3))
    axes.set_xticks(range(len(parts)), [label.replace(" ", "\n") for label in parts], fontsize=8)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper center")
    axes.grid(visible=False, axis="x")


def loss_bound(experiment: Experiment, figure: Figure) -> None:
    """How loud a target must be for one value of L1 + MSE, against the SNR."""
    data, axes = experiment.data, figure.subplots()
    least = [identities.sigma_implied(identities.mse_least(data["loss"]), snr) for snr in np.linspace(0, 25, 100)]
    line(axes, np.linspace(0, 25, 100).tolist(), least, BLUE)
    dots(axes, data["snr"], data["gaussian_at_loss"], RED, label="Gaussian targets, measured")
    axes.axhspan(1, 4, color="#eeeeee")
    name(axes, 0.4, 1.5, "louder than a full-scale square wave:\nimpossible for audio in [-1, 1]", BLACK)
    axes.axhspan(0.05, 0.2, color=SKY, alpha=0.25)
    name(axes, 24.6, 0.1, "speech as it is usually recorded", BLACK, ha="right")
    name(axes, 13.2, 0.3, "least RMS that any target can have", BLUE)
    name(axes, 11.8, 0.47, "Gaussian targets, measured", RED, ha="right")
    axes.plot(
        [22.5],
        [identities.sigma_implied(identities.mse_least(data["loss"]), 22.5)],
        marker="*",
        color=BLACK,
        markersize=13,
    )
    name(axes, 22.0, 1.22, "promised by document S003", BLACK, ha="right")
    plain(
        axes,
        "SNR, dB",
        f"RMS of the target where L1 + MSE = {data['loss']}",
        xlim=(0, 25),
        yscale="log",
        ylim=(0.04, 2.2),
    )
    axes.set_yticks([0.05, 0.1, 0.2, 0.5, 1, 2], ["0.05", "0.1", "0.2", "0.5", "1", "2"])
    axes.minorticks_off()


def gain_optimum(experiment: Experiment, figure: Figure) -> None:
    """The gain that each loss wants, against the correlation."""
    data, axes = experiment.data, figure.subplots()
    rho, fine = data["rho"], np.linspace(0, 0.99, 40)
    line(axes, fine.tolist(), fine.tolist(), BLACK)
    line(axes, [0, 1], [1, 1], BLACK)
    line(axes, rho, data["predicted"]["linear spectrum"], BLACK)
    styles = {
        "log mel": (GREEN, "s"),
        "log(1e-5 + mel)": (PINK, "+"),
        "log(1 + mel)": (SKY, "^"),
        "linear spectrum": (ORANGE, "D"),
        "L1": (RED, "x"),
        "MSE": (BLUE, "o"),
    }
    for key, (colour, marker) in styles.items():
        hollow = {"markerfacecolor": "none"} if marker in "os^" else {}
        dots(axes, rho, data["measured"][key], colour, marker=marker, size=7, label=key, **hollow)
    plain(axes, "correlation of output and target", "gain that the loss wants", xlim=(-0.02, 1.0), ylim=(-0.03, 1.09))
    axes.legend(
        frameon=False,
        fontsize=8,
        loc="center right",
        bbox_to_anchor=(1.0, 0.32),
        title="measured (lines: predicted)",
        title_fontsize=8,
    )


def scale_slope(experiment: Experiment, figure: Figure) -> None:
    """The slope of MSE by an output scale, against the RMS ratio."""
    data, axes = experiment.data, figure.subplots()
    unit = 2 * data["sigma"] ** 2 / data["scale"]
    fine = np.linspace(0, 1.25, 100)
    for (key, slopes), colour in zip(data["slope"].items(), COLOURS, strict=False):
        rho = float(key)
        line(axes, fine.tolist(), (fine * (fine - rho)).tolist(), colour)
        dots(axes, data["rms_ratio"], [s / unit for s in slopes], colour)
        name(axes, 1.26, 1.25 * (1.25 - rho), f"rho {rho:g}", colour, clip_on=False)
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.axhspan(-0.3, 0, color="#eeeeee", zorder=0)
    name(axes, 0.03, -0.26, "MSE raises the scale: only while the RMS ratio is below rho", BLACK)
    name(axes, 0.03, 1.4, "MSE lowers the scale", BLACK)
    plain(
        axes,
        "RMS of the output over RMS of the target",
        "slope of MSE by the output scale",
        xlim=(0, 1.25),
        ylim=(-0.3, 1.6),
    )
    axes.set_title("in units of 2 x the target's power over the scale; lines: I4, dots: back-propagated", fontsize=8)


def rms_slopes(experiment: Experiment, figure: Figure) -> None:
    """How hard the items' RMS pulls, in units of the batch's RMS."""
    data, axes = experiment.data, figure.subplots()
    styles = {
        "quiet": (BLUE, "o", "loudness unlike the target's, too quiet"),
        "loud": (ORANGE, "^", "loudness unlike the target's, too loud"),
        "alike": (BLACK, "+", "loudness in proportion to the target's"),
    }
    for key, (colour, marker, label) in styles.items():
        dots(axes, data["rms_ratio"][key], data["ratio"][key], colour, marker=marker, size=4.5, label=label)
    axes.axhline(1, color=BLACK, linewidth=0.8)
    axes.axvline(1, color=GREY, linewidth=0.8, linestyle=":")
    axes.annotate(
        "document S000 reckons with 16", (0.06, 3.95), (0.06, 3.35), fontsize=8, arrowprops={"arrowstyle": "->"}
    )
    plain(
        axes,
        "RMS of all outputs over RMS of all targets",
        "slope of the items' RMS loss\nover slope of the batch's",
        xlim=(0, 2),
        ylim=(-3, 4),
    )
    axes.legend(frameon=False, fontsize=8, loc="lower left")


def mixtures(experiment: Experiment, figure: Figure) -> None:
    """RMS ratio and SNR at rest, against the weight of the RMS loss."""
    data = experiment.data
    left, right = figure.subplots(1, 2)
    weights, floor = data["weights"], 0.04  # where weight 0 is drawn on the logarithmic axis
    for (key, ratios), colour in zip(data["rms_ratio_by_weight"].items(), COLOURS, strict=False):
        rho = float(key)
        line(left, weights, ratios, colour)
        line(right, weights, [identities.snr(rho, r) for r in ratios], colour)
        rows = [
            (w, r, snr)
            for (sigma, own, w), r, snr in zip(data["rows"], data["rms_ratio"], data["snr"], strict=True)
            if own == rho and sigma == 0.16
        ]
        drawn = [max(w, floor) for w, _, _ in rows]
        dots(left, drawn, [r for _, r, _ in rows], colour)
        dots(right, drawn, [snr for _, _, snr in rows], colour)
        name(right, 500, identities.snr(rho, ratios[-1]), f"rho {rho:g}", colour, clip_on=False)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlim(floor * 0.8, 400)
    plain(left, "weight of the RMS loss beside L1 + MSE", "RMS ratio at rest", ylim=(-0.03, 1.05))
    plain(right, "weight of the RMS loss beside L1 + MSE", "SNR there, dB", ylim=(-3.6, 5))
    right.axhline(0, color=BLACK, linewidth=0.8)
    for axes in (left, right):
        axes.set_xticks([floor, *WEIGHTS[1:]], ["0", *(f"{w:g}" for w in WEIGHTS[1:])])
        axes.minorticks_off()
