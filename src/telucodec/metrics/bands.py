"""Level figures by frequency."""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len, rfft
from torch import Tensor

from telucodec.metrics.level import Moments

LOWEST = 500  # Hz, upper edge of the first band; the next ones are an octave each


def band_edges(sample_rate: int) -> list[float]:
    """Edges in Hz from 0 to the Nyquist frequency.

    >>> band_edges(16000), band_edges(600)
    ([0, 500, 1000, 2000, 4000, 8000.0], [0, 300.0])
    """
    nyquist = sample_rate / 2
    edges: list[float] = [0]
    while (edge := LOWEST * 2 ** (len(edges) - 1)) < nyquist:
        edges.append(edge)
    return [*edges, nyquist]


class Bands:
    """Sums over utterances of what lies in each band, and what they say.

    Bands are cut from the discrete Fourier transform of the whole utterance about its mean, in float64: they do not
    overlap, and their powers add up to the whole. Offsets are left out.

    Args:
        sample_rate: of all audio, Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate, self.edges = sample_rate, band_edges(sample_rate)
        self.moments = [Moments(0, 0, 0, 0, 0, 0) for _ in self.edges[1:]]

    def add(self, target: Tensor, audio: Tensor) -> None:
        """Count one utterance: target and audio [1, 1, T]."""
        y, x = (signal.detach().cpu().double().flatten().numpy() for signal in (target, audio))
        if not len(y):
            return
        size = next_fast_len(len(y), real=True)  # zeros behind a signal without a mean change neither power nor mean
        spectra = [_spectrum(signal, size) for signal in (y, x - y)]
        bins = [1, *(math.ceil(edge * size / self.sample_rate) for edge in self.edges[1:-1]), size // 2 + 1]
        for band, (low, high) in enumerate(pairwise(bins)):
            own, error = (spectrum[2 * low : 2 * high] for spectrum in spectra)
            self.moments[band] += Moments(len(y), 0, 0, float(own @ own), float(error @ error), float(own @ error))

    def include(self, other: "Bands") -> None:
        """Count what another has counted."""
        self.moments = [one + more for one, more in zip(self.moments, other.moments, strict=True)]

    def figures(self) -> dict[str, float]:
        """`band/<low>-<high>/<figure>`, edges in Hz, over all samples.

        rho, rms_ratio and snr (dB) are those of the signals that hold this band alone; noise_share and target_share are
        its parts of the noise and of the target, which sum to 1 over the bands.
        """
        if not self.moments[0].samples:
            return {}
        noise, power = sum(m.error_error for m in self.moments), sum(m.target_target for m in self.moments)
        found: dict[str, float] = {}
        for (low, high), moments in zip(pairwise(self.edges), self.moments, strict=True):
            band, figures = f"band/{low:g}-{high:g}", moments.figures()
            found |= {f"{band}/{name}": figures[name] for name in ("rho", "rms_ratio", "snr")}
            found[f"{band}/noise_share"] = moments.error_error / noise if noise != 0 else 0.0
            found[f"{band}/target_share"] = moments.target_target / power if power != 0 else 0.0
        return found


def _spectrum(signal: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Real and imaginary parts by turns of the spectrum about the mean; their squares sum to the signal's."""
    with np.errstate(invalid="ignore"):  # an infinite sample becomes NaN everywhere, and shows
        spectrum = rfft(signal - signal.mean(), size) * math.sqrt(2 / size)
    if size % 2 == 0:
        spectrum[-1] *= math.sqrt(0.5)  # the Nyquist frequency stands once in a whole spectrum, the others twice
    return spectrum.view(np.float64)
