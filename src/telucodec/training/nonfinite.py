"""Whether a training step was finite, and if not, where it began and which files it heard."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from telucodec import ranks
from telucodec.records import Batch
from telucodec.training.module import CodecTraining

NORM = "gradient_norm/"


@dataclass(frozen=True)
class Finding:
    """What was not finite in one step, each list in the order of computation; of one process, or of all of them."""

    tensors: list[str]  # target, encoded, latent, audio
    losses: list[str]  # as they are logged
    parameters: list[str]  # those with such a gradient, behind the player's name
    files: list[str]  # those of the crops with such a tensor; of the whole batch where only losses or gradients tell

    def __str__(self) -> str:
        gradients = [f"the gradient of {name}" for name in self.parameters]
        found = [_few(names, 4) for names in (self.tensors, self.losses, gradients) if names]
        return f"not finite: {'; '.join(found)}. Heard: {_few(self.files, 8)}"

    def row(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)


def finite(module: CodecTraining, norms: bool) -> bool:
    """Whether all losses and tensors of this process's last step were finite; waits for the device, once.

    Args:
        module: after its step.
        norms: whether gradients count too; they do but for 16-mixed, whose loss scale is found by trying.
    """
    figures = [value for name, value in module.figures.items() if norms or not name.startswith(NORM)]
    values = [value.detach().float().reshape(1) for value in figures]
    return bool(torch.cat([*values, *(sums for parts in module.traces.values() for sums in parts)]).isfinite().all())


def look(module: CodecTraining, batch: Batch) -> Finding:
    """What was not finite in the last step, whichever process saw it. All of them must ask.

    Processes share gradients and statistics, so that what was wrong in one is soon wrong in all: told is of those in
    which it was wrong first.
    """
    own = ranks.gathered(_own(module, batch))
    depths = [_depth(one, list(module.traces)) for one in own]
    guilty = [one for one, depth in zip(own, depths, strict=True) if depth == min(depths)]

    def joined(name: str) -> list[str]:
        return list(dict.fromkeys(each for one in guilty for each in getattr(one, name)))

    return Finding(*(joined(name) for name in ("tensors", "losses", "parameters", "files")))


def _depth(one: Finding, order: Sequence[str]) -> int:
    """How far a step has come before it was not finite."""
    if one.tensors:
        return order.index(one.tensors[0])
    return len(order) if one.losses else len(order) + 1


def _own(module: CodecTraining, batch: Batch) -> Finding:
    wrong = {name: torch.cat(sums).isfinite().logical_not().tolist() for name, sums in module.traces.items()}
    tensors = [name for name, bad in wrong.items() if any(bad)]
    figures = [name for name, value in module.figures.items() if not bool(value.isfinite())]
    sides = [name.removeprefix(NORM) for name in figures if name.startswith(NORM)]
    parameters = [f"{side}.{name}" for side in sides for name in module.players[side].spoiled()]
    bad = wrong[tensors[0]] if tensors else [True] * len(batch.files)
    # a step of micro-batches runs through the batch once for each player
    files = dict.fromkeys(file for file, one in zip(list(batch.files) * 2, bad, strict=False) if one)
    return Finding(tensors, [name for name in figures if not name.startswith(NORM)], parameters, list(files))


def _few(names: Sequence[str], most: int) -> str:
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])
