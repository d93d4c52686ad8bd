"""Wrappers that normalise a convolution's weights, and norms of what flows between convolutions."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from telucodec import ranks
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

    The batch is that of all processes of a run. A pass without gradients (a rehearsal before micro-batches) leaves the
    running average alone, so that it moves once a step.

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
        if self.training and ranks.together():
            return by_all(self, x)
        if self.training and not torch.is_grad_enabled():
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return super().forward(x)


class BatchStatistics(nn.BatchNorm1d):
    """`BatchNorm` by the statistics of what it sees, in evaluation too: training and evaluation do not differ.

    In training that is the batch of all processes of a run; in evaluation each has utterances of its own.

    Args:
        channels: width of the input.

    Shape:
        - Input: [B, channels, T]. Output: the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return by_all(self, x) if self.training and ranks.together() else super().forward(x)


class NoChannelNorm(nn.Identity):
    """Leave signals as they are.

    Args:
        channels: width of the input; ignored.

    Shape:
        - Input: [B, channels, T]. Output: the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()


def by_all(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """Normalise [B, channels, T] by the statistics of what all processes have, and move the running averages by them.

    The gradient is that of one device with the whole batch. torch's SyncBatchNorm does the same on CUDA, and refuses
    the CPU.
    """
    y = x.float()
    mean = ranks.shared(y.mean((0, 2)))
    centred = y - mean[:, None]
    variance = ranks.shared(centred.square().mean((0, 2)))
    if norm.running_mean is not None and norm.running_var is not None and torch.is_grad_enabled():
        assert norm.momentum is not None
        assert norm.num_batches_tracked is not None
        samples = x.shape[0] * x.shape[2] * ranks.count()
        norm.running_mean.lerp_(mean.detach(), norm.momentum)
        norm.running_var.lerp_(variance.detach() * (samples / (samples - 1)), norm.momentum)
        norm.num_batches_tracked += 1
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return (centred * scale[:, None] + norm.bias[:, None]).to(x.dtype)
