"""The SNR that a bitrate can buy on given recordings: reverse water-filling over their short-time spectra.

Each frame is taken for Gaussian noise with the spectrum that linear prediction finds, and the decoder is told all
spectra for free. A codec has to send them too, and cannot move bits between recordings: so far the figure is generous.
Among all signals of a spectrum, Gaussian noise is the hardest to code, and pitch is not in these spectra: so far it is
not. It is a reference to hold a wish against, and no theorem about speech.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from telucodec.errors import at_least

FRAME_SECONDS = 0.032
BINS = 256  # of each spectrum, in the middle of equal bands from 0 to half the sample rate


def prediction_order(sample_rate: int) -> int:
    """Coefficients of linear prediction: two for each formant, one formant a kHz, and two for the rest.

    Source: Markel and Gray 1976, Linear Prediction of Speech, chapter 6.

    >>> prediction_order(16000), prediction_order(8000)
    (18, 10)
    """
    return 2 + round(sample_rate / 1000)


def frames(audio: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    """Half-overlapping Hann frames whose mean square is, on average, the signal's; the last one is filled with zeros.

    Args:
        audio: one channel, [T], T >= 1.
        size: samples a frame, >= 2.

    Shape:
        - Output: [F, size].

    >>> frames(np.ones(8), 4).shape
    (3, 4)
    """
    hop = size // 2
    count = max(1, math.ceil((len(audio) - size) / hop) + 1)
    padded = np.pad(audio.astype(np.float64), (0, (count - 1) * hop + size - len(audio)))
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    cut = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.asarray(cut * (window / np.sqrt(np.mean(window**2))))


def autocorrelation(cut: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """Autocorrelation of each frame at lags 0 to `order`, over its length: [F, size] to [F, order + 1].

    >>> autocorrelation(np.array([[1.0, 2.0]]), 1)
    array([[2.5, 1. ]])
    """
    size = cut.shape[1]
    lags = [np.einsum("fn,fn->f", cut[:, : size - lag], cut[:, lag:]) for lag in range(order + 1)]
    return np.asarray(np.stack(lags, axis=1) / size)


def levinson(correlation: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prediction filters of many autocorrelations at once, by the Levinson-Durbin recursion.

    Args:
        correlation: r_0 to r_p of each frame, [F, p + 1]; frames with r_0 = 0 get the filter 1 and the error 0.

    Returns:
        Filters 1, a_1, ..., a_p with sum_k a_k x[n-k] = error, [F, p + 1], and the errors' powers, [F].

    Source: Makhoul 1975, Linear Prediction: A Tutorial Review, eq. 38.

    >>> filters, error = levinson(np.array([[1.0, 0.5, 0.25]]))
    >>> filters.tolist(), error.tolist()
    ([[1.0, -0.5, 0.0]], [0.75])
    """
    filters = np.zeros_like(correlation)
    filters[:, 0] = 1.0
    error = correlation[:, 0].copy()
    for order in range(1, correlation.shape[1]):
        missed = np.einsum("fk,fk->f", filters[:, :order], correlation[:, order:0:-1])
        reflection = -np.divide(missed, error, out=np.zeros_like(error), where=error > 0)
        filters[:, : order + 1] += reflection[:, None] * filters[:, order::-1]
        error *= np.maximum(0.0, 1 - reflection**2)
    return filters, error


def spectra(audio: NDArray[np.floating], sample_rate: int) -> NDArray[np.float64]:
    """Short-time power spectra by linear prediction; the mean over a row is that frame's power.

    Args:
        audio: one channel, [T], T >= 1; its mean is left out.
        sample_rate: in Hz.

    Shape:
        - Output: [F, 256].

    Raises:
        ValueError: there are no samples.

    >>> spectra(np.zeros(1000), 16000).any()
    np.False_
    """
    at_least(1, samples=audio.size)
    cut = frames(audio - audio.mean(dtype=np.float64), max(2, round(FRAME_SECONDS * sample_rate)))
    order = min(prediction_order(sample_rate), cut.shape[1] - 1)
    correlation = autocorrelation(cut, order)
    filters, error = levinson(correlation * np.r_[1 + 1e-9, np.ones(order)])  # a lone tone would be predicted exactly
    angles = np.pi * (np.arange(BINS) + 0.5) / BINS
    response = filters @ np.exp(-1j * np.outer(np.arange(order + 1), angles))
    shape = error[:, None] / np.abs(response) ** 2
    power = shape.mean(axis=1, keepdims=True)
    return np.asarray(shape * np.divide(correlation[:, :1], power, out=np.zeros_like(power), where=power > 0))


class WaterFilling:
    """Least distortion of Gaussian sources at a rate, all spectra taken together: bits go where they help most.

    Under a water level w, a component of power S gets max(0, log2(S / w) / 2) bits and keeps the distortion min(w, S).

    Args:
        spectra: powers of equally wide components, arrays of any shape, >= 0 and not all 0.

    Source: Cover and Thomas 2006, Elements of Information Theory, theorem 10.3.3 (after Kolmogorov 1956).

    >>> round(WaterFilling([np.ones(4)]).snr(1.0), 2), round(WaterFilling([np.ones(4)]).bits(6.0206), 4)
    (6.02, 1.0)
    """

    def __init__(self, spectra: Sequence[NDArray[np.float64]]) -> None:
        power = np.concatenate([part.ravel() for part in spectra])
        if not (np.isfinite(power) & (power >= 0)).all():
            raise ValueError("spectra must be finite and >= 0")
        if not power.any():
            raise ValueError("spectra are 0 everywhere: there is nothing to code")
        self.count = len(power)
        self.power = np.sort(power[power > 0])[::-1]
        self.total = float(self.power.sum())
        ranks = np.arange(1, len(self.power) + 1)
        # at index k: the k + 1 strongest are above the water, which stands at the weakest of them
        self.logs = np.cumsum(np.log2(self.power))
        self.weaker = np.cumsum(self.power[::-1])[::-1] - self.power
        self.spent = (self.logs - ranks * np.log2(self.power)) / (2 * self.count)
        self.kept = ranks * self.power + self.weaker

    def snr(self, bits: float) -> float:
        """The largest SNR in dB at a rate in bits a sample, >= 0."""
        at_least(0, bits=bits)
        k = max(0, int(np.searchsorted(self.spent, bits, side="right")) - 1)
        level = 2 ** ((self.logs[k] - 2 * self.count * bits) / (k + 1))
        distortion = float((k + 1) * level + self.weaker[k])
        return 10 * math.log10(self.total / distortion) if distortion > 0 else math.inf

    def bits(self, snr_db: float) -> float:
        """The least rate in bits a sample at which an SNR in dB is possible."""
        distortion = self.total * 10 ** (-snr_db / 10)
        k = max(0, int(np.searchsorted(-self.kept, -distortion, side="right")) - 1)
        level = (distortion - self.weaker[k]) / (k + 1)
        return max(0.0, float(self.logs[k] - (k + 1) * math.log2(level)) / (2 * self.count))


def rate_bound(spectra: Sequence[NDArray[np.float64]], kbps: float, sample_rate: int) -> float:
    """The largest SNR in dB that a bitrate in kbit/s buys on recordings with these spectra.

    >>> round(rate_bound([np.ones(4)], 16, 16000), 2)
    6.02
    """
    return WaterFilling(spectra).snr(1000 * kbps / sample_rate)


def rate_needed(spectra: Sequence[NDArray[np.float64]], snr_db: float, sample_rate: int) -> float:
    """The least bitrate in kbit/s at which recordings with these spectra can have an SNR in dB.

    >>> round(rate_needed([np.ones(4)], 6.0206, 16000), 2)
    16.0
    """
    return WaterFilling(spectra).bits(snr_db) * sample_rate / 1000
