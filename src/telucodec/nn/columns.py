"""Convolutions that a CPU computes as one matrix product over columns where that is faster; a GPU never does.

A column holds all inputs of one output position, so that weights are used as they lie. A library for convolutions
brings them into an order of its own at every call: where they are many and the positions few (the innermost layers of a
codec, on short crops), that takes longer than the arithmetic. And without AVX-512 its kernels leave most of a register
empty where the last axis is narrow. benchmarks/columns.py measures both.
"""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from telucodec.nn.halves import HalvesConv2d, offset

FEW = 128  # positions of a whole batch
MANY = 2**17  # weights of a layer
NARROW = torch.backends.cpu.get_cpu_capability() == "AVX2"  # where narrow signals are slow


class ColumnConv1d(nn.Conv1d):
    """`nn.Conv1d` without padding.

    Shape:
        - Input: [B, in_channels, T]. Output: [B, out_channels, F].
    """

    def forward(self, x: Tensor) -> Tensor:
        span = (self.kernel_size[0] - 1) * self.dilation[0] + 1
        positions = len(x) * ((x.shape[-1] - span) // self.stride[0] + 1)
        if not (_many(self, x) and positions <= FEW):
            return super().forward(x)
        pieces = x.unfold(2, span, self.stride[0])[..., :: self.dilation[0]]  # [B, C, F, k]
        return F.linear(pieces.transpose(1, 2).flatten(-2), self.weight.flatten(1), self.bias).transpose(1, 2)


class ColumnConvTranspose1d(nn.ConvTranspose1d):
    """`nn.ConvTranspose1d`.

    Shape:
        - Input: [B, in_channels, F]. Output: [B, out_channels, (F - 1) stride + kernel_size - 2 padding].
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        batch, _, frames = x.shape
        assert not isinstance(self.padding, str)
        if self.groups > 1 or output_size or not (_many(self, x) and batch * frames <= FEW):
            return super().forward(x, output_size)
        kernel, stride, padding = self.kernel_size[0], self.stride[0], self.padding[0]
        pieces = (x.transpose(1, 2) @ self.weight.flatten(1)).transpose(1, 2)  # [B, out_channels k, F]
        samples = (frames - 1) * stride + kernel - 2 * padding
        y = F.fold(pieces, (1, samples), (1, kernel), padding=(0, padding), stride=(1, stride)).squeeze(2)
        return y if self.bias is None else y + self.bias[:, None].to(y.dtype)  # autocast leaves a sum alone


class ColumnConv2d(HalvesConv2d):
    """`HalvesConv2d` along the first of two axes alone: kernel [k, 1].

    Shape:
        - Input: [B, in_channels, T, P]. Output: [B, out_channels, F, P].
    """

    def forward(self, x: Tensor) -> Tensor:
        assert not isinstance(self.padding, str)
        (taps, _), (stride, _), (padding, _) = self.kernel_size, self.stride, self.padding
        positions = len(x) * ((x.shape[2] + 2 * padding - taps) // stride + 1) * x.shape[3]
        if not (_many(self, x) and (NARROW or positions <= FEW)):
            return super().forward(x)
        pieces = F.pad(x, (0, 0, padding, padding)).unfold(2, taps, stride)  # [B, C, F, P, k]
        y = F.linear(pieces.permute(0, 2, 3, 1, 4).flatten(-2), self.weight.flatten(1))
        return offset(y, self.bias, -1).permute(0, 3, 1, 2)


def _many(layer: nn.Conv1d | nn.ConvTranspose1d | nn.Conv2d, x: Tensor) -> bool:
    # counted, not looked at: a weight that is normalised is computed whenever it is read
    weights = layer.in_channels * layer.out_channels * prod(layer.kernel_size) // layer.groups
    return x.device.type == "cpu" and weights >= MANY
