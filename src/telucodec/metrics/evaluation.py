"""The one evaluator: rows for utterances, a summary for a set. Training, `evaluate` and `reconstruct` all use it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import zip_longest
from typing import Protocol

from torch import Tensor

from telucodec import ranks
from telucodec.audio.resample import RESAMPLER
from telucodec.errors import inside
from telucodec.metrics.bands import Bands, band_edges
from telucodec.metrics.codebook import CodebookUse
from telucodec.metrics.latent import LatentUse
from telucodec.metrics.level import Moments, decibels, pooled
from telucodec.metrics.loudness_strata import by_loudness
from telucodec.records import Coded, Utterance

POOLED = (
    "snr", "si_sdr", "rms_ratio", "rho", "shape_share", "gain_share", "dc_share", "snr_ceiling",
    "best_gain", "snr_best_gain", "snr_at_rms_1", "loss_at_rms_1",
)  # fmt: skip


class Metric(Protocol):
    """Figures of one utterance beyond level."""

    def __call__(self, target: Tensor, audio: Tensor, sample_rate: int) -> dict[str, float]: ...

    def describe(self) -> dict[str, object]: ...


@dataclass(frozen=True)
class Row:
    """One evaluated utterance."""

    name: str
    speaker: str | None
    language: str | None
    seconds: float
    silent: bool  # its figures stay out of every mean
    figures: Mapping[str, float]


class Evaluator:
    """What is measured; `begin` starts one set of utterances.

    Args:
        metrics: name -> what to compute besides level and codebooks.
        silence_dbfs: targets below this RMS level (about the mean) are counted apart.
    """

    def __init__(self, *, metrics: Mapping[str, Metric], silence_dbfs: float) -> None:
        inside(-200, 0, silence_dbfs=silence_dbfs)
        self.metrics, self.silence_dbfs = dict(metrics), silence_dbfs

    def begin(self, sample_rate: int, n_q: int, codebook_size: int) -> "Evaluation":
        """An empty set for a codec of that sample rate (Hz), with n_q codebooks of that size."""
        return Evaluation(self, sample_rate, CodebookUse(n_q, codebook_size), Bands(sample_rate))

    def describe(self, sample_rate: int) -> dict[str, object]:
        """Everything that decides the figures besides the signals: unlike evaluators must not be compared."""
        described: dict[str, object] = {
            "telucodec": version("telucodec"),
            "torch": version("torch"),
            "torchaudio": version("torchaudio"),
            "resampler": RESAMPLER,
            "sample_rate": sample_rate,
            "silence_dbfs": self.silence_dbfs,
            "level": "about the mean, float64; per utterance, then averaged; *_pooled over all samples",
            "loudness": "thirds of the utterances by the target's level, over all samples",
            "bands": f"DFT of whole utterances about their mean, edges {band_edges(sample_rate)} Hz",
        }
        for metric in self.metrics.values():
            described |= metric.describe()
        return described


@dataclass
class Evaluation:
    """Collects utterances one by one, then sums them up."""

    evaluator: Evaluator
    sample_rate: int  # of all audio, Hz
    codes: CodebookUse
    bands: Bands
    latent: LatentUse = field(default_factory=LatentUse)
    rows: list[Row] = field(default_factory=list)
    levels: list[tuple[str, Moments]] = field(default_factory=list)  # of those that are not silent

    def add(self, utterance: Utterance, coded: Coded) -> Row:
        """Measure one utterance [1, 1, T] and keep its row."""
        target, audio = utterance.audio, coded.audio
        moments = Moments.of(target, audio)
        figures, silent = moments.figures(), moments.target_dbfs < self.evaluator.silence_dbfs
        if not silent:
            self.levels.append((utterance.name, moments))
            self.codes.add(coded.quantized.codes)
            self.bands.add(target, audio)
            self.latent.add(coded)
            for metric in self.evaluator.metrics.values():
                figures |= metric(target, audio, self.sample_rate)
        seconds = target.shape[-1] / self.sample_rate
        row = Row(utterance.name, utterance.speaker, utterance.language, seconds, silent, figures)
        self.rows.append(row)
        return row

    def gather(self) -> None:
        """Make it the set of all processes, of which each has heard utterances by `telucodec.ranks.turns`.

        Rows come in the order of the utterances, and figures are what one process would find.
        """
        parts = ranks.gathered((self.rows, self.levels, self.codes, self.bands, self.latent))
        rows, levels, codes, bands, latents = zip(*parts, strict=True)
        self.rows = [row for heard in zip_longest(*rows) for row in heard if row is not None]
        place = {row.name: number for number, row in enumerate(self.rows)}
        self.levels = sorted((level for part in levels for level in part), key=lambda level: place[level[0]])
        for whole, others in ((self.codes, codes), (self.bands, bands), (self.latent, latents)):
            for number, other in enumerate(others):
                if number != ranks.own():
                    whole.include(other)

    def summary(self) -> dict[str, float]:
        """All figures of the set.

        Means over utterances; `<figure>_pooled` over all samples, of which snr_best_gain_per_file_pooled has the best
        gain of each utterance; thirds by loudness; bands; latent; codebooks; and how many utterances were left out.
        """
        loud = [row for row in self.rows if not row.silent]
        counts = {"utterances": float(len(loud)), "silent_utterances": float(len(self.rows) - len(loud))}
        figures = mean_figures(loud) | self._pooled() | by_loudness(self.levels) | counts
        return figures | self.bands.figures() | self.latent.figures() | self.codes.figures()

    def _pooled(self) -> dict[str, float]:
        if not self.levels:
            return {}
        whole = pooled(moments for _, moments in self.levels)
        noise = sum(moments.noise_at_best_gain for _, moments in self.levels)
        figures = whole.figures()
        found = {f"{name}_pooled": figures[name] for name in POOLED}
        found["snr_best_gain_per_file_pooled"] = decibels(whole.target_target / noise if noise != 0 else math.inf)
        return found


def mean_figures(rows: Sequence[Row]) -> dict[str, float]:
    """Mean of each figure over rows; rows without it or with NaN are counted in `<figure>_missing`."""
    names = dict.fromkeys(name for row in rows for name in row.figures)
    means: dict[str, float] = {}
    for name in names:
        values = [row.figures[name] for row in rows if not math.isnan(row.figures.get(name, math.nan))]
        means[name] = sum(values) / len(values) if values else math.nan
        if len(values) < len(rows):
            means[f"{name}_missing"] = float(len(rows) - len(values))
    return means
