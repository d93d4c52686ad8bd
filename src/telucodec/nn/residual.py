"""Residual units."""

from collections.abc import Callable

from torch import Tensor, nn

from telucodec.errors import at_least
from telucodec.nn.conv import Conv1d, Norm


class ResidualUnit(nn.Module):
    """x plus a dilated convolution and a pointwise one, each behind an activation.

    Args:
        channels: width of input and output.
        dilation: of the first convolution.
        kernel_size: of the first convolution, odd.
        compress: the inner width is channels / compress.
        activation: built with a number of channels.
        norm: wraps each convolution.

    Shape:
        - Input: [B, channels, T]. Output: the same.

    Source: Zeghidour et al. 2021, arXiv:2107.03312, figure 3; Kumar et al. 2023, arXiv:2306.06546.
    """

    def __init__(
        self,
        channels: int,
        dilation: int,
        *,
        kernel_size: int,
        compress: int,
        activation: Callable[[int], nn.Module],
        norm: Norm,
    ) -> None:
        super().__init__()
        at_least(1, compress=compress, kernel_size=kernel_size)
        inner = max(1, channels // compress)
        self.body = nn.Sequential(
            activation(channels),
            Conv1d(channels, inner, kernel_size=kernel_size, dilation=dilation, norm=norm),
            activation(inner),
            Conv1d(inner, channels, kernel_size=1, norm=norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y
