"""What happens to the decoder's waveform before it is called audio: tanh, output_scale."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from telucodec.errors import above


class OutputScale(nn.Module):
    """Multiply by one learnable number.

    A decoder that ends in a convolution has this freedom already, so the value alone says nothing about loudness.

    Args:
        initial: the value at the start, > 0.

    Shape:
        - Input: [B, C, T]. Output: the same.
    """

    def __init__(self, *, initial: float) -> None:
        super().__init__()
        above(0, initial=initial)
        self.scale = nn.Parameter(torch.tensor(float(initial)))

    def forward(self, audio: Tensor) -> Tensor:
        return self.scale * audio


class Tanh(nn.Module):
    """Bound samples to (-1, 1).

    Shape:
        - Input: [B, C, T]. Output: the same.
    """

    def forward(self, audio: Tensor) -> Tensor:
        return audio.tanh()


class Output(nn.Module):
    """The output stage: modules applied in the order of the configuration; none leaves the waveform as it is.

    Args:
        stages: name -> module from audio to audio.

    Shape:
        - Input: [B, C, T]. Output: the same.
    """

    def __init__(self, *, stages: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)

    def forward(self, audio: Tensor) -> Tensor:
        for stage in self.stages.values():
            audio = stage(audio)
        return audio.float()

    @property
    def output_scale(self) -> float:
        """Product of the scales in force; 1.0 where there is none."""
        return math.prod(float(s.scale.detach()) for s in self.stages.values() if isinstance(s, OutputScale))
