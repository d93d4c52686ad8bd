"""An experiment on rates: no quantizer exceeds what its bits and its source allow."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telucodec.diagnosis.lab.experiment import Check, Experiment, compare
from telucodec.diagnosis.lab.source import (
    SHAPING_DB,
    autoregressive,
    prediction_gain_db,
    predictive_scalar,
    residual_vector,
    snr_bound,
    snr_reachable,
)

SOURCES = {"white noise": 0.0, "prediction gain 20 dB": math.sqrt(0.99)}
CELLS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125)  # widths of the scalar quantizer, over the noise that prediction leaves
BLOCKS = ((16, 1, 256), (8, 1, 256), (8, 2, 256), (4, 2, 128))  # samples, codebooks, codewords
SEQUENCES, SAMPLES = 512, 1024
SAMPLE_RATE = 16000
KBPS, WISH_DB = 8.0, 35.0  # document S001, lines 220 and 221: 256 kbit/s over 32, and what is expected at it
# a mean square of n Gaussian samples is off by sqrt(2 / n): 0.006 dB here; slow sources have fewer that are independent
SHORT = 0.1


@dataclass(frozen=True)
class Point:
    """What one quantizer makes of one source."""

    source: str
    quantizer: str
    bits: float
    snr: float


def rate_bound(seed: int) -> Experiment:
    """Rate: the SNR is at most 6.02 dB a bit and sample, plus the prediction gain, whatever quantizes."""
    points = [point for name, coefficient in SOURCES.items() for point in _points(name, coefficient, seed)]
    bits = KBPS * 1000 / SAMPLE_RATE
    reachable = [snr_reachable(p.bits, SOURCES[p.source]) for p in points]
    bound = [snr_bound(p.bits, SOURCES[p.source]) for p in points]
    fine = [max((p for p in points if p.source == name), key=lambda p: p.snr) for name in SOURCES]
    lost = [snr_bound(p.bits, SOURCES[p.source]) - p.snr for p in fine]
    slow = SOURCES["prediction gain 20 dB"]
    checks = (
        compare("SNR, not above the best code", reachable, [p.snr for p in points], SHORT, "<="),
        compare("SNR, not above 6.02 R + prediction gain", bound, [p.snr for p in points], SHORT, "<="),
        compare("fine scalar cells lose, dB", [SHAPING_DB] * len(fine), lost, 0.05),
        Check("best code against the bound at 2 bit, dB", snr_bound(2, slow), snr_reachable(2, slow), 1e-4),
        Check(f"best code at {KBPS:g} kbit/s: below {WISH_DB:g} dB", WISH_DB, snr_reachable(bits, slow), 0, "<="),
    )
    axis = [*np.linspace(0, 0.5, 20).tolist(), *np.linspace(0.6, 6, 55).tolist()]
    data = {
        "columns": ["source", "quantizer", "bits", "snr"],
        "points": [[p.source, p.quantizer, p.bits, p.snr] for p in points],
        "bits": axis,
        "reachable": {name: [snr_reachable(b, coefficient) for b in axis] for name, coefficient in SOURCES.items()},
        "wish": {"bits": bits, "snr": WISH_DB, "kbps": KBPS},
        "needed_kbps": (WISH_DB - prediction_gain_db(slow)) / (20 * math.log10(2)) * SAMPLE_RATE / 1000,
        "needed_gain_db": WISH_DB - snr_bound(bits, 0.0),
    }
    return Experiment("rate", "What a rate allows", "SNR <= 6.02 R + prediction gain", checks, data)


def _points(name: str, coefficient: float, seed: int) -> list[Point]:
    learned, held = (autoregressive(coefficient, SEQUENCES, SAMPLES, seed + k) for k in (0, 1))
    left = math.sqrt(1 - coefficient**2)
    scalar = [predictive_scalar(held, coefficient, width * left) for width in CELLS]
    vector = [_vector(learned, held, block, seed) for block in BLOCKS]
    return [Point(name, "scalar, entropy-coded", *found) for found in scalar] + [
        Point(name, "residual VQ of this project", *found) for found in vector
    ]


def _vector(
    learned: NDArray[np.float64], held: NDArray[np.float64], block: tuple[int, int, int], seed: int
) -> tuple[float, float]:
    dim, n_q, size = block
    return residual_vector(learned[:, :256], held[:, :256], dim, n_q, size, seed)
