"""Verdicts from SNR, RMS ratio and correlation: I1 and the rate."""

import math
from collections.abc import Iterator
from itertools import product

from telucodec.diagnosis.identities import (
    high_resolution_snr,
    rho_implied,
    rho_needed,
    rms_ratio_range,
    snr_ceiling,
    snr_limit,
)
from telucodec.study.claims.evidence import RATIOS, SNRS, Case, Evidence, Rule, Told, beside, first

ROUNDING = 1e-9
AT_MOST = "SNR <= -20 log10|1 - r|"
IMPLIED = "rho = (1 + r^2 + d^2 - 10^(-SNR/10)) / 2r"


def rate(case: Case) -> Iterator[Evidence]:
    """SNRs that the bitrate cannot carry."""
    bound = case.header.rate_bound
    formula = f"SNR <= {bound.snr:g} dB at {bound.kbps:g} kbit/s"
    why = (
        f"6.02 dB a bit and sample and 20 dB of prediction come to {high_resolution_snr(bound.kbps, 16000, 20):.0f} "
        "dB; a reference for Gaussian sources of speech's spectra"
    )
    for prediction in case.claim.predicts:
        low, high = prediction.range
        if prediction.metric in SNRS and high > bound.snr and (low > bound.snr or math.isfinite(high)):
            verdict, part = ("impossible", "") if low > bound.snr else ("impossible in part", "in its upper part ")
            text = f"{prediction.range} dB at {prediction.at}: {part}more than the bitrate carries; {why}; {bound.why}."
            yield Evidence(verdict, "rate", formula, bound.snr, text)


def likeness(case: Case) -> Iterator[Evidence]:
    """The correlation that a predicted SNR needs, whatever the level (I1, corollary E). Decides nothing."""
    for prediction in case.claim.predicts:
        if prediction.metric in SNRS and case.claim.kind != "observation" and 0 < prediction.range.low < math.inf:
            rho, snr = rho_needed(prediction.range.low), prediction.range.low
            text = f"{snr:g} dB at {prediction.at} need a correlation of {rho:.4f} or more, at whatever level."
            yield Evidence("open", "I1", "rho >= sqrt(1 - 10^(-SNR/10))", rho, text)


def snr_and_ratio(case: Case) -> Iterator[Evidence]:
    """Predictions of SNR and RMS ratio for one moment (I1, corollary D).

    Two ranges are read as a path from their first values to their last ones: impossible if both its ends are, in part
    if one is, or only the lowest ratio beside the highest SNR.
    """
    for at, told in case.moments.items():
        snr, ratio = first(told, SNRS), first(told, RATIOS)
        if case.claim.kind == "observation" or snr is None or ratio is None or not case.speaks(snr, ratio):
            continue
        where = f"At {at}{beside(case, snr, ratio)}"
        path = list(zip(ratio.range, snr.range, strict=True))
        ends = [pair for pair in path if _out(*pair)]
        corners = [pair for pair in product(ratio.range, snr.range) if _out(*pair)]
        whole = len(ends) == len(path) or _none_fits(snr, ratio)
        verdict, part = ("impossible", "") if whole else ("impossible in part", ", though the rest fits")
        for r, wanted in ends or corners:
            text = f"{where}: an RMS ratio of {r:g} allows {snr_limit(r):.2f} dB at most, not {wanted:g}{part}."
            yield Evidence(verdict, "I1", AT_MOST, snr_limit(r), text)
        if corners:
            yield _remains(where, snr, ratio)


def _out(r: float, snr: float) -> bool:
    return math.isfinite(r) and math.isfinite(snr) and snr > snr_limit(r) + ROUNDING


def _none_fits(snr: Told, ratio: Told) -> bool:
    least, most = rms_ratio_range(snr.range.low)
    return max(least, ratio.range.low) > min(most, ratio.range.high) + ROUNDING


def _remains(where: str, snr: Told, ratio: Told) -> Evidence:
    best = min(max(1.0, ratio.range.low), ratio.range.high)
    least, most = rms_ratio_range(snr.range.low)
    low, high = max(least, ratio.range.low), min(most, ratio.range.high)
    if low > high:
        text = f"{where}: nothing remains; {snr.range.low:g} dB need an RMS ratio of {least:.3g} to {most:.3g}."
    else:
        top = min(snr.range.high, snr_limit(best))
        text = f"{where}: what remains is {snr.range.low:g} to {top:.3g} dB at an RMS ratio of {low:.3g} to {high:.3g}."
    return Evidence("open", "I1", "r >= 1 - 10^(-SNR/20)", least, text)


def observed(case: Case) -> Iterator[Evidence]:
    """The correlation that two observed figures imply (I1); with a mean beside them, the target that explains it."""
    for at, told in case.moments.items():
        snr, ratio = first(told, SNRS), first(told, (*RATIOS, "val/range_ratio"))
        if case.claim.kind != "observation" or snr is None or ratio is None or not case.speaks(snr, ratio):
            continue
        if not (math.isfinite(snr.range.low) and 0 < ratio.range.low < math.inf):
            continue
        strict = ratio.prediction.metric in RATIOS
        rho = rho_implied(snr.range.low, ratio.range.low)
        where = f"{snr.range.low:g} dB at a ratio of {ratio.range.low:g} ({at}{beside(case, ratio)})"
        where += "" if strict else ", were it of RMS and not of ranges"
        if abs(rho) <= 1 + ROUNDING:
            text = f"{where}: rho {rho:.3f}; at the best gain the SNR would be {snr_ceiling(rho):.2f} dB."
            yield Evidence("consistent", "I1", IMPLIED, rho, text)
        elif strict:
            yield _beyond(case, where, rho, told)


def _beyond(case: Case, where: str, rho: float, told: dict[str, Told]) -> Evidence:
    """Two figures that no two signals have, unless an offset explains them."""
    snr, ratio, mean = first(told, SNRS), first(told, RATIOS), told.get("val/dc")
    assert snr is not None
    assert ratio is not None
    text = f"{where} would need a correlation of {rho:.2f}"
    noise, r = 10 ** (-snr.range.low / 10), ratio.range.low
    if rho < 0:
        low, high = math.sqrt(noise - (1 + r) ** 2), math.sqrt(noise - (1 - r) ** 2)
        text += f", or an offset of {low:.2f} to {high:.2f} times the target's RMS"
        if mean is not None and 0 < abs(mean.range.low) / high <= case.header.target_rms.highest:
            loud = [abs(mean.range.low) / offset for offset in (high, low)]
            told_mean = (
                f"the stated mean of {mean.range.low:g} is that for a target of RMS {loud[0]:.3f} to {loud[1]:.3f}"
            )
            return Evidence("consistent", "I1", IMPLIED, rho, f"{text}: {told_mean}, with RMS taken about the mean.")
    return Evidence("impossible", "I1", IMPLIED, rho, f"{text}.")


def shape(case: Case) -> Iterator[Evidence]:
    """A correlation that is stated beside an SNR and an RMS ratio, without an offset (I1)."""
    for at, told in case.moments.items():
        snr, ratio, rho = first(told, SNRS), first(told, RATIOS), first(told, ("val/rho", "val/rho_pooled"))
        if snr is None or ratio is None or rho is None or _offset(told) or not case.speaks(snr, ratio, rho):
            continue
        if not (all(map(math.isfinite, (*snr.range, *ratio.range))) and ratio.range.low > 0):
            continue
        ends = [rho_implied(s, r) for s, r in product(snr.range, ratio.range)]
        if ratio.range.low < rho_needed(snr.range.low) < ratio.range.high:
            ends.append(rho_needed(snr.range.low))  # the least correlation lies between the ends
        if max(ends) < rho.range.low - ROUNDING or min(ends) > rho.range.high + ROUNDING:
            implied = max(ends) if max(ends) < rho.range.low else min(ends)
            text = (
                f"At {at}{beside(case, snr, ratio, rho)}: {snr.range} dB at an RMS ratio of {ratio.range} without an "
                f"offset are a correlation of {implied:.3f}, and it is said to be {rho.range}."
            )
            yield Evidence("impossible", "I1", IMPLIED, implied, text)


def _offset(told: dict[str, Told]) -> bool:
    return "val/dc" in told and tuple(told["val/dc"].range) != (0, 0)


RULES: tuple[Rule, ...] = (snr_and_ratio, shape, rate, observed, likeness)
