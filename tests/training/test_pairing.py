"""Paired runs begin with the same weights wherever they have the same part."""

from functools import lru_cache

import pytest
import torch

from conftest import config
from telucodec.training.pairing import first_weights

BASE = ("discriminator=[scale]", "loss=[l1,adversarial,commitment]", "seed=3")


def weights(module):
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


@lru_cache
def base_alone():
    return first_weights(config(*BASE), None)[0]


@lru_cache  # several tests look at one pair
def pair(*overrides):
    """The base, a configuration with its first weights, what is told of that, and what is drawn next."""
    module, told = first_weights(config(*BASE, *overrides), config(*BASE))
    drawn = torch.rand(3)
    return base_alone(), module, told, drawn


def test_a_part_more_leaves_the_others_as_they_are():
    base, module, told, _ = pair("output=[post_net,scale]")
    old, new = weights(base.codec), weights(module.codec)
    shared = [name for name in old if old[name].is_floating_point() and name in new and old[name].numel() > 1]
    assert shared
    assert all(torch.equal(old[name], new[name]) for name in shared)
    assert told["own"]
    assert all("post_net" in name for name in told["own"])


def test_a_number_that_the_configuration_gives_is_not_taken_over():
    _, module, *_ = pair("output.scale.initial=3.0")
    assert module.codec.output.output_scale == 3.0


def test_what_was_drawn_under_another_scheme_is_kept():
    base, module, told, _ = pair("weights=truncated_normal")
    assert told["taken_over"] > 0  # the discriminators'
    assert all(name.startswith("codec.") for name in told["own"])
    first = next(name for name in told["own"] if name.endswith("weight"))
    assert not torch.equal(base.get_parameter(first), module.get_parameter(first))


def test_weight_normalisation_takes_over_the_weight_itself():
    base, module, *_ = pair("norm=weight")
    plain = {name: part.weight for name, part in base.codec.named_modules() if isinstance(part, torch.nn.Conv1d)}
    assert plain
    for name, weight in plain.items():
        torch.testing.assert_close(module.codec.get_submodule(name).weight, weight)


def test_unlike_shapes_keep_their_own():
    _, _, told, _ = pair("encoder.channels=[4,12]")
    assert told["own"]
    assert told["taken_over"] > 0


@pytest.mark.parametrize("overrides", [(), ("output=[post_net,scale]",)])
def test_what_is_drawn_afterwards_is_the_same(overrides):
    *_, drawn = pair(*overrides)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(3))


def test_a_pair_with_itself_changes_nothing():
    base, module, told, _ = pair()
    assert not told["own"]
    old, new = weights(base), weights(module)
    assert all(torch.equal(old[name], new[name]) for name in old)
