"""Why an output differs from its target: shape, gain or offset. The one definition of every level figure."""

import math
from dataclasses import dataclass

from torch import Tensor

FIGURES = (
    "snr", "si_sdr", "snr_ceiling", "rms_ratio", "rho", "shape_share", "gain_share", "dc_share",
    "nsr", "nsr_shape", "nsr_gain", "nsr_dc", "peak_ratio", "range_ratio", "dc",
)  # fmt: skip
LIMIT_DB = 200.0  # decibels are kept within this, so that perfect and empty outputs stay numbers


def decibels(ratio: float) -> float:
    """10 log10 of a power ratio, within +-200 dB.

    >>> decibels(100.0), decibels(0.0), decibels(math.inf)
    (20.0, -200.0, 200.0)
    """
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
    def target_dbfs(self) -> float:
        """RMS of the target about its mean, dBFS."""
        return decibels(self._central(self.target_target, self.target, self.target))

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
            over target; dc = mean of output minus target, full scale = 1. All are NaN where a sample is not finite.
        """
        if not math.isfinite(self.error_error + self.target_target):
            return dict.fromkeys(FIGURES, math.nan)
        n = max(self.samples, 1.0)
        yy = self._central(self.target_target, self.target, self.target)
        ee = self._central(self.error_error, self.error, self.error)
        ye = self._central(self.target_error, self.target, self.error)
        xx = max(0.0, yy + 2 * ye + ee)
        offset = self.error / n
        xx = xx if xx > 1e-14 * yy else 0.0  # 140 dB under the target: what is left is rounding
        gain = (ye + ee) ** 2 / xx if xx > 0 else 0.0
        shape = max(0.0, ee - gain)
        noise, power = shape + gain + offset**2, self.target_target / n
        clean = max(0.0, yy - shape)
        return {
            "snr": decibels(power / noise if noise > 0 else math.inf),
            "si_sdr": decibels(clean / shape if shape > 0 else math.inf) if xx > 0 else -LIMIT_DB,
            "snr_ceiling": decibels(yy / shape if shape > 0 else math.inf),
            "rms_ratio": math.sqrt(xx / yy) if yy > 0 else 0.0,
            "rho": (yy + ye) / math.sqrt(xx * yy) if xx > 0 and yy > 0 else 0.0,
            "shape_share": shape / noise if noise > 0 else 0.0,
            "gain_share": gain / noise if noise > 0 else 0.0,
            "dc_share": offset**2 / noise if noise > 0 else 0.0,
            "nsr": noise / power if power > 0 else 0.0,
            "nsr_shape": shape / power if power > 0 else 0.0,
            "nsr_gain": gain / power if power > 0 else 0.0,
            "nsr_dc": offset**2 / power if power > 0 else 0.0,
            "peak_ratio": _ratio(*(max(-low, high) for low, high in (self.audio_range, self.target_range))),
            "range_ratio": _ratio(*(high - low for low, high in (self.audio_range, self.target_range))),
            "dc": offset,
        }

    def _central(self, product: float, a: float, b: float) -> float:
        n = max(self.samples, 1.0)
        return product / n - (a / n) * (b / n)


def _union(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return min(a[0], b[0]), max(a[1], b[1])


def _ratio(audio: float, target: float) -> float:
    return audio / target if target > 0 else 0.0
