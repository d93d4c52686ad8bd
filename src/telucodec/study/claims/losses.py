"""Verdicts from losses: the loudness of the target that they imply (I2)."""

import math
from collections.abc import Iterator

from telucodec.diagnosis.identities import mse_least, sigma_implied
from telucodec.study.claims.evidence import SNRS, Case, Evidence, Rule, beside, first

ROUNDING = 1e-9


LEAST_MSE = {  # a loss, as it is written in a ledger -> the smallest MSE with which it has a value
    "loss/mse": lambda value: value,
    "loss/l1": lambda value: value**2,  # the mean of |e| is at most the root of the mean of e^2
    "loss/l1 + loss/mse": mse_least,
    "loss/mse + loss/l1": mse_least,
}


def loss_and_snr(case: Case) -> Iterator[Evidence]:
    """The target's RMS that a waveform loss and an SNR of like data imply (I2), at their most generous ends."""
    highest = case.header.target_rms.highest
    for at, told in case.moments.items():
        snr, loss = first(told, SNRS), first(told, tuple(LEAST_MSE))
        if snr is None or loss is None or not case.speaks(snr, loss):
            continue
        if not (math.isfinite(snr.range.low) and loss.range.low >= 0):
            continue
        least = LEAST_MSE[loss.prediction.metric]
        sigma = sigma_implied(least(loss.range.low), snr.range.low)
        text = (
            f"At {at}{beside(case, snr, loss)}: {loss.prediction.metric} {loss.range} with {snr.range} dB is a target "
        )
        text += f"of RMS {sigma:.2f} or more"
        if loss.prediction.point is not None and snr.prediction.point is not None:
            stated = sigma_implied(least(loss.prediction.point), snr.prediction.point)
            text += f" ({stated:.2f} at {loss.prediction.point:g} and {snr.prediction.point:g} dB)"
        verdict = "inconsistent" if sigma > highest + ROUNDING else "open"
        text += f"; recordings that peak at full scale have at most {highest:g}."
        yield Evidence(verdict, "I2", "sigma = sqrt(MSE) 10^(SNR/20)", sigma, text)


def loss_and_peak(case: Case) -> Iterator[Evidence]:
    """The target's RMS that an MSE needs when the output's largest sample is known: an RMS is at most a peak (I2)."""
    highest = case.header.target_rms.highest
    for at, told in case.moments.items():
        mse, peak = told.get("loss/mse"), told.get("val/peak")
        if mse is None or peak is None or mse.range.low < 0 or not case.speaks(mse, peak):
            continue
        sigma = math.sqrt(mse.range.low) - peak.range.high
        if sigma > highest + ROUNDING:
            text = (
                f"At {at}{beside(case, mse, peak)}: an MSE of {mse.range} with no output sample above "
                f"{peak.range.high:g} needs a target of RMS {sigma:.2f}; recordings that peak at full scale "
                f"have at most {highest:g}."
            )
            yield Evidence("inconsistent", "I2", "sigma >= sqrt(MSE) - peak", sigma, text)


RULES: tuple[Rule, ...] = (loss_and_snr, loss_and_peak)
