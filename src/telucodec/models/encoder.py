"""Waveform to latent."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from telucodec.errors import at_least, at_most
from telucodec.nn.layers import Ends, Layers

FARTHEST = 1 << 16  # samples between the taps of a residual unit: seconds of audio


class Encoder(nn.Module):
    """Stages of one convolution and residual units, then a context layer and a convolution to the latent.

    A stage of stride s > 1 has kernel 2 s, one of stride 1 has kernel `ends.first`. A first stage of stride 1 makes
    this the encoder of SEANet, EnCodec and DAC; a first stage of a larger stride saves the costly layers at full rate.

    Args:
        strides: of each stage, from the waveform on; their product is the hop length.
        channels: output width of each stage.
        dilations: of the residual units of each stage, 1 to 65536 samples; an empty list means none.
        dim: width D of the latent.
        ends: kernel sizes of the stages of stride 1 and of the last convolution.
        unit: builds a residual unit from (channels, dilation).
        layers: makes convolutions and activations.
        context: builds what stands before the last convolution, from its width: an LSTM, or nothing.

    Shape:
        - Input: [B, 1, T] with T a multiple of the hop length. Output: [B, D, F].

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
        self.dim, self.strides = dim, tuple(strides)
        stack: list[nn.Module] = []
        before = 1
        for stride, width, dilation in zip(strides, channels, dilations, strict=True):
            kernel = ends.first if stride == 1 else 2 * stride
            stack += [layers.activation(before)] if before > 1 else []
            stack += [layers.conv(before, width, kernel_size=kernel, stride=stride)]
            stack += [unit(width, d) for d in dilation]
            before = width
        stack += [context(before), layers.activation(before)]
        stack += [layers.conv(before, dim, kernel_size=ends.last, bias=ends.bias)]
        self.layers = nn.Sequential(*stack)

    def forward(self, audio: Tensor) -> Tensor:
        encoded: Tensor = self.layers(audio)
        return encoded


def check_stages(strides: Sequence[int], channels: Sequence[int], dilations: Sequence[Sequence[int]]) -> None:
    """Hold the lists that describe stages against each other.

    Raises:
        ValueError: they differ in length, a stride, width or dilation is not positive, or a dilation is too large.
    """
    if not len(strides) == len(channels) == len(dilations):
        lengths = f"{len(strides)} strides, {len(channels)} channels, {len(dilations)} dilations"
        raise ValueError(f"strides, channels and dilations need one entry a stage, got {lengths}")
    at_least(1, strides=strides, channels=channels)
    for dilation in (each for stage in dilations for each in stage):
        at_least(1, dilations=dilation)
        at_most(FARTHEST, dilations=dilation)
