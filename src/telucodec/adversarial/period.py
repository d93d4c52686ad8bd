"""The multi-period waveform discriminator."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from telucodec.adversarial.layers import Heard, listen, verdict
from telucodec.errors import at_least, inside
from telucodec.nn.columns import ColumnConv2d
from telucodec.nn.conv import Norm
from telucodec.nn.halves import HalvesConv2d
from telucodec.records import Verdict


class PeriodDiscriminator(nn.Module):
    """Convolutions along time over every `period`-th sample, the same for each phase.

    Layers: kernel 5, stride 3 to each width but the last; kernel 5, stride 1 to the last; then one logit. The audio is
    reflected at its end up to a multiple of the period, by a whole period where it is a multiple already, as DAC does;
    HiFi-GAN, NeMo and BigCodec add nothing then.

    Args:
        period: distance between neighbouring samples of a column, in samples; less than the length of the audio.
        channels: widths of the hidden layers.
        head_kernel: taps of the last convolution; 3, but 2 in BigCodec.
        slope: of the leaky rectifiers below zero.
        norm: wraps each convolution.

    Shape:
        - Input: [B, 1, T]. Output: logits [B, 1, about T / period / 3**(len(channels) - 1), period] and one feature map
          a hidden layer.

    Source: Kong et al. 2020, arXiv:2010.05646, section 2.3.
    """

    def __init__(self, *, period: int, channels: Sequence[int], head_kernel: int, slope: float, norm: Norm) -> None:
        super().__init__()
        at_least(1, period=period, channels=channels, head_kernel=head_kernel)
        inside(0, 1, slope=slope)
        self.period, self.slope, last = period, slope, channels[-1]
        strides = [3] * (len(channels) - 1) + [1]
        self.layers = nn.ModuleList(
            norm(ColumnConv2d(before, after, (5, 1), (stride, 1), (2, 0)))
            for before, after, stride in zip([1, *channels[:-1]], channels, strides, strict=True)
        )
        self.head = norm(HalvesConv2d(last, 1, (head_kernel, 1), padding=(head_kernel // 2, 0)))

    def forward(self, audio: Tensor) -> Heard:
        missing = self.period - audio.shape[-1] % self.period
        whole = F.pad(audio, (0, missing), mode="reflect")
        columns = whole.view(*audio.shape[:2], -1, self.period)
        features = listen(self.layers, columns, self.slope)
        return self.head(features[-1]), features


class MultiPeriod(nn.Module):
    """A `PeriodDiscriminator` at each of several periods.

    Args:
        periods: in samples; primes overlap least.
        channels: widths of the hidden layers of each member.
        head_kernel: taps of the last convolution; 3, but 2 in BigCodec.
        slope: of the leaky rectifiers below zero.
        norm: wraps each convolution.

    Shape:
        - Input: [B, 1, T]. Output: `Verdict` with one entry a period.

    Source: Kong et al. 2020, arXiv:2010.05646, section 2.3.
    """

    def __init__(
        self, *, periods: Sequence[int], channels: Sequence[int], head_kernel: int, slope: float, norm: Norm
    ) -> None:
        super().__init__()
        at_least(1, periods=periods)
        self.members = nn.ModuleList(
            PeriodDiscriminator(period=period, channels=channels, head_kernel=head_kernel, slope=slope, norm=norm)
            for period in periods
        )

    def forward(self, audio: Tensor) -> Verdict:
        return verdict(member(audio) for member in self.members)
