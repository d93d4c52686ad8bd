"""Experiments on losses: the loudness that each wants (I3), and where a mixture of them comes to rest (I10)."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import hyp2f1
from torch import Tensor

from telucodec.diagnosis import identities
from telucodec.diagnosis.lab.experiment import Experiment, compare
from telucodec.diagnosis.lab.signals import pair, step_of
from telucodec.losses.combine import WeightedSum
from telucodec.losses.level import GlobalRMS
from telucodec.losses.mel import GuardedLogMel
from telucodec.losses.spectral import MultiScaleMel, STFTDistance
from telucodec.losses.term import Term, Terms
from telucodec.losses.waveform import L1, MSE
from telucodec.metrics.level import Moments

SIGMA = 0.16
SAMPLE_RATE = 16000
WINDOWS = (256, 512, 1024)
RHOS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
SAMPLES = 2**16
# the gain at which |g x - y| is least is a median: its standard error is sqrt(pi / 2) / sqrt(samples), and 4 of them
# are 1 chance in 16,000
MEDIAN = 4 * math.sqrt(math.pi / 2 / SAMPLES)
SPECTRAL = MEDIAN * math.sqrt(2)  # a spectrum has half as many magnitudes as there are samples
FLAT = 2e-3  # float32 does not tell a smooth loss apart from its least value nearer than that
MIXED_RHOS = (0.0, 0.1, 0.3, 0.5, 0.8)
WEIGHTS = (0.0, 1.0, 15.0, 192.0)  # of the RMS loss: none, the first of document S000, its cure, what it reckons with
SIGMAS = (0.16, 0.5)


def best_gain(terms: Mapping[str, Term], target: Tensor, audio: Tensor) -> float:
    """The gain from 0 to 2 at which the weighted sum of terms is least for `gain * audio`; signals [T]."""
    objective, combine = Terms(terms=terms, ceilings={}), WeightedSum()

    def loss(gain: float) -> float:
        step = step_of(target[None, None], gain * audio[None, None])
        with torch.no_grad():
            return float(combine(objective(step), step))

    return float(minimize_scalar(loss, bounds=(0, 2), method="bounded", options={"xatol": 1e-5}).x)


def linear_magnitude_gain(rho: float) -> float:
    """The gain at which E | g |X| - |Y| | is least, for spectra X, Y of white Gaussian noise of correlation rho.

    The median of |Y| / |X|, weighted with |X|; their angle phi = atan(|Y| / |X|) has, so weighted, the density
    cos^2 phi sin phi F(5/4, 7/4; 1; (rho sin 2 phi)^2) but for a factor.

    Source: ours, from the joint density of two Rayleigh variables (Rice 1945).

    >>> round(linear_magnitude_gain(0.0), 4) == round(math.sqrt(2 ** (2 / 3) - 1), 4)
    True
    """
    phi = (np.arange(200_000) + 0.5) / 200_000 * math.pi / 2
    density = np.cos(phi) ** 2 * np.sin(phi) * hyp2f1(1.25, 1.75, 1.0, (rho * np.sin(2 * phi)) ** 2)
    below = np.cumsum(density)
    return math.tan(float(np.interp(0.5 * below[-1], below, phi)))


def candidates() -> dict[str, Term]:
    """The losses whose wish is asked for, by what a reader would call them."""
    n_mels = [40] * len(WINDOWS)
    return {
        "MSE": MSE(weight=1, start=0, emphasis=0),
        "L1": L1(weight=1, start=0, emphasis=0),
        "linear spectrum": STFTDistance(
            weight=1, start=0, n_ffts=WINDOWS, divisor=1, compute="float32", returned="float32"
        ),
        "log(1 + mel)": _guarded(1.0),
        "log mel": MultiScaleMel(weight=1, start=0, sample_rate=SAMPLE_RATE, n_ffts=WINDOWS, n_mels=n_mels, floor=1e-5),
        "log(1e-5 + mel)": _guarded(1e-5),
    }


def gain_optimum(seed: int) -> Experiment:
    """I3: at correlation rho waveform losses want the gain rho, log spectra 1, linear spectra something between."""
    pairs = [pair(rho, 1.0, 0.0, SAMPLES, SIGMA, seed) for rho in RHOS]
    found = {name: [best_gain({"it": term}, *signals) for signals in pairs] for name, term in candidates().items()}
    ones, linear = [1.0] * len(RHOS), [linear_magnitude_gain(rho) for rho in RHOS]
    checks = (
        compare("MSE wants the gain rho", RHOS, found["MSE"], FLAT),
        compare("L1 wants the gain rho", RHOS, found["L1"], MEDIAN),
        compare("linear spectra want a median of ratios", linear, found["linear spectrum"], SPECTRAL),
        compare("log mel wants 1", ones, found["log mel"], SPECTRAL),
        compare("log(1e-5 + mel) wants 1", ones, found["log(1e-5 + mel)"], SPECTRAL),
        compare("log(1 + mel) wants no more than 1", ones, found["log(1 + mel)"], SPECTRAL, "<="),
    )
    predicted = {"MSE": list(RHOS), "L1": list(RHOS), "linear spectrum": linear, "log mel": ones}
    data = {"rho": list(RHOS), "measured": found, "predicted": predicted}
    return Experiment("i3", "The loudness that a loss wants", "argmin_g L(g x, y)", checks, data)


def mixtures(seed: int) -> Experiment:
    """I10: where L1 + MSE + w x RMS comes to rest, and the SNR there."""
    corners = [(sigma, rho) for sigma in SIGMAS for rho in MIXED_RHOS]
    signals = {c: pair(c[1], 1.0, 0.0, SAMPLES, c[0], seed) for c in corners}
    rows = [(sigma, rho, weight) for sigma, rho in corners for weight in WEIGHTS]
    told = [identities.equilibrium(rho, weight, sigma, 1, 1) for sigma, rho, weight in rows]
    found = [best_gain(_mixture(1.0, weight), *signals[sigma, rho]) for sigma, rho, weight in rows]
    closed = [(rho + weight) / (1 + weight) for _, rho, weight in rows]
    squared = [best_gain(_mixture(0.0, weight), *signals[sigma, rho]) for sigma, rho, weight in rows]
    at_rest = [identities.snr(rho, r) for (_, rho, _), r in zip(rows, told, strict=True)]
    snr = [_snr(signals[sigma, rho], gain) for (sigma, rho, _), gain in zip(rows, found, strict=True)]
    checks = (
        compare("RMS ratio with L1 + MSE", told, found, MEDIAN),
        compare("RMS ratio with MSE alone, (rho + w) / (1 + w)", closed, squared, FLAT),
        # the SNR changes by 10 / ln 10 dB for each unit of the RMS ratio, at most
        compare("SNR there, dB", at_rest, snr, 10 / math.log(10) * MEDIAN),
    )
    data = {"columns": ["sigma", "rho", "w"], "rows": rows, "rms_ratio": found, "snr": snr, "predicted": told}
    formula = "argmin_r L1 + MSE + w s_y^2 (1 - r)^2"
    return Experiment("i10", "How loud a mixture of losses makes the output", formula, checks, data | _curves())


def _guarded(guard: float) -> Term:
    return GuardedLogMel(
        weight=1, start=0, sample_rate=SAMPLE_RATE, n_ffts=WINDOWS, n_mels=40, guard=guard, power_guard=1e-5
    )


def _mixture(l1: float, weight: float) -> dict[str, Term]:
    return {
        "l1": L1(weight=l1, start=0, emphasis=0.0),
        "mse": MSE(weight=1.0, start=0, emphasis=0.0),
        "rms": GlobalRMS(weight=weight, start=0, eps=1e-8),
    }


def _snr(signals: tuple[Tensor, Tensor], gain: float) -> float:
    target, audio = signals
    return Moments.of(target, gain * audio).figures()["snr"]


def _curves() -> dict[str, object]:
    weights = np.geomspace(0.05, 400, 60).tolist()
    ratios = {str(rho): [identities.equilibrium(rho, w, SIGMAS[0], 1, 1) for w in weights] for rho in MIXED_RHOS}
    return {"weights": weights, "rms_ratio_by_weight": ratios}
