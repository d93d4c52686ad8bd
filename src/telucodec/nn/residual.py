"""Residual units."""

from torch import Tensor, nn

from telucodec.errors import at_least
from telucodec.nn.layers import Layers


class ResidualUnit(nn.Module):
    """x plus a dilated convolution and a pointwise one, each behind an activation.

    Args:
        channels: width of input and output.
        dilation: of the first convolution.
        kernel_size: of the first convolution, odd.
        compress: the inner width is channels / compress.
        layers: makes convolutions and activations.

    Shape:
        - Input: [B, channels, T]. Output: the same.

    Source: Zeghidour et al. 2021, arXiv:2107.03312, figure 3; Kumar et al. 2023, arXiv:2306.06546.
    """

    def __init__(self, channels: int, dilation: int, *, kernel_size: int, compress: int, layers: Layers) -> None:
        super().__init__()
        at_least(1, compress=compress, kernel_size=kernel_size)
        inner = max(1, channels // compress)
        self.body = nn.Sequential(
            layers.activation(channels),
            layers.conv(channels, inner, kernel_size=kernel_size, dilation=dilation),
            layers.activation(inner),
            layers.conv(inner, channels, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


class MixedResidualUnit(ResidualUnit):
    """A residual unit whose shortcut is a pointwise convolution instead of x itself.

    Args:
        channels: width of input and output.
        dilation: of the first convolution.
        kernel_size: of the first convolution, odd.
        compress: the inner width is channels / compress.
        layers: makes convolutions and activations.

    Shape:
        - Input: [B, channels, T]. Output: the same.

    Source: the published code of Defossez et al. 2022, arXiv:2210.13438.
    """

    def __init__(self, channels: int, dilation: int, *, kernel_size: int, compress: int, layers: Layers) -> None:
        super().__init__(channels, dilation, kernel_size=kernel_size, compress=compress, layers=layers)
        self.shortcut = layers.conv(channels, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.body(x)
        return y
