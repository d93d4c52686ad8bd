"""Latent to waveform."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from telucodec.errors import at_least
from telucodec.models.encoder import check_stages
from telucodec.nn.layers import Ends, Layers


class Decoder(nn.Module):
    """The encoder's stages backwards: a convolution, then for each stage residual units and a transposed convolution.

    Args:
        strides: as the encoder's, from the waveform on.
        channels: as the encoder's.
        dilations: as the encoder's.
        dim: width D of the latent.
        ends: kernel sizes of the first convolution and of the stages of stride 1, and whether these have an offset.
        unit: builds a residual unit from (channels, dilation).
        layers: makes convolutions and activations.
        context: builds what stands behind the first convolution, from its width: an LSTM, or nothing.

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
        ends: Ends,
        unit: Callable[[int, int], nn.Module],
        layers: Layers,
        context: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        check_stages(strides, channels, dilations)
        at_least(1, dim=dim)
        self.dim = dim
        stack: list[nn.Module] = [layers.conv(dim, channels[-1], kernel_size=ends.first), context(channels[-1])]
        after = [1, *channels[:-1]]
        for stride, width, below, dilation in list(zip(strides, channels, after, dilations, strict=True))[::-1]:
            stack += [unit(width, d) for d in dilation]
            stack += [layers.activation(width)]
            bias = ends.bias or below > 1
            if stride == 1:
                stack += [layers.conv(width, below, kernel_size=ends.last, bias=bias)]
            else:
                stack += [layers.transposed(width, below, kernel_size=2 * stride, stride=stride, bias=bias)]
        self.layers = nn.Sequential(*stack)

    def forward(self, latent: Tensor) -> Tensor:
        audio: Tensor = self.layers(latent)
        return audio
