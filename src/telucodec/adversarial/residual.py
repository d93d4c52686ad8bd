"""The STFT discriminator made of residual units."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from telucodec.adversarial.layers import verdict
from telucodec.audio.stft import stft
from telucodec.errors import at_least, inside
from telucodec.nn.conv import Norm
from telucodec.nn.halves import HalvesConv2d
from telucodec.records import Verdict


class ResidualUnit2d(nn.Module):
    """A 3 x 3 and a strided convolution beside a shortcut of kernel 1 and the same stride; frequency is halved.

    Args:
        in_channels: width of the input.
        out_channels: width of the output.
        stride: in time, 1 or 2; the strided kernel has stride + 2 taps.
        slope: of the leaky rectifiers below zero.
        norm: wraps each convolution.

    Shape:
        - Input: [B, in_channels, time, bins], bins even. Output: [B, out_channels, ceil(time / stride), bins / 2].

    Source: Zeghidour et al. 2021, arXiv:2107.03312, figure 5.
    """

    def __init__(self, *, in_channels: int, out_channels: int, stride: int, slope: float, norm: Norm) -> None:
        super().__init__()
        self.slope, self.stride = slope, stride
        self.first = norm(HalvesConv2d(in_channels, in_channels, 3, padding=1))
        kernel = (stride + 2, 4)
        self.second = norm(HalvesConv2d(in_channels, out_channels, kernel, (stride, 2), (kernel[0] // 2, 1)))
        self.shortcut = norm(HalvesConv2d(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        # picked first: torch's CPU kernel of size 1 and stride (1, 2), channels last, writes out of bounds
        short: Tensor = self.shortcut(x[:, :, :: self.stride, ::2])
        deep: Tensor = self.second(F.leaky_relu(self.first(x), self.slope))
        return short + deep[:, :, : short.shape[2]]


class ResidualSTFT(nn.Module):
    """A 7 x 7 convolution on real and imaginary part of a short-time spectrum, then `ResidualUnit2d`s, then logits.

    Time is halved in every second unit, frequency in all of them; the head spans all frequencies that are left. The
    bin at the Nyquist frequency is not heard. The source does not name the nonlinearity; here it is a leaky rectifier.

    Args:
        n_fft: window and transform length in samples, a multiple of 2**len(channels); the hop is a quarter of it.
        channels: width of the first layer, then of each unit's output.
        slope: of the leaky rectifiers below zero.
        norm: wraps each convolution.

    Shape:
        - Input: [B, 1, T]. Output: `Verdict` of one entry: logits [B, 1, time], one feature map a layer.

    Source: Zeghidour et al. 2021, arXiv:2107.03312, section III-D and figure 5.
    """

    def __init__(self, *, n_fft: int, channels: Sequence[int], slope: float, norm: Norm) -> None:
        super().__init__()
        at_least(1, channels=channels)
        inside(0, 1, slope=slope)
        if n_fft < 16 or n_fft % 2 ** len(channels):
            raise ValueError(
                f"n_fft must be >= 16 and a multiple of {2 ** len(channels)} for {len(channels)} widths, got {n_fft}"
            )
        self.n_fft, self.slope = n_fft, slope
        self.first = norm(HalvesConv2d(2, channels[0], 7, padding=3))
        self.units = nn.ModuleList(
            ResidualUnit2d(in_channels=before, out_channels=after, stride=1 + k % 2, slope=slope, norm=norm)
            for k, (before, after) in enumerate(pairwise(channels))
        )
        self.head = norm(HalvesConv2d(channels[-1], 1, (1, n_fft // 2 ** len(channels))))

    def forward(self, audio: Tensor) -> Verdict:
        spectrum = stft(audio, self.n_fft, self.n_fft // 4, scaled=True)[:, :, :-1]
        x = torch.view_as_real(spectrum).squeeze(1).permute(0, 3, 2, 1)
        features = []
        for layer in (self.first, *self.units):
            x = F.leaky_relu(layer(x), self.slope)
            features.append(x)
        return verdict([(self.head(x).squeeze(-1), tuple(features))])
