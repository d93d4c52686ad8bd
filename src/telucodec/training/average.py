"""A running average of the codec's weights, to be measured and saved instead of the newest ones."""

import copy

import torch
from torch import Tensor, nn

from telucodec.errors import inside
from telucodec.models.codec import Codec


class NoAverage(nn.Module):
    """The newest weights are the ones that count.

    Shape:
        - Holds none.
    """

    def follow(self, codec: Codec) -> None:
        """Begin with a codec's weights."""

    def before_step(self, codec: Codec) -> None:
        """Called once a step, before the optimizer moves the weights."""

    def after_step(self, codec: Codec) -> None:
        """Called once a step, after the optimizer has moved the weights."""

    def evaluated(self, codec: Codec) -> Codec:
        """The codec to measure and to save."""
        return codec


class WeightAverage(NoAverage):
    """Exponential moving average of all learned weights, updated after each step.

    What is no parameter (codebooks that are averages themselves, running statistics) is taken as it is.

    Args:
        decay: of the average, in [0, 1); 0.99 forgets within about 100 steps.

    Shape:
        - Holds one tensor for each of the codec's.

    The average begins with the weights of its first update.

    Source: Polyak and Juditsky 1992; exponential form as in the training of Defossez et al. 2022, arXiv:2210.13438.
    """

    started: Tensor

    def __init__(self, *, decay: float) -> None:
        super().__init__()
        inside(0, 1, decay=decay)
        self.decay = decay
        self.register_buffer("started", torch.tensor(False))

    def follow(self, codec: Codec) -> None:
        self.codec = copy.deepcopy(codec).requires_grad_(False)
        self.started.fill_(False)

    def after_step(self, codec: Codec) -> None:
        self._update(codec)

    @torch.no_grad()
    def evaluated(self, codec: Codec) -> Codec:
        for ours, theirs in zip(self.codec.buffers(), codec.buffers(), strict=True):
            ours.copy_(theirs)
        return self.codec

    @torch.no_grad()
    def _update(self, codec: Codec) -> None:
        decay = torch.where(self.started, self.decay, 0.0)  # the first weights are taken whole: codewords begin late
        for ours, theirs in zip(self.codec.parameters(), codec.parameters(), strict=True):
            ours.lerp_(theirs, 1 - decay)
        self.started.fill_(True)


class EarlyWeightAverage(WeightAverage):
    """`WeightAverage` updated before each step: it never sees the newest weights.

    Args:
        decay: of the average, in [0, 1).

    Shape:
        - Holds one tensor for each of the codec's.
    """

    def before_step(self, codec: Codec) -> None:
        self._update(codec)

    def after_step(self, codec: Codec) -> None:
        """Nothing: it has been done."""
