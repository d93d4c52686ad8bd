"""The multi-resolution discriminator of magnitude spectra."""

from collections.abc import Sequence

from torch import Tensor, nn

from telucodec.adversarial.layers import Heard, listen, verdict
from telucodec.audio.stft import magnitude, stft
from telucodec.errors import at_least, inside
from telucodec.nn.conv import Norm
from telucodec.nn.halves import HalvesConv2d
from telucodec.records import Verdict


class MagnitudeDiscriminator(nn.Module):
    """Two-dimensional convolutions on the magnitude of one short-time spectrum: it does not hear phase.

    Layers: kernel 5, stride 2 in time and frequency to each width but the last; kernel 3 to the last, and to one logit.
    The magnitudes are neither scaled nor clipped; BigCodec clips them at 10**1.5.

    Args:
        n_fft: window and transform length in samples; the hop is a quarter of it.
        channels: widths of the hidden layers.
        slope: of the leaky rectifiers below zero.
        norm: wraps each convolution.

    Shape:
        - Input: [B, 1, T]. Output: logits [B, 1, time, frequency] and one feature map a hidden layer.

    Source: Xin et al. 2024, arXiv:2409.05377, section 3.3, and its code.
    """

    def __init__(self, *, n_fft: int, channels: Sequence[int], slope: float, norm: Norm) -> None:
        super().__init__()
        at_least(16, n_fft=n_fft)
        at_least(1, channels=channels)
        inside(0, 1, slope=slope)
        self.n_fft, self.slope = n_fft, slope
        shapes = [(5, 2)] * (len(channels) - 1) + [(3, 1)]
        self.layers = nn.ModuleList(
            norm(HalvesConv2d(before, after, kernel, stride, kernel // 2))
            for before, after, (kernel, stride) in zip([1, *channels[:-1]], channels, shapes, strict=True)
        )
        self.head = norm(HalvesConv2d(channels[-1], 1, 3, padding=1))

    def forward(self, audio: Tensor) -> Heard:
        x = magnitude(stft(audio, self.n_fft, self.n_fft // 4)).transpose(-1, -2)
        features = listen(self.layers, x, self.slope)
        return self.head(features[-1]), features


class MultiResolutionMagnitude(nn.Module):
    """A `MagnitudeDiscriminator` at each of several resolutions.

    Args:
        n_ffts: transform lengths in samples.
        channels: widths of the hidden layers of each member.
        slope: of the leaky rectifiers below zero.
        norm: wraps each convolution.

    Shape:
        - Input: [B, 1, T]. Output: `Verdict` with one entry a resolution.

    Source: Xin et al. 2024, arXiv:2409.05377, section 3.3, and its code.
    """

    def __init__(self, *, n_ffts: Sequence[int], channels: Sequence[int], slope: float, norm: Norm) -> None:
        super().__init__()
        at_least(16, n_ffts=n_ffts)
        self.members = nn.ModuleList(
            MagnitudeDiscriminator(n_fft=n_fft, channels=channels, slope=slope, norm=norm) for n_fft in n_ffts
        )

    def forward(self, audio: Tensor) -> Verdict:
        return verdict(member(audio) for member in self.members)
