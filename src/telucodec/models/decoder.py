"""Latent to waveform."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from telucodec.errors import at_least
from telucodec.models.encoder import check_stages
from telucodec.nn.conv import Conv1d, ConvTranspose1d, Norm
from telucodec.nn.residual import ResidualUnit


class Decoder(nn.Module):
    """The encoder's stages backwards: a convolution, then for each stage residual units and a transposed convolution.

    Args:
        strides: as the encoder's, from the waveform on.
        channels: as the encoder's.
        dilations: as the encoder's.
        dim: width D of the latent.
        kernel_size: of the first convolution, and of stages of stride 1.
        unit: builds a residual unit from (channels, dilation).
        activation: builds an activation from a number of channels.
        norm: wraps each convolution.

    Shape:
        - Input: [B, D, F]. Output: [B, 1, F * hop length].

    Source: Tagliasacchi et al. 2020, arXiv:2009.02095; Kumar et al. 2023, arXiv:2306.06546.
    """

    def __init__(
        self,
        *,
        strides: Sequence[int],
        channels: Sequence[int],
        dilations: Sequence[Sequence[int]],
        dim: int,
        kernel_size: int,
        unit: Callable[[int, int], ResidualUnit],
        activation: Callable[[int], nn.Module],
        norm: Norm,
    ) -> None:
        super().__init__()
        check_stages(strides, channels, dilations)
        at_least(1, dim=dim, kernel_size=kernel_size)
        layers: list[nn.Module] = [Conv1d(dim, channels[-1], kernel_size=kernel_size, norm=norm)]
        after = [1, *channels[:-1]]
        for stride, width, below, dilation in list(zip(strides, channels, after, dilations, strict=True))[::-1]:
            layers += [unit(width, d) for d in dilation]
            layers += [activation(width)]
            if stride == 1:
                layers += [Conv1d(width, below, kernel_size=kernel_size, norm=norm)]
            else:
                layers += [ConvTranspose1d(width, below, kernel_size=2 * stride, stride=stride, norm=norm)]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        audio: Tensor = self.layers(latent)
        return audio
