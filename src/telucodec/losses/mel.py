"""Terms that compare mel spectra by L1 and L2 together."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from telucodec.audio.stft import mel_filters, stft
from telucodec.errors import above, at_least, inside
from telucodec.losses.term import Term
from telucodec.precision import in_float32
from telucodec.records import Step


class LinearLogMel(Term):
    """L1 of mel power spectra plus L2 of their log10, averaged over resolutions and halved.

    Mel filters of height 1 on the HTK scale; one frame a hop, of a quarter of each window.

    Args:
        weight: see `Term`.
        start: see `Term`.
        sample_rate: in Hz.
        n_ffts: window lengths in samples, each >= 16.
        n_mels: number of mel bands at every resolution; those too narrow for a short window stay empty and equal.
        lowest: where the first band begins, Hz, in [0, sample_rate / 2).
        floor: added to the power before the logarithm, > 0.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.

    Source: Defossez et al. 2022, arXiv:2210.13438, section 3.4, as audiocraft (commit bf70522) computes it:
        `MultiScaleMelSpectrogramLoss` with normalized=true and alphas=false.
    """

    def __init__(
        self,
        *,
        weight: float,
        start: int,
        sample_rate: int,
        n_ffts: Sequence[int],
        n_mels: int,
        lowest: float,
        floor: float,
    ) -> None:
        super().__init__(weight=weight, start=start)
        above(0, sample_rate=sample_rate, floor=floor)
        at_least(16, n_ffts=n_ffts)
        at_least(1, n_mels=n_mels)
        inside(0, sample_rate / 2, lowest=lowest)
        self.sample_rate, self.n_ffts, self.n_mels = sample_rate, list(n_ffts), n_mels
        self.lowest, self.floor = lowest, floor

    def forward(self, step: Step) -> Tensor:
        pairs = [(self._mel(step.audio, n), self._mel(step.target, n)) for n in self.n_ffts]
        each = [F.l1_loss(a, t) + F.mse_loss((self.floor + a).log10(), (self.floor + t).log10()) for a, t in pairs]
        return torch.stack(each).mean() / 2

    def _mel(self, audio: Tensor, n_fft: int) -> Tensor:
        spectrum = torch.view_as_real(stft(audio, n_fft, n_fft // 4, scaled=True, centred=False))
        with in_float32(audio.device):
            filters = mel_filters(
                self.sample_rate,
                n_fft,
                self.n_mels,
                audio.device,
                lowest=self.lowest,
                equal_area=False,
                scale="htk",
            )
            return filters @ spectrum.square().sum(-1)


class GuardedLogMel(Term):
    """L1 plus L2 distance of log(guard + mel magnitude), averaged over resolutions.

    Mel filters of height 1 on the Slaney scale; the hop is a quarter of each window. A guard far above the magnitudes
    makes the logarithm nearly linear, and the distance nearly blind to quiet parts.

    Args:
        weight: see `Term`.
        start: see `Term`.
        sample_rate: in Hz.
        n_ffts: window lengths in samples, each >= 16.
        n_mels: number of mel bands at every resolution.
        guard: added to mel magnitudes before the natural logarithm, > 0.
        power_guard: added to the power of each bin before its root, > 0; it keeps the gradient finite.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.

    Source: NeMo's `MultiResolutionMelLoss`, its L1 and L2 at equal weight; our window is periodic, theirs symmetric.
    """

    def __init__(
        self,
        *,
        weight: float,
        start: int,
        sample_rate: int,
        n_ffts: Sequence[int],
        n_mels: int,
        guard: float,
        power_guard: float,
    ) -> None:
        super().__init__(weight=weight, start=start)
        above(0, sample_rate=sample_rate, guard=guard, power_guard=power_guard)
        at_least(16, n_ffts=n_ffts)
        at_least(1, n_mels=n_mels)
        self.sample_rate, self.n_ffts, self.n_mels = sample_rate, list(n_ffts), n_mels
        self.guard, self.power_guard = guard, power_guard

    def forward(self, step: Step) -> Tensor:
        pairs = [(self._mel(step.audio, n), self._mel(step.target, n)) for n in self.n_ffts]
        return torch.stack([F.l1_loss(a, t) + F.mse_loss(a, t) for a, t in pairs]).mean()

    def _mel(self, audio: Tensor, n_fft: int) -> Tensor:
        power = torch.view_as_real(stft(audio, n_fft, n_fft // 4)).square().sum(-1)
        with in_float32(audio.device):
            filters = mel_filters(self.sample_rate, n_fft, self.n_mels, audio.device, equal_area=False)
            return (filters @ (power + self.power_guard).sqrt() + self.guard).log()
