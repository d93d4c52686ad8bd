"""Where the discriminators' weights start: callables that change one convolution in place."""

from typing import Protocol

import torch
from torch import nn
from torch.nn.utils import parametrize

from telucodec.errors import above


class InitialWeights(Protocol):
    """Sets the weight of one convolution."""

    def __call__(self, convolution: nn.Conv1d | nn.Conv2d) -> None: ...


class Default:
    """Weights stay as PyTorch drew them.

    Source: He et al. 2015, arXiv:1502.01852, uniform within 1 / sqrt(fan in).
    """

    def __call__(self, convolution: nn.Conv1d | nn.Conv2d) -> None:
        """Changes nothing."""


class NormalWeights:
    """Weights drawn from a normal distribution, whatever the width; biases stay as they are.

    Under weight normalisation, directions and lengths are both those of the drawn weights.

    Args:
        std: standard deviation of each weight, > 0.

    Source: Radford et al. 2015, arXiv:1511.06434, section 4 (0.02); Kumar et al. 2019, arXiv:1910.06711, code.
    """

    def __init__(self, *, std: float) -> None:
        above(0, std=std)
        self.std = std

    @torch.no_grad()
    def __call__(self, convolution: nn.Conv1d | nn.Conv2d) -> None:
        drawn = torch.randn_like(convolution.weight) * self.std
        if parametrize.is_parametrized(convolution, "weight"):
            convolution.weight = drawn  # goes through the parametrization's inverse
        else:
            convolution.weight.copy_(drawn)
