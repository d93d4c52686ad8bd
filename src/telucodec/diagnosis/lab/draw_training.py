"""Pictures of the experiments on training, quantizers and rates: I5, I7 to I9, and the rate."""

import numpy as np
from matplotlib.figure import Figure

from telucodec.diagnosis.lab.experiment import Experiment
from telucodec.diagnosis.lab.picture import (
    BLACK,
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    RED,
    SKY,
    dots,
    line,
    name,
    plain,
)


def adam_walks(experiment: Experiment, figure: Figure) -> None:
    """Distance from the start in learning rates, against steps."""
    data, axes = experiment.data, figure.subplots()
    steps = np.geomspace(1, 1e5, 30)
    line(axes, steps.tolist(), (data["bound_in_lr"] * steps).tolist(), BLACK, linestyle="--")
    line(axes, steps.tolist(), steps.tolist(), GREY, linestyle=":")
    for (label, moved), colour in zip(data["moved_in_lr"].items(), COLOURS, strict=False):
        line(axes, data["step"], moved, colour, label=f"gradients: {label}")
    name(axes, 55, 6500, "bound: 7.27 a step", BLACK)
    wished = 0.7 / data["lr"]
    axes.axhline(wished, color=BLACK, linewidth=0.8)
    name(axes, 1.15, wished * 1.8, "2.5 to 3.2: expected by document S001 after 5 epochs", BLACK)
    axes.axvspan(15, 2000, color="#eeeeee", zorder=0)
    name(axes, 20, 0.18, "5 epochs: 15 steps\nof 33 clips ...", BLACK)
    name(axes, 1800, 0.18, "... 2000 if\n400 an epoch", BLACK, ha="right")
    plain(
        axes,
        "optimizer steps",
        "distance moved, in learning rates",
        xscale="log",
        yscale="log",
        xlim=(1, 1e5),
        ylim=(0.08, 1e6),
    )
    axes.legend(frameon=False, fontsize=7.5, loc="upper left", bbox_to_anchor=(0.0, 0.78))


def straight_through(experiment: Experiment, figure: Figure) -> None:
    """Gain of the gradient against the number of codebooks."""
    data, axes = experiment.data, figure.subplots()
    numbers = data["codebooks"]
    line(axes, numbers, numbers, GREY)
    line(axes, numbers, [1] * len(numbers), GREY)
    line(axes, numbers, [0] * len(numbers), GREY)
    styles = {
        "around each codebook": (RED, "o", 9),
        "the same, not detached": (ORANGE, "x", 6),
        "chained": (SKY, "s", 9),
        "around all codebooks": (BLUE, "x", 6),
        "nowhere": (GREEN, "D", 5),
    }
    for key, (colour, marker, size) in styles.items():
        hollow = {"markerfacecolor": "none"} if size == 9 else {}
        dots(axes, numbers, data["gain"][key], colour, marker=marker, size=size, label=key, **hollow)
    plain(axes, "codebooks", "gradient at the encoder's output\nover gradient at the latent", ylim=(-0.4, 8.5))
    axes.legend(
        frameon=False, fontsize=8, loc="upper left", title="straight-through (lines: 0, 1, N)", title_fontsize=8
    )


def ema_evidence(experiment: Experiment, figure: Figure) -> None:
    """How far the codebook has moved and what error is left, against updates."""
    data = experiment.data
    left, right = figure.subplots(1, 2)
    for (label, moved), colour in zip(data["movement"].items(), (BLUE, RED), strict=True):
        line(left, data["update"], moved, colour, label=f"fed {label}")
        line(right, data["update"], data["error"][label], colour)
    plain(left, "updates", "distance moved over size of the codebook", ylim=(-0.03, 0.8))
    plain(right, "updates", "squared error over variance of the frames", ylim=(0, 0.7))
    left.legend(frameon=False, fontsize=8, loc="center right")


def decoder_gradients(experiment: Experiment, figure: Figure) -> None:
    """What each loss sends to encoder and decoder, and what a shared clip leaves of the decoder's part."""
    data = experiment.data
    left, right = figure.subplots(1, 2)
    places = np.arange(len(data["norm"]))
    for shift, (side, colour) in zip((-0.18, 0.18), (("encoder", SKY), ("decoder", RED)), strict=True):
        heights = [norms[side] for norms in data["norm"].values()]
        left.bar(places + shift, heights, width=0.34, color=colour, label=f"at the {side}")
        for place, height in zip(places + shift, heights, strict=True):
            name(left, place, height + 0.03, f"{height:.2f}" if height else "0", BLACK, ha="center")
    plain(left, "", "norm of the gradient", ylim=(0, 1.3 * max(n["encoder"] for n in data["norm"].values()) + 0.2))
    left.set_xticks(places, [f"{label} loss" for label in data["norm"]], fontsize=8)
    left.legend(frameon=False, fontsize=8, loc="upper right")
    left.grid(visible=False, axis="x")
    weights = [max(w, 0.1) for w in data["weight"]]
    line(right, [0.08, 3000], [data["norm"]["L1"]["decoder"]] * 2, GREY)
    name(right, 3000, data["norm"]["L1"]["decoder"] * 1.5, "without a clip, whatever the weight", GREY, ha="right")
    line(right, weights, data["clipped"], RED, marker="o", markersize=4)
    name(right, 1.2, data["clipped"][-3] * 0.8, "with one clip\nfor all parameters", RED)
    plain(
        right,
        "weight of the commitment loss beside L1",
        "norm of the decoder's gradient",
        xscale="log",
        yscale="log",
        xlim=(0.08, 3000),
        ylim=(3e-4, 2),
    )
    right.set_xticks([0.1, 1, 10, 100, 1000], ["0", "1", "10", "100", "1000"])


def rate_bound(experiment: Experiment, figure: Figure) -> None:
    """SNR against bits a sample, of the best code and of quantizers."""
    data, axes = experiment.data, figure.subplots()
    colours = {"white noise": BLUE, "prediction gain 20 dB": RED}
    markers = {"scalar, entropy-coded": "o", "residual VQ of this project": "s"}
    for source, colour in colours.items():
        line(axes, data["bits"], data["reachable"][source], colour)
        for quantizer, marker in markers.items():
            own = [(bits, snr) for s, q, bits, snr in data["points"] if (s, q) == (source, quantizer)]
            hollow = {"markerfacecolor": "none"} if marker == "s" else {}
            dots(axes, [b for b, _ in own], [s for _, s in own], colour, marker, 5, **hollow)
    for quantizer, marker in markers.items():
        hollow = {"markerfacecolor": "none"} if marker == "s" else {}
        dots(axes, [], [], BLACK, marker, 5, label=f"measured: {quantizer}", **hollow)
    name(axes, 3.4, 45, "best code,\nprediction gain 20 dB", RED, ha="right")
    name(axes, 4.3, 23, "best code,\nwhite noise", BLUE)
    wish = data["wish"]
    dots(axes, [wish["bits"]], [wish["snr"]], BLACK, "*", 13)
    told = f"{wish['snr']:g} dB at {wish['kbps']:g} kbit/s and 16 kHz:\nno code has it"
    name(axes, wish["bits"] + 0.15, wish["snr"] + 2.5, told, BLACK)
    plain(axes, "bits a sample", "SNR, dB", xlim=(0, 6), ylim=(0, 56))
    axes.legend(frameon=False, fontsize=8, loc="lower right")
