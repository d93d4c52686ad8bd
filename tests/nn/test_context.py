"""What lets a frame see others: LSTM and transformer."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from telucodec.nn.attention import Transformer
from telucodec.nn.conv import receptive_field
from telucodec.nn.recurrent import LSTM, BidirectionalLSTM, NoContext


def small(depth=1, window=4, layer_scale=1.0):
    torch.manual_seed(0)
    return Transformer(8, depth=depth, heads=2, feedforward=12, window=window, layer_scale=layer_scale).double()


def frames(number=20):
    return torch.randn(2, 8, number, dtype=torch.double)


def test_lstm_is_pytorchs_with_a_shortcut():
    lstm = LSTM(6, depth=2)
    reference = nn.LSTM(6, 6, 2)
    reference.load_state_dict(lstm.lstm.state_dict())
    x = torch.randn(3, 6, 15)
    torch.testing.assert_close(lstm(x), x + reference(x.permute(2, 0, 1))[0].permute(1, 2, 0))


def test_only_the_bidirectional_lstm_hears_the_future():
    x = torch.randn(1, 6, 10)
    later = x.clone()
    later[..., -1] += 1.0
    for lstm, hears in ((LSTM(6, depth=2), False), (BidirectionalLSTM(6, depth=2), True)):
        assert torch.equal(lstm(x)[..., :-1], lstm(later)[..., :-1]) is not hears
    with pytest.raises(ValueError, match="needs an even width, got 5"):
        BidirectionalLSTM(5, depth=1)


def test_recurrence_reaches_without_end():
    assert receptive_field(nn.Sequential(LSTM(2, depth=1))) == math.inf
    assert receptive_field(nn.Sequential(NoContext(2))) == 1
    x = torch.randn(1, 2, 3)
    assert torch.equal(NoContext(2)(x), x)


def test_a_frame_alone_is_the_formula_by_hand():
    """With a window of 1, attention gives each frame its own value, whatever its place."""
    network = small(window=1, layer_scale=0.5)
    (block,) = network.blocks
    x = frames(5).transpose(1, 2)
    heard = F.layer_norm(x, (8,)) @ block.value.weight.T @ block.out.weight.T
    middle = x + 0.5 * heard
    inner = F.gelu(F.layer_norm(middle, (8,)) @ block.rise.weight.T) @ block.fall.weight.T
    torch.testing.assert_close(network(x.transpose(1, 2)), (middle + 0.5 * inner).transpose(1, 2))


@pytest.mark.parametrize(("depth", "window"), [(1, 4), (3, 3), (1, 1)])
def test_a_frame_sees_its_window_and_nothing_of_the_future(depth, window):
    network, x = small(depth, window), frames().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x)[0, :, 15].square().sum(), x)
    seen = gradient[0].abs().sum(0).nonzero().flatten().tolist()
    reach = depth * (window - 1) + 1
    assert seen == list(range(16 - reach, 16))
    assert receptive_field(network) == reach
    assert gradient[1].abs().sum() == 0


def test_only_distances_count():
    network, x = small(depth=2, window=3), frames()
    torch.testing.assert_close(network(x)[..., 8:], network(x[..., 4:])[..., 4:])


def test_distances_do_count():
    network, x = small(window=3), frames(3)
    swapped = x[..., [1, 0, 2]]
    assert not torch.allclose(network(x)[..., 2], network(swapped)[..., 2], atol=1e-3)


def test_heads_must_fit_into_the_width():
    with pytest.raises(ValueError, match="multiple of 2 x heads, got width 6, heads 2"):
        Transformer(6, depth=1, heads=2, feedforward=8, window=4, layer_scale=0.01)
