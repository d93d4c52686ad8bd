"""Convolutions over two signals at once that treat them as two: decoded audio, and what it should have been.

At the beginning a discriminator says of both nearly what its biases say, and is asked for the opposite of each. What
its biases should learn then cancels, exactly if each signal is summed in the same order, but for rounding if both are
summed as one. Adam divides by the size of a gradient, and would make whole steps of that rounding, other ones on every
number of devices.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F


class HalvesConv1d(nn.Conv1d):
    """`nn.Conv1d` that sums its bias' gradient for each half of a batch.

    Shape:
        - Input: [B, in_channels, T]. Output: [B, out_channels, F].
    """

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv1d(x, self.weight, None, self.stride, self.padding, self.dilation, self.groups)
        return offset(y, self.bias)


class HalvesConv2d(nn.Conv2d):
    """`nn.Conv2d` that sums its bias' gradient for each half of a batch.

    Shape:
        - Input: [B, in_channels, H, W]. Output: [B, out_channels, H', W'].
    """

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.weight, None, self.stride, self.padding, self.dilation, self.groups)
        return offset(y, self.bias)


def offset(y: Tensor, bias: Tensor | None, axis: int = 1) -> Tensor:
    """The sum of y [B, ...] and a bias along one of its axes, written over y.

    The gradient of the bias is one half's of B plus the other's; where B is odd there are no halves, and it is that of
    all.

    >>> offset(torch.zeros(2, 3, 1), torch.tensor([1.0, 2.0, 3.0]))[0, :, 0]
    tensor([1., 2., 3.])
    """
    if bias is None:
        return y
    along = bias.view([-1 if n == axis % y.dim() else 1 for n in range(y.dim())])
    if torch.compiler.is_compiling():  # it makes one kernel of this, and cannot compile what follows
        return torch.cat([half + along for half in _halves(y)]).to(y.dtype)
    whole: Tensor = _Offset.apply(y, along)  # type: ignore[no-untyped-call]
    return whole


def _halves(y: Tensor) -> tuple[Tensor, ...]:
    return y.chunk(2) if len(y) % 2 == 0 else (y,)


class _Offset(Function):
    """A bias added in place, see `offset`.

    Shape:
        - Input: y [B, ...], bias with as many axes, all but one of them 1. Output: that of y.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, bias: Tensor) -> Tensor:
        ctx.rest, ctx.dtype = [n for n, size in enumerate(bias.shape) if size == 1], bias.dtype
        ctx.mark_dirty(y)
        return y.add_(bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        if not ctx.needs_input_grad[1]:  # the discriminators are frozen
            return grad, None
        sums = [half.sum(ctx.rest, keepdim=True, dtype=ctx.dtype) for half in _halves(grad)]
        return grad, torch.stack(sums).sum(0)
