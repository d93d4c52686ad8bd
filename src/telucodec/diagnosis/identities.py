"""What level figures must obey, whatever the codec: the arithmetic that decides most claims before a run does.

With the target y (standard deviation s_y about its mean), the output x, their correlation rho, the RMS ratio
r = s_x / s_y and the offset d = (mean x - mean y) / s_y, the noise over the signal about its mean is

    NSR = (1 - rho^2) + (r - rho)^2 + d^2          shape, gain, offset (I1)

Everything here follows from it, or says from what else.
"""

import math
from typing import NamedTuple

from telucodec.errors import above, inside


def nsr(rho: float, rms_ratio: float, offset: float = 0.0) -> float:
    """Noise over signal power (I1).

    >>> nsr(1.0, 0.5)
    0.25
    """
    return (1 - rho**2) + (rms_ratio - rho) ** 2 + offset**2


def snr(rho: float, rms_ratio: float, offset: float = 0.0) -> float:
    """SNR in dB (I1); infinite for a perfect output.

    >>> round(snr(0.0, 1.0), 2), round(snr(0.0, 0.5), 2), snr(1.0, 1.0)
    (-3.01, -0.97, inf)
    """
    noise = nsr(rho, rms_ratio, offset)
    return 10 * math.log10(1 / noise) if noise > 0 else math.inf


def rho_implied(snr_db: float, rms_ratio: float, offset: float = 0.0) -> float:
    """The correlation that an SNR and an RMS ratio imply together (I1); outside [-1, 1] no two signals have them.

    Args:
        snr_db: in dB.
        rms_ratio: output over target, > 0.
        offset: mean of output minus target over the target's standard deviation.

    >>> round(rho_implied(-0.11, 0.159), 4), round(rho_implied(0.53, 0.285), 3), round(rho_implied(-8.05, 0.548), 1)
    (-0.0012, 0.344, -4.6)
    """
    above(0, rms_ratio=rms_ratio)
    return (1 + rms_ratio**2 + offset**2 - 10 ** (-snr_db / 10)) / (2 * rms_ratio)


def snr_ceiling(rho: float) -> float:
    """The SNR in dB at the best gain, r = rho, without offset (I1).

    >>> round(snr_ceiling(0.344), 2), snr_ceiling(1.0)
    (0.55, inf)
    """
    return snr(rho, rho)


def snr_at_rms_1(rho: float) -> float:
    """The SNR in dB when the RMS ratio is made 1 (I1, corollary C).

    >>> round(snr_at_rms_1(0.5), 9), round(snr_at_rms_1(0.95), 1)
    (0.0, 10.0)
    """
    return snr(rho, 1.0)


def snr_limit(rms_ratio: float) -> float:
    """The largest SNR in dB that any output of this RMS ratio can have (I1, corollary D): reached at rho = 1.

    >>> round(snr_limit(0.4), 2), round(snr_limit(0.6), 2), round(snr_limit(0.95), 2)
    (4.44, 7.96, 26.02)
    """
    return snr(1.0, rms_ratio)


def rho_needed(snr_db: float) -> float:
    """The smallest correlation with which an SNR >= 0 dB can be reached at all (I1, corollary E).

    >>> round(rho_needed(5), 3), round(rho_needed(20), 3)
    (0.827, 0.995)
    """
    return math.sqrt(max(0.0, 1 - 10 ** (-snr_db / 10)))


def rms_ratio_range(snr_db: float) -> tuple[float, float]:
    """The RMS ratios at which an SNR in dB is possible (I1, corollary D turned round).

    >>> tuple(round(r, 3) for r in rms_ratio_range(20))
    (0.9, 1.1)
    """
    error = 10 ** (-snr_db / 20)
    return max(0.0, 1 - error), 1 + error


def sigma_implied(mse: float, snr_db: float) -> float:
    """The target's RMS that a mean squared error and an SNR imply together: MSE = s_y^2 10^(-SNR/10) (I2).

    >>> round(sigma_implied(0.3, 2.0), 2)
    0.69
    """
    return math.sqrt(mse) * 10 ** (snr_db / 20)


def mse_least(l1_plus_mse: float) -> float:
    """The smallest MSE with which L1 + MSE has a value: L1 is at most the root of MSE (I2).

    >>> round(sigma_implied(mse_least(0.089), 22.5), 2)
    1.1
    """
    return ((math.sqrt(1 + 4 * l1_plus_mse) - 1) / 2) ** 2


def scale_gradient(scale: float, power: float, product: float) -> float:
    """Derivative of the MSE by an output scale s: 2 (s E[x^2] - E[xy]); s rises only while r < rho (I4).

    Args:
        scale: s, which multiplies x.
        power: E[x^2] of what is scaled.
        product: E[xy] of it and the target.

    >>> scale_gradient(1.0, 1.0, 0.0) > 0
    True
    """
    return 2 * (scale * power - product)


class RMSGradients(NamedTuple):
    """Derivatives of two RMS losses by an output scale."""

    over_batch: float
    per_item: float


def rms_gradients(scale: float, outputs: list[float], targets: list[float]) -> RMSGradients:
    """Derivatives by an output scale s of the global and the per-sample RMS loss (I6).

    Of (s X - Y)^2 with X^2 = mean x_i^2: 2 (s X^2 - X Y). Of mean (s x_i - y_i)^2: 2 (s X^2 - mean x_i y_i). By the
    Cauchy-Schwarz inequality the second is never the larger one while the output is too quiet.

    Args:
        scale: s.
        outputs: RMS x_i of each item before the scale.
        targets: RMS y_i of each target.

    >>> rms_gradients(1.0, [0.1, 0.2], [0.2, 0.4])
    RMSGradients(over_batch=-0.05, per_item=-0.05)
    """
    n = len(outputs)
    power, wanted = sum(x * x for x in outputs) / n, sum(y * y for y in targets) / n
    product = sum(x * y for x, y in zip(outputs, targets, strict=True)) / n
    values = (scale * power - math.sqrt(power * wanted), scale * power - product)
    return RMSGradients(*(round(2 * value, 15) for value in values))


def equilibrium(rho: float, weight: float, sigma: float, l1: float, mse: float) -> float:
    """The RMS ratio at which l1 x L1 + mse x MSE + weight x (RMS difference)^2 is least, for Gaussian signals (I10).

    With MSE alone it is (rho + w) / (1 + w), whatever the loudness.

    Args:
        rho: correlation, in [-1, 1].
        weight: w of the RMS loss, >= 0.
        sigma: the target's RMS, full scale = 1, > 0.
        l1: weight of the mean absolute error.
        mse: weight of the mean squared error.

    >>> round(equilibrium(0.0, 15, 0.16, 1, 1), 2), round(equilibrium(0.5, 1, 0.16, 0, 1), 3)
    (0.84, 0.75)
    """
    from scipy.optimize import minimize_scalar

    inside(-1, 1.0000001, rho=rho)
    above(0, sigma=sigma)

    def loss(r: float) -> float:
        error = sigma**2 * nsr(rho, r)
        return l1 * math.sqrt(2 / math.pi * error) + mse * error + weight * sigma**2 * (1 - r) ** 2

    return float(minimize_scalar(loss, bounds=(0, 2), method="bounded", options={"xatol": 1e-9}).x)


def straight_through_gain(n_q: int, stepwise: bool) -> float:
    """Gain of the gradient through a residual quantizer of n_q codebooks (I7).

    One around all codebooks passes it once; one around each, with the codeword itself taken from the residual, once a
    codebook.

    >>> straight_through_gain(8, False), straight_through_gain(8, True)
    (1.0, 8.0)
    """
    return float(n_q) if stepwise else 1.0


def high_resolution_snr(kbps: float, sample_rate: int, prediction_gain_db: float) -> float:
    """The SNR in dB that a rate buys at most: 6.02 dB a bit and sample, plus what prediction saves.

    A rule of thumb; `telucodec.diagnosis.rate` computes it on recordings.

    Args:
        kbps: kbit/s.
        sample_rate: in Hz.
        prediction_gain_db: of the source, 15 to 20 dB for speech.

    Source: Jayant and Noll 1984, Digital Coding of Waveforms, chapter 2.

    >>> round(high_resolution_snr(8, 16000, 20), 1)
    23.0
    """
    return 20 * math.log10(2) * 1000 * kbps / sample_rate + prediction_gain_db
