"""How large a change must be before it is one: what a run moves a figure by without meaning anything."""

import re
from typing import NamedTuple


class Margin(NamedTuple):
    """A change that is negligible, up or down."""

    amount: float
    relative: bool  # of the figure itself: 0.05 is 5 %
    why: str


LISTENED = "in dB: what seeds of one configuration differ by, and too little to be heard"
# the first that fits a metric counts; the last one fits all
MARGINS: tuple[tuple[str, Margin], ...] = (
    (r"run/finished", Margin(0.0, False, "a run that breaks off is an event")),
    (r"(^|/)(si_sdr|snr)", Margin(0.2, False, LISTENED)),
    (r"(^|/)(\w+_)?rho", Margin(0.02, False, "near 0.7 it is worth 0.2 dB of SNR")),
    (r"(rms|range|peak)_ratio|output_scale$", Margin(0.02, False, "0.17 dB of level near 1")),
    (r"usage|share", Margin(0.02, False, "one part in fifty")),
    (r"val/(peak|dc)$", Margin(0.01, False, "of full scale")),
    (r"", Margin(0.05, True, "a single batch tells a loss or a gradient no better")),
)


def margin(metric: str) -> Margin:
    """The change of a metric, or of a sum of them, that is negligible.

    >>> margin("val/quiet/snr").amount, margin("loss/l1").relative, margin("train/output_scale").amount
    (0.2, True, 0.02)
    """
    return next(found for pattern, found in MARGINS if re.search(pattern, metric))


def for_factor() -> Margin:
    """How far a measured factor may lie from a stated one."""
    return MARGINS[-1][1]
