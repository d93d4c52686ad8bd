"""What an SNR and an RMS ratio say together (I1)."""

import math
from dataclasses import dataclass
from typing import Any

from telucodec.diagnosis.identities import rho_implied, snr_at_rms_1, snr_ceiling, snr_limit
from telucodec.diagnosis.label import diagnose


@dataclass(frozen=True)
class Pair:
    """Two reported figures and what follows from them, if the output has no offset."""

    snr: float  # dB
    rms_ratio: float

    @property
    def rho(self) -> float:
        """The correlation that both imply, outside [-1, 1] where no two signals have them."""
        return rho_implied(self.snr, self.rms_ratio)

    @property
    def possible(self) -> bool:
        """Whether two signals without an offset between them can have both figures."""
        return abs(self.rho) <= 1 + 1e-9  # rounding

    def plain(self) -> dict[str, Any]:
        """Every figure that follows, and a text; null where there is none."""
        told: dict[str, Any] = {"snr": self.snr, "rms_ratio": self.rms_ratio, "possible": self.possible}
        told |= {"rho": round(self.rho, 4), "snr_limit": snr_limit(self.rms_ratio)}
        known = self._known() if self.possible else {}
        keys = ("snr_ceiling", "best_gain", "snr_at_rms_1", "shape_share", "gain_share", "label", "advice")
        return told | {key: known.get(key) for key in keys} | {"text": self._text(known)}

    def _known(self) -> dict[str, Any]:
        rho = max(-1.0, min(1.0, self.rho))
        noise, shape, gain = 10 ** (-self.snr / 10), 1 - rho**2, (self.rms_ratio - rho) ** 2
        ceiling, best = snr_ceiling(rho), rho / self.rms_ratio
        figures = {"val/rho_pooled": rho, "val/snr_pooled": self.snr}
        found = diagnose(figures | {"val/snr_best_gain_pooled": ceiling, "val/best_gain_pooled": best}, {})
        known = {"snr_ceiling": ceiling, "best_gain": best, "snr_at_rms_1": snr_at_rms_1(rho)}
        known |= {"shape_share": shape / noise, "gain_share": gain / noise}
        return known | {"label": found.label, "means": found.means, "advice": found.advice}

    def _text(self, known: dict[str, Any]) -> str:
        if not known:
            loudest = f"at RMS ratio {self.rms_ratio:g} the SNR is at most {snr_limit(self.rms_ratio):.2f} dB"
            lowest = -20 * math.log10(1 + self.rms_ratio)
            return (
                f"No pair of signals has SNR {self.snr:g} dB at RMS ratio {self.rms_ratio:g} without an offset: they "
                f"would need a correlation of {self.rho:.2f}; {loudest} and at least {lowest:.2f} dB.{self._offset()} "
                "Or one of them is something else: a ratio of peaks or ranges, an absolute RMS, an average over files."
            )
        return (
            f"SNR {self.snr:g} dB at RMS ratio {self.rms_ratio:g}: the correlation rho is {self.rho:.4f}.\n"
            f"Noise: {known['shape_share']:.1%} shape, {known['gain_share']:.1%} gain (assuming no offset).\n"
            f"At the best gain (x {known['best_gain']:.3f}) the SNR is {known['snr_ceiling']:.2f} dB; as loud as the "
            f"target it is {known['snr_at_rms_1']:.2f} dB.\n"
            f"{known['label']}: {known['means']}"
        )

    def _offset(self) -> str:
        """The offset that would explain an SNR which is too low."""
        noise = 10 ** (-self.snr / 10)
        if self.rho > 0:
            return ""
        least, most = (math.sqrt(noise - (1 + sign * self.rms_ratio) ** 2) for sign in (1, -1))
        return f" A constant offset of {least:.2f} to {most:.2f} times the target's RMS would explain it."


def read_pair(snr: float, rms_ratio: float) -> Pair:
    """Check the two figures.

    Raises:
        ValueError: one is not finite, or the ratio is not above 0.

    >>> read_pair(-0.11, 0.159).plain()["rho"], read_pair(-8.05, 0.548).possible
    (-0.0012, False)
    """
    if not (math.isfinite(snr) and math.isfinite(rms_ratio)):
        raise ValueError(f"SNR and RMS ratio must be finite, got {snr} and {rms_ratio}")
    if rms_ratio <= 0:
        raise ValueError(f"the RMS ratio must be > 0, got {rms_ratio}: a silent output has an SNR of 0 dB")
    return Pair(snr, rms_ratio)
