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


def offset(y: Tensor, bias: Tensor | None) -> Tensor:
    """The sum of y [B, C, ...] and bias [C], written over y; the bias' gradient is one half's of B plus the other's.

    Where B is odd there are no halves, and it is that of all.

    >>> offset(torch.zeros(2, 3, 1), torch.tensor([1.0, 2.0, 3.0]))[0, :, 0]
    tensor([1., 2., 3.])
    """
    if bias is None:
        return y
    whole: Tensor = _Offset.apply(y, bias)  # type: ignore[no-untyped-call]
    return whole


class _Offset(Function):
    """A bias added in place, see `offset`.

    Shape:
        - Input: y [B, C, ...], bias [C]. Output: [B, C, ...].
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, bias: Tensor) -> Tensor:
        ctx.dtype = bias.dtype  # of the sums too, where autocast has y in another one
        ctx.mark_dirty(y)
        return y.add_(bias.view(-1, *[1] * (y.dim() - 2)))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        if not ctx.needs_input_grad[1]:  # the discriminators are frozen
            return grad, None
        halves = grad.chunk(2) if len(grad) % 2 == 0 else (grad,)
        return grad, torch.stack([half.flatten(2).sum((0, 2), dtype=ctx.dtype) for half in halves]).sum(0)
