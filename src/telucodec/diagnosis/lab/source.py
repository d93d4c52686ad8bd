"""Gaussian sources whose rate-distortion function is known, and quantizers to hold against it."""

import math
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from telucodec.diagnosis.lab.quantizer import begun
from telucodec.diagnosis.rate import WaterFilling
from telucodec.errors import above, at_least, inside
from telucodec.quantization.codebook import EMACodebook
from telucodec.quantization.evidence import Residual
from telucodec.quantization.gradient import StraightThrough
from telucodec.quantization.initial import KMeans

SHAPING_DB = 10 * math.log10(math.pi * math.e / 6)  # 1.53 dB: what a cube of samples loses to a ball, in any dimension
BINS = 20_000  # of a spectrum from 0 to half the sample rate; the sum over them is then exact to rounding


def prediction_gain_db(coefficient: float) -> float:
    """How far the best prediction of x[t] = coefficient x[t - 1] + noise lies below its power, dB.

    >>> round(prediction_gain_db(0.995), 1)
    20.0
    """
    inside(-1, 1, coefficient=coefficient)
    return -10 * math.log10(1 - coefficient**2)


def snr_bound(bits: float, coefficient: float) -> float:
    """The SNR in dB that no code of this rate exceeds: 6.02 dB a bit plus the prediction gain.

    Exact for white noise (coefficient 0), and elsewhere from log2(1 + |coefficient|) bits on; below that the source
    allows less, see `snr_reachable`.

    Args:
        bits: a sample, >= 0.
        coefficient: of the autoregression, in (-1, 1).

    Source: Shannon 1959; Berger 1971, Rate Distortion Theory, section 4.5.

    >>> round(snr_bound(1.0, 0.0), 2), round(snr_bound(0.5, 0.995), 1)
    (6.02, 23.0)
    """
    at_least(0, bits=bits)
    return 20 * math.log10(2) * bits + prediction_gain_db(coefficient)


def snr_reachable(bits: float, coefficient: float) -> float:
    """The SNR in dB of the best code of this rate, in bits a sample: reverse water-filling of the source's spectrum.

    Source: Kolmogorov 1956; Berger 1971, Rate Distortion Theory, section 4.5.

    >>> round(snr_reachable(2.0, 0.9) - snr_bound(2.0, 0.9), 6), round(snr_reachable(0.5, 0.995), 1)
    (0.0, 22.5)
    """
    omega = (np.arange(BINS) + 0.5) / BINS * math.pi
    spectrum = (1 - coefficient**2) / (1 - 2 * coefficient * np.cos(omega) + coefficient**2)
    return WaterFilling([spectrum]).snr(bits)


def autoregressive(coefficient: float, sequences: int, samples: int, seed: int) -> NDArray[np.float64]:
    """Sequences of x[t] = coefficient x[t - 1] + noise with power 1 from the first sample on, [sequences, samples]."""
    inside(-1, 1, coefficient=coefficient)
    noise = torch.randn(sequences, samples, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).numpy()
    signal = noise.copy()
    for t in range(1, samples):
        signal[:, t] = coefficient * signal[:, t - 1] + math.sqrt(1 - coefficient**2) * noise[:, t]
    return signal


def entropy(symbols: NDArray[np.int64]) -> float:
    """Bits a symbol that an ideal entropy coder of these frequencies needs.

    >>> entropy(np.array([0, 0, 1, 1, 2, 2, 3, 3]))
    2.0
    """
    counts = np.unique(symbols, return_counts=True)[1] / symbols.size
    return float(-(counts * np.log2(counts)).sum())


def predictive_scalar(signal: NDArray[np.float64], coefficient: float, width: float) -> tuple[float, float]:
    """Rate and SNR of a uniform scalar quantizer behind a predictor, its symbols ideally entropy-coded.

    Each sample is predicted from the decoded one before it, which coder and decoder both know; only the rest is
    quantized. With coefficient 0 it is a plain scalar quantizer.

    Args:
        signal: power 1, [sequences, samples]; the first sample of each is known to the decoder.
        coefficient: of the predictor, in (-1, 1).
        width: of the quantizer's cells, > 0.

    Returns:
        Bits a sample and SNR in dB.

    Source: Jayant and Noll 1984, Digital Coding of Waveforms, chapter 6; Gish and Pierce 1968.
    """
    above(0, width=width)
    decoded = signal[:, 0].copy()
    symbols, error = np.empty(signal[:, 1:].shape, np.int64), 0.0
    for t in range(1, signal.shape[1]):
        predicted = coefficient * decoded
        symbols[:, t - 1] = np.rint((signal[:, t] - predicted) / width)
        decoded = predicted + width * symbols[:, t - 1]
        error += float(np.square(signal[:, t] - decoded).sum())
    return entropy(symbols), 10 * math.log10(symbols.size / error)  # of a source of power 1


@torch.no_grad()
def residual_vector(
    learned: NDArray[np.float64], held: NDArray[np.float64], dim: int, n_q: int, size: int, seed: int
) -> tuple[float, float]:
    """Rate and SNR of the project's residual quantizer on blocks of samples, its codes sent at their fixed length.

    Args:
        learned: what its codebooks are made from by k-means, [sequences, samples].
        held: what it is measured on, alike.
        dim: samples in a block; divides their number.
        n_q: number of codebooks.
        size: codewords in each.
        seed: of k-means.

    Returns:
        Bits a sample and SNR in dB.
    """
    seen, heard = (_blocks(signal, dim) for signal in (learned, held))
    book = partial(EMACodebook, ema_input=Residual(), codebook_size=size, initial=KMeans(iterations=20))
    quantizer = begun(book, n_q, StraightThrough(), seen, seed).eval()
    error = quantizer(heard).latent - heard
    return quantizer.bits_per_frame / dim, float(-10 * torch.log10(error.square().mean()))


def _blocks(signal: NDArray[np.float64], dim: int) -> Tensor:
    return torch.from_numpy(signal.reshape(-1, dim).T.astype(np.float32))[None]
