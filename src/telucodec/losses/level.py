"""Terms that compare loudness and offset."""

import torch
from torch import Tensor

from telucodec.errors import above
from telucodec.losses.term import Term
from telucodec.ranks import shared
from telucodec.records import Step


class _RMS(Term):
    """What the two RMS terms share.

    Args:
        weight: see `Term`.
        start: see `Term`.
        eps: added to the mean square under the root, > 0; full scale = 1.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.
    """

    def __init__(self, *, weight: float, start: int, eps: float) -> None:
        super().__init__(weight=weight, start=start)
        above(0, eps=eps)
        self.eps = eps

    def rms(self, audio: Tensor, over: tuple[int, ...]) -> Tensor:
        """Root mean square in float32, [B, C, T] to what is left; over the items, those of all processes."""
        power = audio.float().square().mean(over)
        return ((shared(power) if 0 in over else power) + self.eps).sqrt()


class GlobalRMS(_RMS):
    """Squared difference of two loudnesses: RMS of the whole batch of decoded audio and of targets.

    Args:
        weight: see `Term`.
        start: see `Term`.
        eps: added to the mean square under the root, > 0; full scale = 1.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.

    Source: ours.
    """

    def forward(self, step: Step) -> Tensor:
        every = (0, 1, 2)
        return (self.rms(step.audio, every) - self.rms(step.target, every)).square()


class PerSampleRMS(_RMS):
    """Squared difference of the RMS of decoded audio and target, of each item, averaged over items.

    A stricter wish than `GlobalRMS`, not a stronger push: by the Cauchy-Schwarz inequality its derivative by a gain of
    the output is never the larger one while the output is too quiet.

    Args:
        weight: see `Term`.
        start: see `Term`.
        eps: added to the mean square under the root, > 0; full scale = 1.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.

    Source: ours.
    """

    def forward(self, step: Step) -> Tensor:
        item = (1, 2)
        return torch.mean((self.rms(step.audio, item) - self.rms(step.target, item)).square())


class Offset(Term):
    """Squared difference of the means (DC) of decoded audio and target, of each channel, averaged; full scale = 1.

    Args:
        weight: see `Term`.
        start: see `Term`.

    Shape:
        - Reads `step.audio`, `step.target` [B, C, T]. Output: scalar.

    Source: ours.
    """

    def forward(self, step: Step) -> Tensor:
        return torch.mean((step.audio.float() - step.target.float()).mean(2).square())
