"""Which loss pulls where, as a picture."""

from collections.abc import Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from telucodec.diagnosis.gradient_findings import GradientFindings, Site

BLUE, ORANGE = "#0072b2", "#d55e00"  # of Okabe and Ito's scheme, safe for colour-blind eyes
ASKED = {
    "audio": "What pulls the waveform",
    "gain": "Who wants it louder, who quieter",
    "encoded": "What pulls the encoder",
    "weights": "What moves the weights",
}
WHERE = {"audio": "at the decoded audio", "encoded": "at the encoder's output", "weights": "on all weights together"}
READ = (
    "A loss pulls as hard as its gradient is long, times its weight (the number behind its name). "
    "A long bar decides what is learned there; none: the loss has no say there.\n"
    "Squares: two losses that agree (purple) want the same change; of two that are against each other (orange) the "
    "one with the longer bar wins; white: they do not mind each other; grey: one has no say there."
)


def draw(findings: "GradientFindings") -> "Figure":
    """Bars of each loss's share at each site, and below them which losses agree.

    Args:
        findings: of one batch.
    """
    from matplotlib.figure import Figure

    names = [f"{name} \u00d7 {weight:.3g}" if isfinite(weight) else name for name, weight in findings.weights.items()]
    sites = list(findings.products)
    agreeing = [site for site in sites if site != "gain"]
    heights = [0.28 * len(names) + 1.2, 0.32 * len(names) + 1.5][: 1 + bool(agreeing)]
    figure = Figure(figsize=(3.1 * max(3, len(sites)) + 1.6, sum(heights) + 1.1), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, site in zip(parts[0].subplots(1, len(sites), squeeze=False)[0], sites, strict=True):
        _bars(axes, findings, site)
        axes.set_yticks(range(len(names)), names if site == sites[0] else [], fontsize=9)
    row = parts[-1].subplots(1, len(agreeing), squeeze=False)[0] if agreeing else []
    for axes, site in zip(row, agreeing, strict=True):
        _squares(axes, findings, site)
        axes.set_yticks(range(len(names)), names if site == agreeing[0] else [], fontsize=9)
    if agreeing:
        scale = parts[-1].colorbar(row[-1].images[0], ax=list(row), ticks=(-1, 0, 1), pad=0.01)
        scale.ax.set_yticklabels(["against\neach other", "unrelated", "the same\nway"], fontsize=8)
    figure.suptitle(f"Which loss pulls where, step {findings.index + 1}", fontsize=13)
    figure.supxlabel(READ, fontsize=8.5)
    return figure


def _bars(axes: "Axes", findings: "GradientFindings", site: "Site") -> None:
    known, signed = findings.shares(site), site == "gain"
    shares = [100 * known.get(name, nan) for name in findings.weights]
    up = [not signed or findings.louder[name] <= 0 for name in findings.weights]
    axes.barh(
        range(len(shares)),
        [share if right else -share for share, right in zip(shares, up, strict=True)],
        color=[BLUE if right else ORANGE for right in up],
    )
    axes.set(xlim=(-100 if signed else 0, 100), ylim=(len(shares) - 0.4, -0.6))
    axes.set_title(ASKED[site], fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    clipped = [100 * part for part in findings.clip_parts().values()] if site == "weights" else []
    _say(axes, shares, up, clipped)
    if signed:
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_xlabel("quieter  \u2190  % of the push  \u2192  louder")
        axes.set_xticks((-80, -40, 0, 40, 80), ("80", "40", "0", "40", "80"))
    else:
        axes.set_xlabel(f"% of the pull {WHERE[site]}")
    if clipped:
        _diamonds(axes, clipped)


def _say(axes: "Axes", shares: Sequence[float], up: Sequence[bool], clipped: Sequence[float]) -> None:
    """Write each share at the end of its bar, behind its diamond, or into a bar that leaves no room."""
    for row, (share, right) in enumerate(zip(shares, up, strict=True)):
        inside = share > 70
        end = 0.0 if inside or not isfinite(share) else max(share, *clipped[row : row + 1], 0.0)
        axes.annotate(
            _percent(share),
            (end if right else -end, row),
            (7 if right else -7, 0),
            textcoords="offset points",
            va="center",
            ha="left" if right else "right",
            fontsize=8,
            color="white" if inside else "black",
        )


def _diamonds(axes: "Axes", parts: Sequence[float]) -> None:
    axes.plot(parts, range(len(parts)), "D", color="white", markeredgecolor="black", markersize=5, clip_on=False)
    axes.set_xlim(1.1 * min(0.0, *parts), max(100.0, 1.05 * max(parts)))
    axes.set_xlabel(f"{axes.get_xlabel()}\n\u25c7 part in what a clip of the gradient cuts", linespacing=1.5)


def _percent(share: float) -> str:
    """A share as it is written beside a bar.

    >>> [_percent(share) for share in (0.0, 0.2, 41.7, nan)]
    ['none', '< 1', '42', '?']
    """
    if not isfinite(share):
        return "?"
    return "none" if share == 0 else "< 1" if share < 1 else f"{share:.0f}"


def _squares(axes: "Axes", findings: "GradientFindings", site: "Site") -> None:
    terms, norms, cosines = list(findings.weights), findings.norms(site), findings.cosines(site)
    cosines |= {(b, a): cosine for (a, b), cosine in cosines.items()} | {(t, t): 1.0 for t in terms if norms[t] > 0}
    axes.imshow([[cosines.get((a, b), nan) for b in terms] for a in terms], "PuOr", vmin=-1, vmax=1, aspect="auto")
    axes.set_facecolor("#e4e4e4")  # where a loss has no say
    axes.set_title(f"Do they agree {WHERE[site]}?", fontsize=10)
    axes.set_xticks(range(len(terms)), terms, rotation=40, ha="right", rotation_mode="anchor", fontsize=8)
    for row, a in enumerate(terms):
        for column, b in enumerate(terms):
            if isfinite(cosine := cosines.get((a, b), nan)):
                text = f"{cosine:.1f}".replace("-0.0", "0.0")
                colour = "white" if abs(cosine) > 0.65 else "black"
                axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
