"""What is done to audio before any discriminator hears it."""

from typing import Protocol

from torch import Tensor

from telucodec.errors import above


class FrontEnd(Protocol):
    """[B, 1, T] -> [B, 1, T]."""

    def __call__(self, audio: Tensor) -> Tensor: ...


class Unchanged:
    """The audio itself: discriminators hear its level and its mean."""

    def __call__(self, audio: Tensor) -> Tensor:
        return audio


class MeanAndPeak:
    """Audio less its mean, scaled to one peak: discriminators hear neither level nor mean, and teach the codec neither.

    Args:
        peak: largest absolute value after scaling, > 0, full scale = 1.
        floor: added to the peak that is divided by, > 0, full scale = 1.

    Source: the code of Kumar et al. 2023, arXiv:2306.06546 (peak 0.8, floor 1e-9).
    """

    def __init__(self, *, peak: float, floor: float) -> None:
        above(0, peak=peak, floor=floor)
        self.peak, self.floor = peak, floor

    def __call__(self, audio: Tensor) -> Tensor:
        audio = audio - audio.mean(-1, keepdim=True)
        return self.peak * audio / (audio.abs().amax(-1, keepdim=True) + self.floor)
