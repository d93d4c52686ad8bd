"""Activations, all constructed with the number of channels that they act on."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from telucodec.errors import above, inside


class Snake(nn.Module):
    """x + sin(alpha x)^2 / alpha with a learned alpha per channel: periodic and monotone.

    Args:
        channels: width of the input.
        alpha: initial value, > 0.

    Shape:
        - Input: [B, channels, T]. Output: the same.

    Source: Ziyin et al. 2020, arXiv:2006.08195, eq. 3.
    """

    def __init__(self, channels: int, *, alpha: float) -> None:
        super().__init__()
        above(0, alpha=alpha)
        self.alpha = nn.Parameter(torch.full((1, channels, 1), float(alpha)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = _Wave.apply(  # type: ignore[no-untyped-call]
            x, self.alpha, (self.alpha + 1e-9).reciprocal()
        )
        return y


class ELU(nn.ELU):
    """Exponential linear unit.

    Args:
        channels: width of the input; all channels are treated alike.
        alpha: the limit for very negative inputs is -alpha, > 0.

    Shape:
        - Input: [B, channels, T]. Output: the same.

    Source: Clevert et al. 2016, arXiv:1511.07289, eq. 15.
    """

    def __init__(self, channels: int, *, alpha: float) -> None:
        above(0, alpha=alpha)
        super().__init__(alpha)
        self.channels = channels


class LeakyReLU(nn.LeakyReLU):
    """x for x > 0, slope * x below.

    Args:
        channels: width of the input; all channels are treated alike.
        slope: for negative inputs, in [0, 1).

    Shape:
        - Input: [B, channels, T]. Output: the same.
    """

    def __init__(self, channels: int, *, slope: float) -> None:
        inside(0, 1, slope=slope)
        super().__init__(slope)
        self.channels = channels


class SnakeBeta(nn.Module):
    """x + sin(a x)^2 / b with a and b learned per channel on a logarithmic scale, so that both stay positive.

    Args:
        channels: width of the input.
        alpha: initial value of a and b, > 0.

    Shape:
        - Input: [B, channels, T]. Output: the same.

    Source: Lee et al. 2023, arXiv:2206.04658, published code; without its resampling filters.
    """

    def __init__(self, channels: int, *, alpha: float) -> None:
        super().__init__()
        above(0, alpha=alpha)
        self.log_alpha = nn.Parameter(torch.full((1, channels, 1), math.log(alpha)))
        self.log_beta = nn.Parameter(torch.full((1, channels, 1), math.log(alpha)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = _Wave.apply(  # type: ignore[no-untyped-call]
            x, self.log_alpha.exp(), (-self.log_beta).exp()
        )
        return y


class ReLU(nn.ReLU):
    """max(x, 0).

    Args:
        channels: width of the input; all channels are treated alike.

    Shape:
        - Input: [B, channels, T]. Output: the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()


class _Wave(torch.autograd.Function):
    """x + sin(a x)^2 b, which keeps nothing for its backward pass but what goes in and out, and works in place.

    Shape:
        - Input: x [B, C, T], a and b [1, C, 1]. Output: [B, C, T].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        y = (a * x).sin_().square_().mul_(b).add_(x)
        ctx.save_for_backward(x, a, b, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, a, b, y = ctx.saved_tensors
        slope = (2 * a * x).sin_().mul_(gradient)  # d sin(a x)^2 = sin(2 a x) d(a x)
        to_x = torch.addcmul(gradient, slope, a * b)
        to_a = slope.mul_(x).sum((0, 2), keepdim=True) * b
        to_b = (y - x).mul_(gradient).sum((0, 2), keepdim=True) / b
        return to_x, to_a, to_b
