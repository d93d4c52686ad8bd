"""What happens to the decoder's waveform before it is called audio: post-net, bounds, scales, the mean."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from telucodec.errors import above, at_least
from telucodec.nn.conv import Norm


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
        return self.factor() * audio

    def factor(self) -> Tensor:
        """The number, a scalar."""
        return self.scale


class LogOutputScale(OutputScale):
    """Multiply by one learnable number, learned as its logarithm: a step changes it by a share of itself.

    Args:
        initial: the value at the start, > 0.

    Shape:
        - Input: [B, C, T]. Output: the same.
    """

    def __init__(self, *, initial: float) -> None:
        super().__init__(initial=initial)
        self.scale = nn.Parameter(torch.tensor(math.log(initial)))

    def factor(self) -> Tensor:
        return self.scale.exp()


class FixedScale(OutputScale):
    """Multiply by one number that is never learned.

    Args:
        initial: the number, > 0.

    Shape:
        - Input: [B, C, T]. Output: the same.
    """

    def __init__(self, *, initial: float) -> None:
        super().__init__(initial=initial)
        self.scale.requires_grad_(False)


class Tanh(nn.Module):
    """Bound samples to (-1, 1).

    Shape:
        - Input: [B, C, T]. Output: the same.
    """

    def forward(self, audio: Tensor) -> Tensor:
        return audio.tanh()


class Clamp(nn.Module):
    """Cut samples off at a limit; beyond it the gradient is zero.

    Args:
        limit: largest magnitude, > 0.

    Shape:
        - Input: [B, C, T]. Output: the same.
    """

    def __init__(self, *, limit: float) -> None:
        super().__init__()
        above(0, limit=limit)
        self.limit = limit

    def forward(self, audio: Tensor) -> Tensor:
        return audio.clamp(-self.limit, self.limit)


class RemoveMean(nn.Module):
    """Subtract each channel's mean over time, so that no constant offset is left.

    Shape:
        - Input: [B, C, T]. Output: the same.
    """

    def forward(self, audio: Tensor) -> Tensor:
        return audio - audio.mean(-1, keepdim=True)


class PostNet(nn.Module):
    """Two convolutions at full rate with a norm and tanh between them: conv, norm, tanh, conv.

    Args:
        width: channels between the two, >= 1.
        kernel_size: of both, odd.
        channel_norm: builds the norm between them from its width, see telucodec.nn.norm.
        norm: wraps each convolution, see telucodec.nn.norm.
        bias: whether the last convolution has an offset.

    Shape:
        - Input: [B, 1, T]. Output: the same.

    Source: the post-net of Shen et al. 2018, arXiv:1712.05884, cut down to what the seed documents quote.
    """

    def __init__(
        self, *, width: int, kernel_size: int, channel_norm: Callable[[int], nn.Module], norm: Norm, bias: bool
    ) -> None:
        super().__init__()
        at_least(1, width=width, kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size of the post-net must be odd, got {kernel_size}")
        self.rise = norm(nn.Conv1d(1, width, kernel_size, padding=kernel_size // 2))
        self.norm = channel_norm(width)
        self.fall = norm(nn.Conv1d(width, 1, kernel_size, padding=kernel_size // 2, bias=bias))

    def forward(self, audio: Tensor) -> Tensor:
        y: Tensor = self.fall(self.norm(self.rise(audio)).tanh())
        return y


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
        return math.prod(float(s.factor().detach()) for s in self.stages.values() if isinstance(s, OutputScale))
