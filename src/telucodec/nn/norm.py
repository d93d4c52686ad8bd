"""Wrappers that normalise a convolution's weights, and norms of what flows between convolutions."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from telucodec.errors import inside


def weight_norm(module: nn.Module) -> nn.Module:
    """Split the weight into a direction and a length per output channel.

    Source: Salimans and Kingma 2016, arXiv:1602.07868.
    """
    normed: nn.Module = parametrizations.weight_norm(module)
    return normed


def no_norm(module: nn.Module) -> nn.Module:
    """Leave the weight as it is."""
    return module


class BatchNorm(nn.BatchNorm1d):
    """Zero mean and unit variance a channel: of the batch in training, of a running average in evaluation.

    A pass without gradients (a rehearsal before micro-batches) leaves the running average alone, so that it moves once
    a step.

    Args:
        channels: width of the input.
        momentum: weight of the newest batch in the running average, in [0, 1).

    Shape:
        - Input: [B, channels, T]. Output: the same.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    def __init__(self, channels: int, *, momentum: float) -> None:
        inside(0, 1, momentum=momentum)
        super().__init__(channels, momentum=momentum)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not torch.is_grad_enabled():
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return super().forward(x)


class BatchStatistics(nn.BatchNorm1d):
    """`BatchNorm` by the statistics of what it sees, in evaluation too: training and evaluation do not differ.

    Args:
        channels: width of the input.

    Shape:
        - Input: [B, channels, T]. Output: the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)


class NoChannelNorm(nn.Identity):
    """Leave signals as they are.

    Args:
        channels: width of the input; ignored.

    Shape:
        - Input: [B, channels, T]. Output: the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
