"""The multi-scale waveform discriminator."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from telucodec.adversarial.layers import Heard, listen, verdict
from telucodec.errors import at_least, inside
from telucodec.nn.conv import Norm
from telucodec.nn.halves import HalvesConv1d
from telucodec.records import Verdict


class ScaleDiscriminator(nn.Module):
    """Strided grouped convolutions on the waveform at one sample rate.

    Layers: kernel 15 to channels[0]; kernel 41, stride 4 to each further width, groups of 4 input channels; kernel 41,
    stride 4 and kernel 5 at the last width; kernel 3 to one logit. With channels 16, 64, 256, 1024 these are the layers
    of the source, whose first one reflects the edges where this one adds zeros.

    Args:
        channels: widths, each a multiple of 4 and of the one before.
        slope: of the leaky rectifiers below zero.
        norm: wraps each convolution.

    Shape:
        - Input: [B, 1, T]. Output: logits [B, 1, about T / 4**len(channels)] and one feature map a hidden layer.

    Source: Kumar et al. 2019, arXiv:1910.06711, appendix A.
    """

    def __init__(self, *, channels: Sequence[int], slope: float, norm: Norm) -> None:
        super().__init__()
        at_least(4, channels=channels)
        inside(0, 1, slope=slope)
        self.slope, last = slope, channels[-1]
        if any(width % 4 for width in channels):
            raise ValueError(f"channels of the scale discriminator must be multiples of 4, got {list(channels)}")
        strided = [
            HalvesConv1d(before, after, 41, 4, 20, groups=before // 4)
            for before, after in zip(channels, [*channels[1:], last], strict=True)
        ]
        first, tail = HalvesConv1d(1, channels[0], 15, padding=7), HalvesConv1d(last, last, 5, padding=2)
        self.layers = nn.ModuleList([norm(layer) for layer in (first, *strided, tail)])
        self.head = norm(HalvesConv1d(last, 1, 3, padding=1))

    def forward(self, audio: Tensor) -> Heard:
        features = listen(self.layers, audio, self.slope)
        return self.head(features[-1]), features


class MultiScale(nn.Module):
    """A `ScaleDiscriminator` on the audio and on averages of it at a half, a quarter, ... of the rate.

    Args:
        scales: number of sample rates; scale k listens at sample_rate / 2**k.
        channels: widths of each member.
        slope: of the leaky rectifiers below zero.
        norm: wraps each convolution.

    Shape:
        - Input: [B, 1, T]. Output: `Verdict` with one entry a scale.

    Source: Kumar et al. 2019, arXiv:1910.06711, section 2.3.
    """

    def __init__(self, *, scales: int, channels: Sequence[int], slope: float, norm: Norm) -> None:
        super().__init__()
        at_least(1, scales=scales)
        self.members = nn.ModuleList(
            ScaleDiscriminator(channels=channels, slope=slope, norm=norm) for _ in range(scales)
        )

    def forward(self, audio: Tensor) -> Verdict:
        pairs = [self.members[0](audio)]
        for member in self.members[1:]:
            audio = F.avg_pool1d(audio, 4, 2, 1, count_include_pad=False)
            pairs.append(member(audio))
        return verdict(pairs)
