"""Whether a wish can come true at all: what figures say about each other before anything is trained."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telucodec.diagnosis.identities import (
    high_resolution_snr,
    mse_least,
    rho_implied,
    rho_needed,
    rms_ratio_range,
    sigma_implied,
    snr_limit,
)
from telucodec.diagnosis.rate import WaterFilling
from telucodec.diagnosis.reach import Outlook
from telucodec.errors import InputError

# Largest RMS of 10 400 one-second crops, each scaled to its peak at full scale, out of 52 minutes of recorded Telugu,
# Malayalam, Hindi and English: a news broadcast. 99 % of them are below 0.42, half below 0.20.
LOUDEST_SPEECH = 0.61
PREDICTION_GAIN_DB = 20.0  # of speech, the upper end of what textbooks give
# The water-filling bound on the same recordings, the best of seven corpora at each rate: the rule of thumb leaves out
# that bits go to loud moments. Like `telucodec feasible --kbps 8 --data FOLDER` on each corpus.
BEST_SPEECH_DB = {0.5: 8.5, 1: 11.7, 2: 16.1, 4: 21.2, 6: 25.3, 8: 28.6, 12: 33.9, 16: 38.1, 24: 45.0, 32: 50.7}


@dataclass(frozen=True)
class Reason:
    """One check of a wish."""

    identity: str  # short name of what decides: I1, I2, I5, rate
    formula: str
    number: float  # what the formula gives
    text: str  # one sentence for a reader
    rules_out: bool  # whether this alone makes the wish impossible


@dataclass(frozen=True)
class Wish:
    """Figures that somebody expects of a codec; None: nothing said."""

    snr: float | None  # dB
    rms_ratio: float | None  # output over target
    kbps: float | None
    sample_rate: int  # Hz
    mse: float | None  # full scale = 1
    l1_plus_mse: float | None

    def __post_init__(self) -> None:
        losses = {"mse": self.mse, "l1-plus-mse": self.l1_plus_mse}
        for name, value in {"rms-ratio": self.rms_ratio, "kbps": self.kbps, **losses}.items():
            if value is not None and not 0 < value < 1e6:
                raise InputError(f"{name}: must be a number > 0 and below a million, got {value}.")
        if self.snr is not None and not -300 <= self.snr <= 300:
            raise InputError(f"snr: must be a number of dB from -300 to 300, got {self.snr}.")
        if self.sample_rate < 1:
            raise InputError(f"sample-rate: must be >= 1 Hz, got {self.sample_rate}.")
        if self.snr is None and (self.mse is not None or self.l1_plus_mse is not None):
            raise InputError("mse and l1-plus-mse say something only beside an SNR: give --snr too.")


@dataclass(frozen=True)
class Heard:
    """What the checks need to know about recordings."""

    filling: WaterFilling
    rms: float  # over all samples, about the mean, full scale = 1
    loudest: float  # largest RMS of a second, if its peak were at full scale


def reasons(wish: Wish, heard: Heard | None) -> list[Reason]:
    """Every check that a wish allows, with recordings or without."""
    found: list[Reason] = []
    if wish.rms_ratio is not None:
        found.append(limit_of_ratio(wish.rms_ratio, wish.snr))
    if wish.snr is not None:
        found.append(correlation_needed(wish.snr, wish.rms_ratio))
    if wish.kbps is not None and heard is not None:
        found.append(bound_of_recordings(wish.kbps, wish.sample_rate, wish.snr, heard))
    elif wish.kbps is not None:
        found.append(rule_of_thumb(wish.kbps, wish.sample_rate, wish.snr))
    if wish.snr is not None and wish.mse is not None:
        found.append(loudness_implied(wish.mse, wish.snr, "MSE", heard))
    if wish.snr is not None and wish.l1_plus_mse is not None:
        found.append(loudness_implied(mse_least(wish.l1_plus_mse), wish.snr, "L1 + MSE", heard))
    return found


def limit_of_ratio(rms_ratio: float, snr_db: float | None) -> Reason:
    """The largest SNR at an RMS ratio (I1).

    >>> told = limit_of_ratio(0.95, 35.0)
    >>> round(told.number, 2), told.rules_out
    (26.02, True)
    """
    limit = snr_limit(rms_ratio)
    most = f"at most {limit:.2f} dB" if math.isfinite(limit) else "any SNR"
    text = f"An RMS ratio of {rms_ratio:g} allows {most}, whatever the shape of the output{_wanted(snr_db)}."
    return Reason("I1", "SNR <= -20 log10 |1 - r|", limit, text, snr_db is not None and snr_db > limit)


def correlation_needed(snr_db: float, rms_ratio: float | None) -> Reason:
    """The correlation that an SNR needs, or that it implies together with an RMS ratio (I1).

    >>> round(correlation_needed(5.0, None).number, 3), round(correlation_needed(5.0, 0.8).number, 3)
    (0.827, 0.827)
    """
    if rms_ratio is not None and abs(rho := rho_implied(snr_db, rms_ratio)) <= 1:
        text = f"{snr_db:g} dB at an RMS ratio of {rms_ratio:g} is a correlation of {rho:.5g}."
        return Reason("I1", "rho = (1 + r^2 - 10^(-SNR/10)) / (2 r)", rho, text, False)
    rho, (low, high) = rho_needed(snr_db), rms_ratio_range(snr_db)
    text = f"{snr_db:g} dB needs a correlation of at least {rho:.5g} and an RMS ratio from {low:.4g} to {high:.4g}."
    return Reason("I1", "rho >= sqrt(1 - 10^(-SNR/10))", rho, text, False)


def bound_of_recordings(kbps: float, sample_rate: int, snr_db: float | None, heard: Heard) -> Reason:
    """The largest SNR that a bitrate buys on recordings, see `telucodec.diagnosis.rate`."""
    bound = heard.filling.snr(1000 * kbps / sample_rate)
    text = f"{kbps:g} kbit/s buys at most {bound:.1f} dB on these recordings, spectra given for free{_wanted(snr_db)}"
    if snr_db is not None:
        text += f", which needs at least {heard.filling.bits(snr_db) * sample_rate / 1000:.3g} kbit/s"
    out = snr_db is not None and snr_db > bound
    return Reason("rate", "reverse water-filling: R = mean max(0, log2(S / w) / 2)", bound, f"{text}.", out)


def rule_of_thumb(kbps: float, sample_rate: int, snr_db: float | None) -> Reason:
    """About what a bitrate buys on speech; only what no measured speech has come near either is ruled out.

    >>> told = rule_of_thumb(8, 16000, 35.0)
    >>> round(told.number, 2), told.rules_out, rule_of_thumb(8, 16000, 25.0).rules_out
    (23.01, True, False)
    """
    rule = high_resolution_snr(kbps, sample_rate, PREDICTION_GAIN_DB)
    rates = list(BEST_SPEECH_DB)
    best = float(np.interp(kbps, rates, list(BEST_SPEECH_DB.values()))) if kbps <= rates[-1] else math.inf
    text = (
        f"A rule of thumb, with a generous {PREDICTION_GAIN_DB:g} dB of prediction gain, gives {rule:.1f} dB at "
        f"{kbps:g} kbit/s{_wanted(snr_db)}"
    )
    if snr_db is not None and snr_db > rule:
        seen = f"the bound computed on recorded speech was {best:.1f} dB where it was highest"
        told = seen if math.isfinite(best) else "no speech was measured at this rate"
        text += f"; {told}, and --data computes it on your recordings"
    out = snr_db is not None and snr_db > max(rule, best)
    return Reason("rate", "SNR <= 6.02 R + G, R in bits a sample", rule, f"{text}.", out)


def loudness_implied(mse: float, snr_db: float, of: str, heard: Heard | None) -> Reason:
    """How loud a target must be for a loss and an SNR to hold together (I2).

    >>> told = loudness_implied(0.4, 5.0, "MSE", None)
    >>> round(told.number, 2), told.rules_out
    (1.12, True)
    """
    sigma = sigma_implied(mse, snr_db)
    least = "at least " if of != "MSE" else ""
    text = f"This {of} and {snr_db:g} dB together make the target's RMS {least}{sigma:.3g} of full scale"
    loudest = LOUDEST_SPEECH if heard is None else heard.loudest
    whose = "no second of recorded speech was above" if heard is None else "no second of these recordings is above"
    if sigma > 1:
        text += ": more than full scale"
    elif sigma > loudest:
        text += f": implausible, {whose} {loudest:.2f} with its peak at full scale"
    if heard is not None:
        text += f"; as recorded they have {heard.rms:.3g}"
    formula = "RMS = sqrt(MSE) 10^(SNR/20) <= 1" + (", L1 <= sqrt(MSE)" if least else "")
    return Reason("I2", formula, sigma, f"{text}.", sigma > 1)


def steps_needed(outlook: Outlook) -> Reason:
    """Whether a run can move a parameter so far (I5)."""
    needed = math.nan if outlook.needed_by_bound is None else float(outlook.needed_by_bound)
    formula = "steps >= |move| / lr / ((1 - b1) / sqrt((1 - b2) (1 - b1^2 / b2)))"
    return Reason("I5", formula, needed, outlook.sentence(), outlook.verdict in ("out of reach", "never moves"))


def verdict(found: Sequence[Reason]) -> str:
    """One sentence over all checks."""
    against = [reason.identity for reason in found if reason.rules_out]
    checks = "1 check" if len(found) == 1 else f"{len(found)} checks"
    if not against:
        return f"Feasible as far as {checks} can tell: nothing rules it out, which does not say that a codec does it."
    return f"Not feasible: ruled out by {len(against)} of {checks} ({', '.join(dict.fromkeys(against))})."


def loudest_second(audio: NDArray[np.floating], sample_rate: int) -> float:
    """Largest RMS, about the mean, of one-second crops whose peak is scaled to full scale; 0.0 for silence.

    Args:
        audio: one channel, [T]; what is shorter than a second is one crop.
        sample_rate: in Hz.

    >>> round(loudest_second(np.sin(np.arange(32000) * 0.1), 16000), 3)
    0.707
    """
    found = 0.0
    for start in range(0, max(1, len(audio) - sample_rate + 1), max(1, sample_rate // 4)):
        crop = np.asarray(audio[start : start + sample_rate], np.float64)
        peak = np.abs(crop - crop.mean()).max()
        found = max(found, float(crop.std() / peak) if peak > 0 else 0.0)
    return found


def _wanted(snr_db: float | None) -> str:
    return "" if snr_db is None else f"; {snr_db:g} dB is wanted"
