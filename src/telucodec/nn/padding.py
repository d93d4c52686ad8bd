"""Where a convolution's context lies: around each output, or only before it."""

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

Fill = Literal["zeros", "reflect", "replicate"]


class Centred:
    """As much context after an output as before it; the odd one before.

    Args:
        fill: what lies beyond the ends: zeros, the mirrored signal, or its last value.

    Source: the non-causal form of Defossez et al. 2022, arXiv:2210.13438, section 3.1.

    >>> Centred(fill="zeros").split(5)
    (3, 2)
    """

    def __init__(self, *, fill: Fill) -> None:
        self.fill = fill

    def split(self, total: int) -> tuple[int, int]:
        """How `total` samples are divided into those before the first output and those behind the last."""
        return total - total // 2, total // 2

    def surplus(self, total: int) -> tuple[int, int]:
        """How many of `total` samples a transposed convolution has too many at the beginning and at the end."""
        return total - total // 2, total // 2

    def pad(self, x: Tensor, total: int) -> Tensor:
        """Lengthen [B, C, T] to [B, C, T + total]."""
        if total == 0:
            return x  # padding by nothing would copy it
        before, after = self.split(total)
        if self.fill == "zeros":
            return F.pad(x, (before, after))
        if self.fill == "replicate":
            return F.pad(x, (before, after), "replicate")
        extra = max(0, max(before, after) + 1 - x.shape[-1])  # a mirror needs more samples than it shows
        longer = F.pad(x, (0, extra)) if extra else x
        return F.pad(longer, (before, after), "reflect")[..., : x.shape[-1] + total]


class Causal(Centred):
    """All context before the output: nothing waits for the future.

    Args:
        fill: what lies before the beginning: zeros, the mirrored signal, or its first value.

    Source: Defossez et al. 2022, arXiv:2210.13438, section 3.1.

    >>> Causal(fill="zeros").split(5)
    (5, 0)
    """

    def split(self, total: int) -> tuple[int, int]:
        return total, 0

    def surplus(self, total: int) -> tuple[int, int]:
        return 0, total
