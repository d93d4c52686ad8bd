"""One side of the game: how its weights are moved."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

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
        groups: pattern of parameter names (* stands for anything) -> values of the optimizer for these parameters
            alone, for example {"output*": {"lr": 1e-3}}; `lr_factor` multiplies the optimizer's own learning rate. The
            first pattern that fits counts.
    """

    def __init__(
        self,
        *,
        optimizer: Callable[..., Optimizer],
        schedule: Constant,
        clip_norm: float | None,
        groups: Mapping[str, Mapping[str, float]],
    ) -> None:
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(f"clip_norm must be > 0 or null, got {clip_norm}")
        self.optimizer, self.schedule, self.clip_norm, self.groups = optimizer, schedule, clip_norm, groups
        self.names: dict[nn.Parameter, str] = {}
        self.moved: list[nn.Parameter] = []  # by the last step; and the norms of their gradients before clipping
        self.norms = torch.zeros(0)
        self.clippable = 0  # steps since the last reading
        self.clipped = torch.zeros(2)  # of these: how many were clipped, sum of the factors; where the gradients are

    def equip(self, parameters: Iterable[tuple[str, nn.Parameter]]) -> Optimizer:
        """Build the optimizer of named parameters; each group remembers the learning rate that the schedule multiplies.

        Raises:
            InputError: the optimizer refuses a value, or a pattern fits no parameter.
        """
        named = {name: parameter for name, parameter in parameters if parameter.requires_grad}
        self.names = {parameter: name for name, parameter in named.items()}
        try:
            optimizer = self.optimizer(self._grouped(named))
        except (ValueError, TypeError) as error:
            if isinstance(error, InputError):
                raise
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
        self.moved = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        gradients = [p.grad for p in self.moved if p.grad is not None]
        # clip_grad_norm_ in its two halves: what clips by a norm that is not finite spoils all gradients, so that only
        # the norms taken before still tell where it came from
        self.norms = torch.stack(torch._foreach_norm(gradients))
        norm: Tensor = torch.linalg.vector_norm(self.norms)
        limit = float("inf") if self.clip_norm is None else self.clip_norm
        torch.nn.utils.clip_grads_with_norm_(self.moved, limit, norm)
        if self.clip_norm is not None:
            factor = (limit / (norm + 1e-6)).clamp(max=1.0).nan_to_num(0.0)  # as torch has it; 0 where not finite
            counted = torch.stack([(norm <= limit).logical_not(), factor])
            self.clipped = self.clipped + counted if self.clippable else counted
            self.clippable += 1
        return norm

    def spoiled(self) -> list[str]:
        """Names of the parameters whose gradient was not finite in the last step; waits for the device."""
        wrong = self.norms.isfinite().logical_not().tolist()
        return [self.names[parameter] for parameter, bad in zip(self.moved, wrong, strict=True) if bad]

    def counters(self) -> tuple[int, Tensor]:
        """What a checkpoint keeps of the steps since the last reading."""
        return self.clippable, self.clipped

    def count_on(self, clippable: int, clipped: Tensor) -> None:
        """Go on from the `counters` of a checkpoint, on the gradients' device."""
        self.clippable, self.clipped = clippable, clipped

    def clipping(self) -> dict[str, Tensor]:
        """Of the steps since the last reading: the `fraction` that was clipped, the mean `factor` on the gradient.

        Nothing where no step was made, or where none is ever clipped. The numbers stay on their device.
        """
        if not self.clippable:
            return {}
        fraction, factor = self.clipped / self.clippable
        self.clippable = 0
        return {"fraction": fraction, "factor": factor}

    def _grouped(self, named: Mapping[str, nn.Parameter]) -> list[dict[str, object]]:
        chosen = {name: next((p for p in self.groups if fnmatchcase(name, p)), None) for name in named}
        for pattern in self.groups:
            if pattern not in chosen.values():
                raise InputError(
                    f"parameter_groups: '{pattern}' fits no parameter of its own. Names look like "
                    f"{', '.join(list(named)[-3:])}; * stands for anything."
                )
        members = {key: [p for name, p in named.items() if chosen[name] == key] for key in (None, *self.groups)}
        own = {key: self._own(key) for key in self.groups}
        return [{"params": found, **own.get(str(key), {})} for key, found in members.items() if found]

    def _own(self, pattern: str) -> dict[str, float]:
        values = self.groups[pattern]
        if not isinstance(values, Mapping) or not values:
            raise InputError(
                f"parameter_groups: '{pattern}' needs values of the optimizer, for example {{lr: 1e-3}}, got {values}."
            )
        defaults = self.optimizer([nn.Parameter(torch.zeros(1))]).defaults
        own = {key: value for key, value in values.items() if key != "lr_factor"}
        if unknown := [key for key in own if key not in defaults]:
            raise InputError(
                f"parameter_groups: '{pattern}' gives {unknown[0]}, but the optimizer's values are "
                f"{', '.join(sorted(defaults))}, and there is lr_factor."
            )
        return {"lr": defaults["lr"]} | own | {"lr": own.get("lr", defaults["lr"]) * values.get("lr_factor", 1.0)}
