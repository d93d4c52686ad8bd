"""What the keys of a log are called on a page, and how their values are written."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from telucodec.study.results.run import Ran


class Measure(NamedTuple):
    """A key of the log, for readers."""

    key: str
    label: str
    unit: str
    digits: int  # after the point
    better: int  # 1: higher is better, -1: lower, 0: neither is

    @property
    def title(self) -> str:
        """The label with its unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def written(self, value: float, *, signed: bool = False) -> str:
        """A value in words; "n/a" where there is none.

        >>> measure("val/snr").written(1.234), measure("val/snr").written(1.234, signed=True)
        ('1.23', '+1.23')
        >>> measure("val/rho").written(-0.5)
        '−0.500'
        """
        if not math.isfinite(value):
            return "n/a"
        form = ".2e" if abs(value) >= 1e5 else f".{self.digits}f"
        return f"{value:{'+' if signed else ''}z{form}}".replace("-", "−")


KNOWN = (
    Measure("val/snr", "SNR", "dB", 2, 1),
    Measure("val/rho", "correlation rho", "", 3, 1),
    Measure("val/rms_ratio", "RMS ratio", "", 3, 0),
    Measure("val/mel_distance", "mel distance", "", 3, -1),
    Measure("codebook/perplexity_min", "least perplexity", "", 1, 1),
    Measure("codebook/usage_min", "least codebook usage", "", 3, 1),
    Measure("codebook/bits_share", "share of the codebooks' bits", "", 3, 1),
    Measure("val/snr_pooled", "SNR over all samples", "dB", 2, 1),
    Measure("val/rho_pooled", "rho over all samples", "", 3, 1),
    Measure("val/rms_ratio_pooled", "RMS ratio over all samples", "", 3, 0),
    Measure("val/si_sdr", "SI-SDR", "dB", 2, 1),
    Measure("val/snr_ceiling", "SNR ceiling", "dB", 2, 1),
    Measure("val/snr_best_gain_pooled", "SNR at the best gain", "dB", 2, 1),
    Measure("val/best_gain_pooled", "best gain", "", 3, 0),
    Measure("val/pesq_wb", "PESQ-WB", "", 2, 1),
    Measure("val/range_ratio", "range ratio", "", 3, 0),
    Measure("val/peak_ratio", "peak ratio", "", 3, 0),
    Measure("val/stoi", "STOI", "", 3, 1),
    Measure("val/visqol", "ViSQOL", "", 2, 1),
    Measure("latent/rms", "RMS of the latent", "", 3, 0),
    Measure("latent/spread", "spread of the latent", "", 4, 0),
    Measure("train/loss", "training loss", "", 4, 0),
    Measure("train/output_scale", "output scale", "", 4, 0),
)
TABLE = tuple(known.key for known in KNOWN[:5])  # columns of the table of arms, besides the study's own
_BY_KEY = {known.key: known for known in KNOWN}


def measure(key: str) -> Measure:
    """A key of the log for readers; one that is not known keeps its name.

    >>> measure("val/rho").title, measure("loss/mel").title
    ('correlation rho', 'loss/mel')
    """
    return _BY_KEY.get(key, Measure(key, key, "", 4, 0))


def tabled(runs: Sequence[Ran], primary: str, metrics: Sequence[str]) -> list[Measure]:
    """Columns of the table of arms: the primary metric, the usual ones, the study's; those that some run has."""
    wanted = dict.fromkeys([primary, *TABLE, *metrics])
    there = {key for ran in runs for row in ran.rows.values() for key in row}
    return [measure(key) for key in wanted if key in there or key == primary]


def drawn(runs: Sequence[Ran], primary: str, metrics: Sequence[str]) -> list[Measure]:
    """What curves can show: the columns of the table, whatever else is known here, and every loss."""
    there = {key for ran in runs for row in ran.rows.values() for key in row}
    losses = sorted(key for key in there if key.startswith("loss/"))
    wanted = dict.fromkeys([*(m.key for m in tabled(runs, primary, metrics)), *_BY_KEY, *losses])
    return [measure(key) for key in wanted if key in there]
