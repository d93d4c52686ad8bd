"""The multi-resolution STFT discriminator."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from telucodec.adversarial.layers import Heard, listen, verdict
from telucodec.audio.stft import stft
from telucodec.errors import at_least, inside
from telucodec.nn.conv import Norm
from telucodec.nn.halves import HalvesConv2d
from telucodec.records import Verdict


class STFTDiscriminator(nn.Module):
    """Two-dimensional convolutions on real and imaginary part of one short-time spectrum.

    Layers: kernel 3 x 9 in time x frequency, three more that halve frequency and are dilated in time by 1, 2 and 4,
    kernel 3 x 3, and 3 x 3 to one logit. Frames are centred and the edges reflected, as in NeMo; EnCodec's frames begin
    with the audio, so that there are four fewer, and its first layer is never normalised.

    Args:
        n_fft: window and transform length in samples; the hop is a quarter of it.
        channels: width of the hidden layers.
        slope: of the leaky rectifiers below zero.
        norm: wraps each convolution.

    Shape:
        - Input: [B, 1, T]. Output: logits [B, 1, time, frequency] and one feature map a hidden layer.

    Source: Defossez et al. 2022, arXiv:2210.13438, section 3.4 and figure 2.
    """

    def __init__(self, *, n_fft: int, channels: int, slope: float, norm: Norm) -> None:
        super().__init__()
        at_least(1, channels=channels)
        inside(0, 1, slope=slope)
        self.n_fft, self.slope = n_fft, slope
        widths = [2, channels, channels, channels, channels]
        # time x frequency; dilation grows in time while frequency is halved
        shapes = [((3, 9), (1, 1), (1, 1)), *[((3, 9), (1, 2), (d, 1)) for d in (1, 2, 4)]]
        layers = [
            HalvesConv2d(before, after, kernel, stride, padding=(dilation[0], kernel[1] // 2), dilation=dilation)
            for before, after, (kernel, stride, dilation) in zip(widths[:-1], widths[1:], shapes, strict=True)
        ]
        last = HalvesConv2d(channels, channels, (3, 3), padding=(1, 1))
        self.layers = nn.ModuleList([norm(layer) for layer in (*layers, last)])
        self.head = norm(HalvesConv2d(channels, 1, (3, 3), padding=(1, 1)))

    def forward(self, audio: Tensor) -> Heard:
        spectrum = stft(audio, self.n_fft, self.n_fft // 4, scaled=True)
        x = torch.view_as_real(spectrum).squeeze(1).permute(0, 3, 2, 1)
        features = listen(self.layers, x, self.slope)
        return self.head(features[-1]), features


class MultiResolutionSTFT(nn.Module):
    """A `STFTDiscriminator` at each of several resolutions.

    Args:
        n_ffts: transform lengths in samples.
        channels: width of the hidden layers of each member.
        slope: of the leaky rectifiers below zero.
        norm: wraps each convolution.

    Shape:
        - Input: [B, 1, T]. Output: `Verdict` with one entry a resolution.

    Source: Defossez et al. 2022, arXiv:2210.13438, section 3.4.
    """

    def __init__(self, *, n_ffts: Sequence[int], channels: int, slope: float, norm: Norm) -> None:
        super().__init__()
        at_least(16, n_ffts=n_ffts)
        self.members = nn.ModuleList(
            STFTDiscriminator(n_fft=n_fft, channels=channels, slope=slope, norm=norm) for n_fft in n_ffts
        )

    def forward(self, audio: Tensor) -> Verdict:
        return verdict(member(audio) for member in self.members)
