"""Wrappers that normalise a convolution's weights."""

from torch import nn
from torch.nn.utils import parametrizations


def weight_norm(module: nn.Module) -> nn.Module:
    """Split the weight into a direction and a length per output channel.

    Source: Salimans and Kingma 2016, arXiv:1602.07868.
    """
    normed: nn.Module = parametrizations.weight_norm(module)
    return normed


def no_norm(module: nn.Module) -> nn.Module:
    """Leave the weight as it is."""
    return module
