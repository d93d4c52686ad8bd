"""The stages behind the decoder, and the level that travels beside the codes."""

import math

import pytest
import torch
from torch.nn import functional as F

from conftest import config
from telucodec.build import build
from telucodec.models.level import AsItIs, Transmitted
from telucodec.models.output import Clamp, FixedScale, LogOutputScale, Output, OutputScale, PostNet, RemoveMean
from telucodec.nn.norm import BatchStatistics, NoChannelNorm, no_norm


def test_scales_by_hand():
    x = torch.tensor([[[0.5, -2.0]]])
    for kind in (OutputScale, LogOutputScale, FixedScale):
        torch.testing.assert_close(kind(initial=3.0)(x), 3 * x)
        assert Output(stages={"scale": kind(initial=3.0)}).output_scale == pytest.approx(3.0)


def test_a_step_moves_a_logarithm_by_a_share_of_the_scale():
    """Adam moves a parameter by its learning rate: exp(log 100 - 0.01) is one percent less, 100 - 0.01 is not."""
    moved = {}
    for kind in (OutputScale, LogOutputScale):
        scale = kind(initial=100.0)
        optimizer = torch.optim.Adam(scale.parameters(), lr=0.01)
        scale(torch.ones(1, 1, 1)).sum().backward()
        optimizer.step()
        moved[kind] = float(scale.factor().detach())
    assert moved[OutputScale] == pytest.approx(99.99)
    assert moved[LogOutputScale] == pytest.approx(100 * math.exp(-0.01))


def test_a_fixed_scale_is_not_learned():
    assert [p.requires_grad for p in FixedScale(initial=2.5).parameters()] == [False]


def test_clamp_cuts_off_and_passes_no_gradient_beyond():
    x = torch.tensor([[[0.5, -2.0]]], requires_grad=True)
    y = Clamp(limit=1.0)(x)
    y.sum().backward()
    assert y.tolist() == [[[0.5, -1.0]]]
    assert x.grad.tolist() == [[[1.0, 0.0]]]
    with pytest.raises(ValueError, match="limit must be > 0"):
        Clamp(limit=0.0)


def test_remove_mean_by_hand():
    x = torch.tensor([[[1.0, 2.0, 6.0]], [[0.0, 0.0, 3.0]]])
    assert RemoveMean()(x).tolist() == [[[-2.0, -1.0, 3.0]], [[-1.0, -1.0, 2.0]]]


def test_post_net_is_two_convolutions_around_a_tanh():
    torch.manual_seed(0)
    net = PostNet(width=4, kernel_size=5, channel_norm=NoChannelNorm, norm=no_norm, bias=True)
    x = torch.randn(2, 1, 31)
    inner = F.conv1d(x, net.rise.weight, net.rise.bias, padding=2).tanh()
    torch.testing.assert_close(net(x), F.conv1d(inner, net.fall.weight, net.fall.bias, padding=2))
    normed = PostNet(width=4, kernel_size=5, channel_norm=BatchStatistics, norm=no_norm, bias=True)
    torch.testing.assert_close(normed(x), normed(5 * x), atol=1e-3, rtol=0)  # its statistics take the level away
    with pytest.raises(ValueError, match="must be odd, got 4"):
        PostNet(width=4, kernel_size=4, channel_norm=NoChannelNorm, norm=no_norm, bias=True)


STEP = 80 / 63  # dB between two levels of 6 bits down to -80 dBFS


def test_level_is_transmitted_within_half_a_step():
    level = Transmitted(bits=6, floor_dbfs=-80.0)
    for dbfs in (-0.1, -3.0, -20.2, -47.7, -79.0):
        x = torch.sin(torch.arange(16000) * 0.1)[None, None] * 10 ** (dbfs / 20) * 2**0.5
        sent = 20 * math.log10(level(x).item())
        assert abs(sent - dbfs) <= STEP / 2 + 0.01
        assert sent / STEP == pytest.approx(round(sent / STEP), abs=1e-3)


def test_levels_are_those_of_each_item_and_stay_between_floor_and_full_scale():
    x = torch.stack([torch.full((1, 100), value) for value in (0.0, 1.0, 50.0, 0.1)])
    level = Transmitted(bits=2, floor_dbfs=-60.0)(x)  # 0, -20, -40 or -60 dBFS
    torch.testing.assert_close(level.flatten(), torch.tensor([0.001, 1.0, 1.0, 0.1]))
    assert level.shape == (4, 1, 1)
    assert AsItIs()(x) is None
    with pytest.raises(ValueError, match="floor_dbfs must be < 0"):
        Transmitted(bits=6, floor_dbfs=0.0)


def test_codes_do_not_know_the_level():
    torch.manual_seed(0)
    codec = build(config("loudness=transmitted")["training"]["codec"], "codec")
    x = torch.randn(2, 1, 803) * 0.1
    codec.train()(x)
    codec.eval()
    quieter = x * 10 ** (-9 * STEP / 20)
    loud, quiet = codec.encode(x), codec.encode(quieter)
    assert torch.equal(loud.codes, quiet.codes)
    torch.testing.assert_close(quiet.level, loud.level * 10 ** (-9 * STEP / 20))
    torch.testing.assert_close(codec.decode(quiet), codec.decode(loud) * 10 ** (-9 * STEP / 20))
    torch.testing.assert_close(codec.decode(loud), codec(x).audio)
    assert not torch.equal(codec.encode(x).codes, build_plain(codec, x).codes)


def build_plain(codec, x):
    """The codes of the same codec when it hears the signal at its own level."""
    codec.loudness = AsItIs()
    return codec.encode(x)
