"""Paired runs: the same first weights wherever two configurations have the same part."""

from collections.abc import Iterator, Mapping
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from telucodec.build import build
from telucodec.training.module import CodecTraining

# who draws the first weights of a player's parts: where two configurations name another, each keeps its own
DRAWN_BY = {"codec": "weights", "adversary": "discriminator_initial"}


def first_weights(
    config: Mapping[str, Any], base: Mapping[str, Any] | None
) -> tuple[CodecTraining, dict[str, Any] | None]:
    """Build what trains, with its own first weights or with those that another configuration has at the same seed.

    Weights are taken over where name and shape agree and both are drawn at random: a number that a configuration gives
    (an output scale of 3) is what is being compared, and stays. What is drawn while training begins from the seed
    again, so that runs with unlike parts draw alike.

    Args:
        config: the whole configuration.
        base: the whole configuration whose weights are taken over; None: none are.

    Returns:
        What trains, and for the record how many tensors were taken over and which were not (None without a base).

    Raises:
        InputError: either cannot be built.
    """
    module = _seeded(config, config["seed"])
    if base is None:
        return module, None
    reference, other = _seeded(base, config["seed"]), _seeded(base, config["seed"] + 1)
    drawn = {name for (name, a), (_, b) in zip(_tensors(reference), _tensors(other), strict=True) if not a.equal(b)}
    source = {name: tensor for name, tensor in _tensors(reference) if name in drawn}
    keep = tuple(part for part, scheme in DRAWN_BY.items() if config.get(scheme) != base.get(scheme))
    again = dict(_tensors(_seeded(config, config["seed"] + 1)))
    taken, own = 0, []
    for name, tensor in _tensors(module):
        if tensor.equal(again[name]):
            continue
        if name in source and source[name].shape == tensor.shape and not name.startswith(keep):
            taken += 1
            if not tensor.equal(source[name]):  # through a parametrization, putting the same again would round it
                _put(module, name, source[name])
        else:
            own.append(name)
    module.average.follow(module.codec)
    lightning.seed_everything(config["seed"], verbose=False)
    return module, {"taken_over": taken, "own": own}


def _seeded(config: Mapping[str, Any], seed: int) -> CodecTraining:
    lightning.seed_everything(seed, verbose=False)
    built: CodecTraining = build(config["training"], "training")
    return built


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every parameter by the name that it has without weight normalisation, with the value that is in force."""
    for name, part in module.named_modules():
        if not isinstance(part, parametrize.ParametrizationList):
            names = [key for key, _ in part.named_parameters(recurse=False)]
            names += list(part.parametrizations) if parametrize.is_parametrized(part) else []
            yield from ((f"{name}.{key}".lstrip("."), getattr(part, key).detach()) for key in names)


@torch.no_grad()
def _put(module: nn.Module, name: str, value: Tensor) -> None:
    owner, _, key = name.rpartition(".")
    part = module.get_submodule(owner)
    if parametrize.is_parametrized(part, key):
        setattr(part, key, value.clone())  # goes through the parametrization's inverse
    else:
        getattr(part, key).copy_(value)
