"""Where the weights of a convolution start: functions that return the module that they were given."""

import torch
from torch import nn


def as_built(module: nn.Module) -> nn.Module:
    """Leave them as PyTorch makes them: uniform, within 1 / sqrt(inputs)."""
    return module


@torch.no_grad()
def truncated_normal(module: nn.Module, *, std: float) -> nn.Module:
    """Draw weights from a normal distribution cut off at two standard deviations; biases start at zero.

    Args:
        module: a convolution.
        std: standard deviation, > 0.

    Source: what the published code of Kumar et al. 2023, arXiv:2306.06546, asks for (std 0.02).
    """
    if not std > 0:
        raise ValueError(f"std of the first weights must be > 0, got {std}")
    assert isinstance(module, nn.Conv1d | nn.ConvTranspose1d)
    nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


@torch.no_grad()
def zero_bias(module: nn.Module) -> nn.Module:
    """Leave weights as PyTorch makes them; biases of convolutions (not of transposed ones) start at zero.

    Source: the published code of Kumar et al. 2023, arXiv:2306.06546, as it runs.
    """
    if isinstance(module, nn.Conv1d) and module.bias is not None:
        nn.init.zeros_(module.bias)
    return module
