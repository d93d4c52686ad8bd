"""Experiments on level figures: what an SNR is made of (I1), and what a loss beside an SNR says (I2)."""

import math

from telucodec.diagnosis import identities
from telucodec.diagnosis.lab.experiment import Check, Experiment, compare
from telucodec.diagnosis.lab.signals import pair, step_of
from telucodec.losses.waveform import L1, MSE
from telucodec.metrics.level import Moments

RHOS = (-0.5, 0.0, 0.1, 0.344, 0.5, 0.8, 0.95, 0.999)
RATIOS = (0.05, 0.159, 0.285, 0.5, 0.77, 1.0, 1.53)
OFFSETS = (-0.5, 0.0, 0.3)
LIMITS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.88, 0.9, 0.95, 0.96, 0.97, 0.98, 0.99)  # corollary D
SNRS = (0.0, 5.0, 10.0, 20.0, 22.5, 30.0, 40.0)  # corollary E
SIGMA = 0.16  # about what speech has at -16 dBFS
SIGMAS = (0.05, 0.16, 0.5)
LOSS, LOSS_SNRS = 0.089, (0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 20.0, 22.5, 25.0)  # document S003, line 158
SAMPLES = 1024  # the figures are exact however few there are
EXACT = 1e-8  # float64 has 16 digits; a difference of powers 40 dB apart costs 4, and 3 are room


def measured(rho: float, rms_ratio: float, offset: float, seed: int) -> dict[str, float]:
    """The project's level figures of a pair."""
    return Moments.of(*pair(rho, rms_ratio, offset, SAMPLES, SIGMA, seed)).figures()


def decomposition(seed: int) -> Experiment:
    """I1: noise over signal is shape + gain + offset, and what follows from it."""
    grid = [(rho, r, d) for rho in RHOS for r in RATIOS for d in OFFSETS]
    found = [measured(*point, seed) for point in grid]
    parts = {
        "shape": ([1 - rho**2 for rho, _, _ in grid], [f["nsr_shape"] for f in found]),
        "gain": ([(r - rho) ** 2 for rho, r, _ in grid], [f["nsr_gain"] for f in found]),
        "offset": ([d**2 for _, _, d in grid], [f["nsr_dc"] for f in found]),
        "SNR, dB": ([identities.snr(*point) for point in grid], [f["snr"] for f in found]),
        "SNR ceiling, dB": ([identities.snr_ceiling(rho) for rho, _, _ in grid], [f["snr_ceiling"] for f in found]),
    }
    checks = [compare(name, *values, EXACT) for name, values in parts.items()]
    curves = {str(rho): [measured(rho, r, 0.0, seed)["snr"] for r in RATIOS] for rho in RHOS}
    data = {"rms_ratio": list(RATIOS), "snr": curves, "parts": _examples(seed)}
    return Experiment(
        "i1",
        "Noise has three parts",
        "NSR = (1 - rho^2) + (r - rho)^2 + d^2",
        (*checks, *_corollaries(seed)),
        data,
    )


def _corollaries(seed: int) -> list[Check]:
    quiet = [(rho, r) for rho in RHOS for r in RATIOS if r < 1 and abs(rho - r / 2) > 1e-3]
    negative = [float(measured(rho, r, 0.0, seed)["snr"] < 0) for rho, r in quiet]
    loud = [measured(0.0, r, 0.0, seed)["snr"] for r in RATIOS]
    matched = [measured(rho, 1.0, 0.0, seed)["snr"] for rho in RHOS]
    perfect = [measured(1.0, r, 0.0, seed)["snr"] for r in LIMITS]
    needed = [measured(identities.rho_needed(snr), 1.0, 0.0, seed)["snr_ceiling"] for snr in SNRS]
    return [
        compare("A: SNR below 0 where rho < r / 2", [float(rho < r / 2) for rho, r in quiet], negative, 0),
        compare("B: SNR at rho = 0, dB", [-10 * math.log10(1 + r**2) for r in RATIOS], loud, EXACT),
        compare("C: SNR at RMS ratio 1, dB", [identities.snr_at_rms_1(rho) for rho in RHOS], matched, EXACT),
        compare("D: largest SNR at an RMS ratio, dB", [identities.snr_limit(r) for r in LIMITS], perfect, EXACT),
        compare("E: SNR ceiling at the rho it needs, dB", SNRS, needed, EXACT),
    ]


def _examples(seed: int) -> dict[str, list[float]]:
    """Shape, gain and offset of outputs that the documents speak of."""
    points = {
        "S000, epoch 20": (identities.rho_implied(-0.11, 0.159), 0.159, 0.0),
        "S004, epoch 45": (identities.rho_implied(0.53, 0.285), 0.285, 0.0),
        "right shape, too quiet": (1.0, 0.159, 0.0),
        "right shape, an offset": (1.0, 1.0, 0.5),
    }
    found = {name: measured(*point, seed) for name, point in points.items()}
    return {name: [f[f"nsr_{part}"] for part in ("shape", "gain", "dc")] for name, f in found.items()}


def loss_bound(seed: int) -> Experiment:
    """I2: a squared error and an SNR name the target's loudness together; L1 + MSE bound it from below."""
    grid = [(sigma, rho, r) for sigma in SIGMAS for rho in (0.0, 0.5, 0.9, 0.99) for r in (0.3, 0.7, 1.0)]
    found = [_losses(rho, r, sigma, seed) for sigma, rho, r in grid]
    sigmas = [sigma for sigma, _, _ in grid]
    implied = [identities.sigma_implied(mse, snr) for _, mse, snr in found]
    least = [identities.sigma_implied(identities.mse_least(l1 + mse), snr) for l1, mse, snr in found]
    needed = [_needed(snr, seed) for snr in LOSS_SNRS]
    told = [identities.sigma_implied(identities.mse_least(LOSS), snr) for snr in LOSS_SNRS]
    checks = (
        compare("RMS from MSE and SNR", sigmas, implied, 1e-6),  # float32 carries seven digits
        compare("RMS from L1 + MSE and SNR", sigmas, least, 1e-6, "<="),
        compare(f"RMS of Gaussian targets where L1 + MSE = {LOSS}", told, needed, 1e-6, ">="),
    )
    data = {"sigma": sigmas, "implied": implied, "least": least, "loss": LOSS, "snr": list(LOSS_SNRS)}
    data |= {"least_at_loss": told, "gaussian_at_loss": needed}
    return Experiment("i2", "A loss and an SNR name the loudness", "MSE = s_y^2 10^(-SNR / 10)", checks, data)


def _losses(rho: float, rms_ratio: float, sigma: float, seed: int) -> tuple[float, float, float]:
    """L1, MSE and SNR of a pair."""
    target, audio = pair(rho, rms_ratio, 0.0, SAMPLES, sigma, seed)
    step = step_of(target[None, None], audio[None, None])
    l1, mse = (float(kind(weight=1, start=0, emphasis=0)(step)) for kind in (L1, MSE))
    return l1, mse, Moments.of(target, audio).figures()["snr"]


def _needed(snr: float, seed: int) -> float:
    """RMS of a Gaussian target where L1 + MSE is `LOSS` at this SNR: L1 grows with it, MSE with its square."""
    rho = identities.rho_needed(snr)
    l1, mse, _ = _losses(rho, rho, 1.0, seed)
    sigma = (math.sqrt(l1**2 + 4 * mse * LOSS) - l1) / (2 * mse)
    l1, mse, _ = _losses(rho, rho, sigma, seed)
    assert abs(l1 + mse - LOSS) < 1e-6, "the scaling is exact"
    return sigma
