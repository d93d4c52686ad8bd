"""One side of the game: how its weights are moved."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from telucodec.errors import InputError
from telucodec.training.schedule import Constant


class Player:
    """An optimizer, its learning-rate schedule and its gradient clipping.

    Args:
        optimizer: builds the optimizer from parameters.
        schedule: factor on the learning rate by step.
        clip_norm: upper bound of the gradient's Euclidean norm over all parameters, > 0; null leaves it alone.
    """

    def __init__(self, *, optimizer: Callable[..., Optimizer], schedule: Constant, clip_norm: float | None) -> None:
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(f"clip_norm must be > 0 or null, got {clip_norm}")
        self.optimizer, self.schedule, self.clip_norm = optimizer, schedule, clip_norm

    def equip(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """Build the optimizer; each group remembers the learning rate that the schedule multiplies."""
        try:
            optimizer = self.optimizer(list(parameters))
        except ValueError as error:
            raise InputError(f"optimizer: {error}. See `telucodec train --cfg` for its values.") from None
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        return optimizer

    def prepare(self, optimizer: Optimizer, step: int) -> Tensor:
        """Set the learning rate of step `step` and clip the (unscaled) gradients.

        Returns:
            The gradient's norm before clipping, a scalar that stays on its device.
        """
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self.schedule(step)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        limit = float("inf") if self.clip_norm is None else self.clip_norm
        return torch.nn.utils.clip_grad_norm_(parameters, limit)
