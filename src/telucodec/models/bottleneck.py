"""A lower frame rate, and context between frames, around the quantizer."""

from collections.abc import Callable

from torch import Tensor, nn

from telucodec.errors import at_least
from telucodec.models.decoder import Decoder
from telucodec.models.encoder import Encoder
from telucodec.nn.conv import Conv1d, ConvTranspose1d
from telucodec.nn.norm import no_norm
from telucodec.nn.padding import Causal


class Narrowed(nn.Module):
    """An encoder, context between its frames, and a convolution that lowers the frame rate.

    Args:
        encoder: waveform to frames.
        dim: width D of the latent: that of the encoder.
        context: builds what stands between them from D: a transformer, or nothing.
        stride: of the convolution, >= 1; its kernel is twice as long.

    Shape:
        - Input: [B, 1, T]. Output: [B, D, F].

    Source: Defossez et al. 2024, arXiv:2410.00037, section 3.3.
    """

    def __init__(self, *, encoder: Encoder, dim: int, context: Callable[[int], nn.Module], stride: int) -> None:
        super().__init__()
        at_least(1, stride=stride)
        check_width(encoder.dim, dim)
        self.dim, self.strides = dim, (*encoder.strides, stride)
        self.encoder, self.context = encoder, context(dim)
        self.down = Conv1d(
            dim, dim, kernel_size=2 * stride, stride=stride, bias=False, norm=no_norm, padding=Causal(fill="replicate")
        )

    def forward(self, audio: Tensor) -> Tensor:
        encoded: Tensor = self.down(self.context(self.encoder(audio)))
        return encoded


class Widened(nn.Module):
    """`Narrowed` backwards: a transposed convolution on each channel alone, context, and a decoder.

    Args:
        decoder: frames to waveform.
        dim: width D of the latent: that of the decoder.
        context: builds what stands between them from D: a transformer, or nothing.
        stride: of the convolution, >= 1; its kernel is twice as long.

    Shape:
        - Input: [B, D, F]. Output: [B, 1, T].

    Source: Defossez et al. 2024, arXiv:2410.00037, section 3.3.
    """

    def __init__(self, *, decoder: Decoder, dim: int, context: Callable[[int], nn.Module], stride: int) -> None:
        super().__init__()
        at_least(1, stride=stride)
        check_width(decoder.dim, dim)
        self.dim = dim
        self.up = ConvTranspose1d(
            dim, dim, kernel_size=2 * stride, stride=stride, groups=dim, bias=False, norm=no_norm,
            padding=Causal(fill="zeros"),
        )  # fmt: skip
        self.context, self.decoder = context(dim), decoder

    def forward(self, latent: Tensor) -> Tensor:
        audio: Tensor = self.decoder(self.context(self.up(latent)))
        return audio


def check_width(inner: int, dim: int) -> None:
    """Hold the width of a network against that of what is built around it.

    Raises:
        ValueError: they differ.
    """
    if inner != dim:
        raise ValueError(f"the network inside has dim {inner}, what is around it {dim}: set them alike")
