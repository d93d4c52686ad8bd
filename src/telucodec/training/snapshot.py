"""All that training steps move, kept in memory to go back to."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from telucodec.training.module import CodecTraining


class Snapshot:
    """A copy of what training steps move: weights, codebooks, running statistics, averages, optimizers' moments.

    The clock, the learning rates that follow it, the random generators, the position in the data and the scale of
    16-mixed are no part of it: they go on. It costs the memory of what it copies: with Adam, three times the learned
    weights.

    Args:
        module: that trains.
        optimizers: of its players.
    """

    def __init__(self, module: CodecTraining, optimizers: Sequence[Optimizer]) -> None:
        self.module, self.optimizers = module, list(optimizers)
        self.tensors: list[Tensor] = []  # that move, themselves
        self.pairs: list[tuple[list[Tensor], list[Tensor]]] = []  # they and their copies, by kind, to be copied at once
        self.take()

    @torch.no_grad()
    def take(self) -> None:
        """Make it a copy of what is now."""
        moving = self._moving()
        if len(moving) == len(self.tensors) and all(a is b for a, b in zip(moving, self.tensors, strict=True)):
            for tensors, copies in self.pairs:
                torch._foreach_copy_(copies, tensors)
        else:  # the first time, and when the optimizers have made their moments
            kinds: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
            for tensor in moving:
                kinds.setdefault((tensor.device, tensor.dtype), []).append(tensor)
            self.tensors = moving
            self.pairs = [(kind, [tensor.clone() for tensor in kind]) for kind in kinds.values()]
        self.moments = [{p: dict(state) for p, state in o.state.items()} for o in self.optimizers]
        self.numbers = [(part, _numbers(part)) for part in self._parts()]
        self.extra = [(part, part.get_extra_state()) for part in self._parts() if _has_extra(part)]

    @torch.no_grad()
    def restore(self) -> None:
        """Make what is now what it was then, bit for bit."""
        for tensors, copies in self.pairs:
            torch._foreach_copy_(tensors, copies)
        for optimizer, moments in zip(self.optimizers, self.moments, strict=True):
            optimizer.state.clear()
            optimizer.state.update({p: dict(state) for p, state in moments.items()})
        for part, numbers in self.numbers:
            vars(part).update(numbers)
        for part, extra in self.extra:
            part.set_extra_state(extra)

    def _moving(self) -> list[Tensor]:
        weights = [p for o in self.optimizers for group in o.param_groups for p in group["params"]]
        moments = [v for o in self.optimizers for state in o.state.values() for v in state.values()]
        moments = [value for value in moments if isinstance(value, Tensor)]
        return [*weights, *self.module.average.parameters(), *self.module.buffers(), *moments]

    def _parts(self) -> list[nn.Module]:
        return [part for part in self.module.modules() if part is not self.module]


def _numbers(part: nn.Module) -> dict[str, Any]:
    """What a part counts beside its tensors, such as a codebook its updates."""
    own = vars(part).items()
    return {name: value for name, value in own if type(value) in (bool, int, float) and name != "training"}


def _has_extra(part: nn.Module) -> bool:
    return type(part).get_extra_state is not nn.Module.get_extra_state
