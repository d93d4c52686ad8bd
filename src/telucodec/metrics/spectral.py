"""Distances between spectra."""

import torch
from torch import Tensor

from telucodec.audio.stft import log_mel
from telucodec.errors import above, at_least, at_most

MOST_FFT, MOST_MELS = 1 << 16, 1024  # with more, the matrix between them alone may fill a memory


class MelDistance:
    """Mean absolute difference of natural-log mel spectra, one resolution.

    Args:
        n_fft: window length in samples, 16 to 65536; the hop is a quarter of it.
        n_mels: number of mel bands from 0 Hz to the Nyquist frequency, 1 to 1024.
        floor: magnitudes below it count as it, > 0.

    Shape:
        - Input: target and audio [B, C, T], sample rate in Hz. Output: {"mel_distance": >= 0}.
    """

    def __init__(self, *, n_fft: int, n_mels: int, floor: float) -> None:
        above(0, floor=floor)
        at_least(16, n_fft=n_fft)
        at_least(1, n_mels=n_mels)
        at_most(MOST_FFT, n_fft=n_fft)
        at_most(MOST_MELS, n_mels=n_mels)
        self.n_fft, self.n_mels, self.floor = n_fft, n_mels, floor

    @torch.no_grad()
    def __call__(self, target: Tensor, audio: Tensor, sample_rate: int) -> dict[str, float]:
        spectra = [
            log_mel(x, sample_rate, self.n_fft, self.n_fft // 4, self.n_mels, self.floor) for x in (target, audio)
        ]
        return {"mel_distance": float((spectra[0] - spectra[1]).abs().mean())}

    def describe(self) -> dict[str, object]:
        """What decides the figure, for the record."""
        frames = f"n_fft {self.n_fft}, hop {self.n_fft // 4}"
        return {"mel_distance": f"natural log, {frames}, {self.n_mels} mels, floor {self.floor}"}
