"""Terms that compare short-time spectra; those on a mel scale are in mel.py, but for `MultiScaleMel`."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from telucodec.audio.stft import log_mel, magnitude, stft
from telucodec.errors import above, at_least
from telucodec.losses.term import Term
from telucodec.ranks import norm
from telucodec.records import Step

Precision = Literal["float32", "float16", "bfloat16"]
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


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


class MultiScaleSTFT(Term):
    """What terms on magnitude spectra of several resolutions share; the hop is a quarter of each window.

    Args:
        weight: see `Term`.
        start: see `Term`.
        n_ffts: window lengths in samples, each >= 16.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.
    """

    def __init__(self, *, weight: float, start: int, n_ffts: Sequence[int]) -> None:
        super().__init__(weight=weight, start=start)
        at_least(16, n_ffts=n_ffts)
        self.n_ffts = list(n_ffts)

    def distances(self, step: Step) -> Tensor:
        """The distance of each resolution, [number of them]."""
        pairs = [(self.spectrum(step.audio, n), self.spectrum(step.target, n)) for n in self.n_ffts]
        return torch.stack([self.distance(audio, target) for audio, target in pairs])

    def spectrum(self, audio: Tensor, n_fft: int) -> Tensor:
        """Magnitudes, [B, C, n_fft // 2 + 1, F]."""
        return magnitude(stft(audio, n_fft, n_fft // 4))

    def distance(self, audio: Tensor, target: Tensor) -> Tensor:
        """The distance of two magnitude spectra, a scalar."""
        raise NotImplementedError


class STFTDistance(MultiScaleSTFT):
    """L1 distance of linear magnitude spectra, summed over resolutions and divided by a number.

    Args:
        weight: see `Term`.
        start: see `Term`.
        n_ffts: window lengths in samples, each >= 16.
        divisor: the sum is divided by it, > 0; 1 keeps the sum, the number of windows gives their mean.
        compute: what the spectra are rounded to, and their power and distance are computed in. In float16 a magnitude
            above 255 overflows when it is squared, and the distance of two such is NaN. The transform itself always
            runs in float32.
        returned: what the value is rounded to.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.

    Source: ours.
    """

    def __init__(
        self,
        *,
        weight: float,
        start: int,
        n_ffts: Sequence[int],
        divisor: float,
        compute: Precision,
        returned: Precision,
    ) -> None:
        super().__init__(weight=weight, start=start, n_ffts=n_ffts)
        above(0, divisor=divisor)
        self.divisor = divisor
        self.compute, self.returned = DTYPES[compute], DTYPES[returned]

    def forward(self, step: Step) -> Tensor:
        return (self.distances(step).sum() / self.divisor).to(self.returned)

    def spectrum(self, audio: Tensor, n_fft: int) -> Tensor:
        if self.compute is torch.float32:
            return super().spectrum(audio, n_fft)
        parts = torch.view_as_real(stft(audio, n_fft, n_fft // 4)).to(self.compute)
        power = parts[..., 0].square() + parts[..., 1].square()
        silent = power == 0  # where the root's slope is infinite
        return power.masked_fill(silent, 1).sqrt().masked_fill(silent, 0)

    def distance(self, audio: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(audio, target)


class LinearLogSTFT(MultiScaleSTFT):
    """L1 distance of magnitude spectra plus that of the log10 of their power, summed over resolutions.

    Args:
        weight: see `Term`.
        start: see `Term`.
        n_ffts: window lengths in samples, each >= 16.
        floor: magnitudes below it count as it in the logarithm, > 0.
        power: to which magnitudes are raised in the logarithm, > 0; it multiplies that half of the sum.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.

    Source: Engel et al. 2020, arXiv:2001.04643, eq. 4, with the numbers of Kumar et al. 2023, arXiv:2306.06546.
    """

    def __init__(self, *, weight: float, start: int, n_ffts: Sequence[int], floor: float, power: float) -> None:
        super().__init__(weight=weight, start=start, n_ffts=n_ffts)
        above(0, floor=floor, power=power)
        self.floor, self.power = floor, power

    def forward(self, step: Step) -> Tensor:
        return self.distances(step).sum()

    def distance(self, audio: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(self._decades(audio), self._decades(target)) + F.l1_loss(audio, target)

    def _decades(self, magnitudes: Tensor) -> Tensor:
        return magnitudes.clamp(min=self.floor).pow(self.power).log10()


class ConvergenceSTFT(MultiScaleSTFT):
    """Spectral convergence plus L1 distance of log magnitudes, averaged over resolutions.

    Spectral convergence is the norm of the difference of two magnitude spectra over that of the target's.

    Args:
        weight: see `Term`.
        start: see `Term`.
        n_ffts: window lengths in samples, each >= 16.
        floor: magnitudes below it count as it, > 0.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.

    Source: Yamamoto et al. 2020, arXiv:1910.11480, eq. 4-6.
    """

    def __init__(self, *, weight: float, start: int, n_ffts: Sequence[int], floor: float) -> None:
        super().__init__(weight=weight, start=start, n_ffts=n_ffts)
        above(0, floor=floor)
        self.floor = floor

    def forward(self, step: Step) -> Tensor:
        return self.distances(step).mean()

    def spectrum(self, audio: Tensor, n_fft: int) -> Tensor:
        return super().spectrum(audio, n_fft).clamp(min=self.floor)

    def distance(self, audio: Tensor, target: Tensor) -> Tensor:
        error, whole = (norm(torch.linalg.vector_norm(x)) for x in (audio - target, target))
        return error / whole + F.l1_loss(audio.log(), target.log())
