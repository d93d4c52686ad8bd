"""Why an output differs from its target: shape, gain or offset. The one definition of every level figure."""

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from torch import Tensor

FIGURES = (
    "snr", "si_sdr", "snr_ceiling", "rms_ratio", "rho", "shape_share", "gain_share", "dc_share",
    "nsr", "nsr_shape", "nsr_gain", "nsr_dc", "peak_ratio", "range_ratio", "dc",
    "best_gain", "snr_best_gain", "snr_at_rms_1", "loss_at_rms_1", "peak",
)  # fmt: skip
LIMIT_DB = 200.0  # decibels are kept within this, so that perfect and empty outputs stay numbers
ROUNDING = 1e-14  # a power this far (140 dB) under what it was subtracted from is rounding, and counts as none


def decibels(ratio: float) -> float:
    """10 log10 of a power ratio, within +-200 dB; NaN of NaN.

    >>> decibels(100.0), decibels(0.0), decibels(math.inf), decibels(math.nan)
    (20.0, -200.0, 200.0, nan)
    """
    if math.isnan(ratio):
        return math.nan
    if ratio <= 0:
        return -LIMIT_DB
    return min(LIMIT_DB, max(-LIMIT_DB, 10 * math.log10(ratio))) if ratio < math.inf else LIMIT_DB


@dataclass(frozen=True)
class Moments:
    """Sums over samples from which every level figure follows; adding two of them pools two utterances.

    The error, not the output, is kept beside the target: so that nothing cancels when they are nearly alike.
    """

    samples: float
    target: float  # sum of the target
    error: float  # sum of output minus target
    target_target: float  # sum of squares
    error_error: float
    target_error: float
    target_range: tuple[float, float] = (0.0, 0.0)  # smallest and largest sample
    audio_range: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, target: Tensor, audio: Tensor) -> "Moments":
        """Moments of one utterance.

        Args:
            target: the signal to reproduce, any shape.
            audio: the decoded signal, the same shape.

        Raises:
            ValueError: the shapes differ.
        """
        if target.shape != audio.shape:
            raise ValueError(
                f"target and audio must have the same shape, got {list(target.shape)}, {list(audio.shape)}"
            )
        y, x = target.double().flatten(), audio.double().flatten()
        e = x - y
        ranges = [(float(s.min()), float(s.max())) if len(s) else (0.0, 0.0) for s in (y, x)]
        return cls(len(y), float(y.sum()), float(e.sum()), float(y @ y), float(e @ e), float(y @ e), *ranges)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.samples + other.samples,
            self.target + other.target,
            self.error + other.error,
            self.target_target + other.target_target,
            self.error_error + other.error_error,
            self.target_error + other.target_error,
            _union(self.target_range, other.target_range),
            _union(self.audio_range, other.audio_range),
        )

    @property
    def finite(self) -> bool:
        """Whether every sample of both signals is a number."""
        return math.isfinite(self.error_error + self.target_target)

    @property
    def target_dbfs(self) -> float:
        """RMS of the target about its mean, dBFS."""
        return decibels(self._central(self.target_target, self.target, self.target))

    @property
    def best_gain(self) -> float:
        """The factor on the output that leaves the smallest error; nothing is subtracted.

        It is negative where the output follows the target upside down, and 0 for an empty output.
        """
        if not self.finite:
            return math.nan
        return (self.target_target + self.target_error) / self._audio_audio if self._audio_audio > 0 else 0.0

    @property
    def noise_at_best_gain(self) -> float:
        """Sum of squared errors at the best gain."""
        if not self.finite:
            return math.nan
        if self._audio_audio <= 0:
            return self.target_target
        left = (self.target_target * self.error_error - self.target_error**2) / self._audio_audio
        return min(max(0.0, left), self.target_target, self.error_error)  # gains 0 and 1 are no better

    def figures(self) -> dict[str, float]:
        """All level figures.

        With the target y (standard deviation s_y about its mean), the output x and their correlation rho, the noise
        power splits exactly into

            E|x - y|^2 = s_y^2 (1 - rho^2)  +  s_y^2 (rms_ratio - rho)^2  +  (mean x - mean y)^2
                         shape: not learned    gain: wrong level             DC: offset

        Returns:
            snr, si_sdr, snr_ceiling (the SNR at the best gain and no offset) in dB; rms_ratio = s_x / s_y and rho, both
            about the mean, so that an offset cannot pass for loudness; shape_share, gain_share, dc_share of the noise
            (they sum to 1; all 0 without noise); nsr and its parts nsr_shape, nsr_gain, nsr_dc relative to the target's
            power; peak_ratio of the largest absolute samples and range_ratio of largest minus smallest sample, output
            over target; dc = mean of output minus target, full scale = 1; best_gain, the factor on the output, offset
            and all, with the smallest error, and snr_best_gain in dB with it: what a change of amplitude could reach at
            most; snr_at_rms_1 in dB with the factor that makes rms_ratio 1 (an output that does not vary has none, and
            is left out: 0 dB), and loss_at_rms_1 >= 0 in dB, by how much that is worse than the best; peak, the
            output's largest absolute sample. All are NaN where a sample is not finite.
        """
        if not self.finite:
            return dict.fromkeys(FIGURES, math.nan)
        peaks = [max(-low, high) for low, high in (self.audio_range, self.target_range)]
        return self._split() | {
            "peak_ratio": _ratio(*peaks),
            "range_ratio": _ratio(*(high - low for low, high in (self.audio_range, self.target_range))),
            "dc": self.error / max(self.samples, 1.0),
            **self._at_other_gains(),
            "peak": peaks[0],
        }

    def _split(self) -> dict[str, float]:
        """Shape, gain and offset."""
        yy, xx = self._variances()
        ee = max(0.0, self._central(self.error_error, self.error, self.error))
        ye = self._central(self.target_error, self.target, self.error)
        offset = self.error / max(self.samples, 1.0)
        gain = min(ee, (ye + ee) ** 2 / xx) if xx > 0 else 0.0
        shape = ee - gain
        noise, power = shape + gain + offset**2, self.target_target / max(self.samples, 1.0)
        clean = max(0.0, yy - shape)
        return {
            "snr": decibels(power / noise if noise > 0 else math.inf),
            "si_sdr": decibels(clean / shape if shape > 0 else math.inf) if xx > 0 else -LIMIT_DB,
            "snr_ceiling": decibels(yy / shape if shape > 0 else math.inf),
            "rms_ratio": math.sqrt(xx / yy) if yy > 0 else 0.0,
            "rho": max(-1.0, min(1.0, (yy + ye) / math.sqrt(xx * yy))) if xx > 0 and yy > 0 else 0.0,
            "shape_share": shape / noise if noise > 0 else 0.0,
            "gain_share": gain / noise if noise > 0 else 0.0,
            "dc_share": offset**2 / noise if noise > 0 else 0.0,
            "nsr": noise / power if power > 0 else 0.0,
            "nsr_shape": shape / power if power > 0 else 0.0,
            "nsr_gain": gain / power if power > 0 else 0.0,
            "nsr_dc": offset**2 / power if power > 0 else 0.0,
        }

    def _at_other_gains(self) -> dict[str, float]:
        """What other gains would leave: sums of terms that are never negative, so that none is better than the best."""
        yy, xx = self._variances()
        gain = math.sqrt(yy / xx) if xx > 0 else 0.0
        least = self.noise_at_best_gain
        noise = least + self._audio_audio * (gain - self.best_gain) ** 2
        best, level = (decibels(self.target_target / n if n > 0 else math.inf) for n in (least, noise))
        return {
            "best_gain": self.best_gain,
            "snr_best_gain": best,
            "snr_at_rms_1": level,
            "loss_at_rms_1": best - level,
        }

    @property
    def _audio_audio(self) -> float:
        """Sum of squares of the output."""
        power = self.target_target + 2 * self.target_error + self.error_error
        return power if power > ROUNDING * self.target_target else 0.0

    def _variances(self) -> tuple[float, float]:
        """Of target and output."""
        yy = self._central(self.target_target, self.target, self.target)
        ee = self._central(self.error_error, self.error, self.error)
        xx = yy + 2 * self._central(self.target_error, self.target, self.error) + ee
        n = max(self.samples, 1.0)
        yy = yy if yy > ROUNDING * self.target_target / n else 0.0
        return yy, xx if xx > ROUNDING * (self.target_target + self.error_error) / n else 0.0

    def _central(self, product: float, a: float, b: float) -> float:
        n = max(self.samples, 1.0)
        return product / n - (a / n) * (b / n)


def pooled(moments: Iterable[Moments]) -> Moments:
    """Moments of all utterances as if they were one; of at least one."""
    return reduce(operator.add, moments)


def _union(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return min(a[0], b[0]), max(a[1], b[1])


def _ratio(audio: float, target: float) -> float:
    return audio / target if target > 0 else 0.0
