"""Terms that compare spectra."""

from collections.abc import Sequence

import torch
from torch import Tensor

from telucodec.audio.stft import log_mel
from telucodec.errors import above, at_least
from telucodec.losses.term import Term
from telucodec.records import Step


class MultiScaleMel(Term):
    """L1 distance of log10 mel spectra, summed over resolutions; the hop is a quarter of each window.

    Args:
        weight: see `Term`.
        start: see `Term`.
        sample_rate: in Hz.
        n_ffts: window lengths in samples.
        n_mels: number of mel bands, one for each window.
        floor: magnitudes below it count as it, > 0.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.

    Source: Kumar et al. 2023, arXiv:2306.06546, section 3.4, with its magnitude term at weight 0.
    """

    def __init__(
        self, *, weight: float, start: int, sample_rate: int, n_ffts: Sequence[int], n_mels: Sequence[int], floor: float
    ) -> None:
        super().__init__(weight=weight, start=start)
        if len(n_ffts) != len(n_mels):
            raise ValueError(f"n_ffts and n_mels must have the same length, got {list(n_ffts)} and {list(n_mels)}")
        above(0, floor=floor, sample_rate=sample_rate)
        at_least(16, n_ffts=n_ffts)
        at_least(1, n_mels=n_mels)
        self.sample_rate, self.floor = sample_rate, floor
        self.scales = list(zip(n_ffts, n_mels, strict=True))

    def forward(self, step: Step) -> Tensor:
        ten = 2.302585092994046  # log(10): decades, as the published weight of 15 expects
        return torch.stack([self._distance(step, n_fft, n_mels) / ten for n_fft, n_mels in self.scales]).sum()

    def _distance(self, step: Step, n_fft: int, n_mels: int) -> Tensor:
        with torch.no_grad():
            target = log_mel(step.target, self.sample_rate, n_fft, n_fft // 4, n_mels, self.floor)
        audio = log_mel(step.audio, self.sample_rate, n_fft, n_fft // 4, n_mels, self.floor)
        return (audio - target).abs().mean()
