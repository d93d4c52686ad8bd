import pytest
import torch
from torch import nn

from telucodec.nn.activation import ELU
from telucodec.nn.layers import Ends, Layers
from telucodec.nn.norm import BatchNorm, BatchStatistics, NoChannelNorm, no_norm, weight_norm
from telucodec.nn.padding import Causal, Centred
from telucodec.nn.residual import MixedResidualUnit, ResidualUnit
from telucodec.nn.weights import as_built, truncated_normal


def layers(norm=no_norm, weights=as_built, padding=None):
    return Layers(
        activation=lambda channels: ELU(channels, alpha=1.0),
        weights=weights,
        norm=norm,
        padding=padding or Centred(fill="zeros"),
    )


def silenced(unit):
    torch.nn.init.zeros_(unit.body[-1].conv.weight)
    torch.nn.init.zeros_(unit.body[-1].conv.bias)
    return unit


def test_residual_unit_starts_from_its_input():
    unit = silenced(ResidualUnit(4, 3, kernel_size=3, compress=2, layers=layers()))
    x = torch.randn(2, 4, 50)
    torch.testing.assert_close(unit(x), x)


def test_a_mixed_residual_unit_starts_from_a_mixture_of_its_channels():
    unit = silenced(MixedResidualUnit(2, 1, kernel_size=3, compress=1, layers=layers()))
    unit.shortcut.conv.weight.data = torch.tensor([[[0.0], [2.0]], [[3.0], [0.0]]])
    unit.shortcut.conv.bias.data = torch.tensor([0.0, 1.0])
    assert unit(torch.tensor([[[1.0], [10.0]]])).tolist() == [[[20.0], [4.0]]]


def test_layers_draw_weights_then_wrap_them_and_pass_the_padding_on():
    def ones(module):
        nn.init.ones_(module.weight)
        return module

    conv = layers(norm=weight_norm, weights=ones, padding=Causal(fill="zeros")).conv(1, 1, kernel_size=3, bias=False)
    assert conv(torch.tensor([[[1.0, 2.0, 4.0]]])).tolist() == [[[1.0, 3.0, 7.0]]]
    assert conv.conv.parametrizations.weight.original0.item() == pytest.approx(3**0.5)
    up = layers(weights=ones).transposed(1, 1, kernel_size=2, stride=2, bias=False)
    assert up(torch.tensor([[[1.0, 2.0]]])).tolist() == [[[1.0, 1.0, 2.0, 2.0]]]


def test_ends_need_taps():
    assert Ends(first=7, last=3, bias=False).last == 3
    with pytest.raises(ValueError, match="last must be >= 1, got 0"):
        Ends(first=7, last=0, bias=True)


def test_weight_norm_splits_direction_and_length():
    conv = weight_norm(nn.Conv1d(2, 3, 5))
    length, direction = conv.parametrizations.weight.original0, conv.parametrizations.weight.original1
    torch.testing.assert_close(conv.weight.flatten(1).norm(dim=1), length.flatten())
    with torch.no_grad():
        before = conv.weight.clone()
        direction.mul_(7.0)
    torch.testing.assert_close(conv.weight, before)


def test_truncated_normal_stays_within_two_deviations():
    torch.manual_seed(0)
    conv = truncated_normal(nn.Conv1d(64, 64, 7), std=0.02)
    assert conv.weight.abs().max() <= 0.04
    assert conv.weight.std().item() == pytest.approx(0.02 * 0.8796, rel=0.02)  # of a normal cut off at two deviations
    assert (conv.bias == 0).all()
    with pytest.raises(ValueError, match="std of the first weights must be > 0"):
        truncated_normal(nn.Conv1d(1, 1, 1), std=0.0)


def test_as_built_changes_nothing():
    conv = nn.Conv1d(2, 2, 3)
    before = conv.weight.clone()
    assert as_built(conv) is conv
    assert torch.equal(conv.weight, before)


def test_batch_norm_by_hand():
    norm = BatchNorm(1, momentum=0.1)
    x = torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]]])  # mean 4, variance 5
    torch.testing.assert_close(norm(x), (x - 4) / (5 + norm.eps) ** 0.5)
    assert norm.running_mean.item() == pytest.approx(0.4)


def test_a_pass_without_gradients_leaves_the_running_average():
    norm = BatchNorm(2, momentum=0.1)
    x = torch.randn(4, 2, 30) * 3 + 1
    with torch.no_grad():
        rehearsed = norm(x)
    assert (norm.running_mean == 0).all()
    assert (norm.running_var == 1).all()
    torch.testing.assert_close(norm(x), rehearsed)
    assert (norm.running_mean != 0).all()


def test_only_batch_statistics_are_the_same_in_evaluation():
    x = torch.randn(4, 2, 300) * 3 + 1
    running, batch = BatchNorm(2, momentum=0.1), BatchStatistics(2)
    assert not torch.allclose(running(x), running.eval()(x), atol=0.1)
    assert torch.equal(batch(x), batch.eval()(x))
    assert batch(x).mean().item() == pytest.approx(0.0, abs=1e-5)
    assert torch.equal(NoChannelNorm(2)(x), x)
