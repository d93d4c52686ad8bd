"""Terms that compare samples."""

import torch
from torch import Tensor
from torch.nn import functional as F

from telucodec.errors import inside
from telucodec.losses.term import Term
from telucodec.records import Step


class Waveform(Term):
    """What waveform terms share: the error signal, optionally pre-emphasised.

    Args:
        weight: see `Term`.
        start: see `Term`.
        emphasis: the error's previous sample times this is subtracted from each sample, in [0, 1); 0 compares plain
            samples, 0.95 makes errors at high frequencies count as much as the ear does.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.
    """

    def __init__(self, *, weight: float, start: int, emphasis: float) -> None:
        super().__init__(weight=weight, start=start)
        inside(0, 1, emphasis=emphasis)
        self.emphasis = emphasis

    def error(self, step: Step) -> Tensor:
        """Decoded minus target samples, [B, C, T], in float32."""
        error = step.audio.float() - step.target.float()
        return error - self.emphasis * F.pad(error, (1, -1)) if self.emphasis else error


class L1(Waveform):
    """Mean absolute sample error, full scale = 1. Its best output is the conditional median: quieter than the mean.

    Args:
        weight: see `Term`.
        start: see `Term`.
        emphasis: see `Waveform`.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.
    """

    def forward(self, step: Step) -> Tensor:
        return self.error(step).abs().mean()


class MSE(Waveform):
    """Mean squared sample error, full scale = 1. Its best output is the conditional mean: RMS ratio = correlation.

    Args:
        weight: see `Term`.
        start: see `Term`.
        emphasis: see `Waveform`.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.
    """

    def forward(self, step: Step) -> Tensor:
        return torch.mean(self.error(step).square())
