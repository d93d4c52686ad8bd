import pytest
import torch
from torch import nn

from telucodec.nn.conv import Conv1d, ConvTranspose1d, receptive_field
from telucodec.nn.norm import no_norm, weight_norm


@pytest.mark.parametrize("stride", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("kernel", [8, 9, 16])
def test_lengths_are_exactly_divided_and_multiplied(stride, kernel):
    down = Conv1d(1, 2, kernel_size=kernel, stride=stride, norm=no_norm)
    up = ConvTranspose1d(2, 1, kernel_size=kernel, stride=stride, norm=no_norm)
    for frames in (1, 2, 7):
        x = torch.randn(1, 1, frames * stride)
        assert down(x).shape == (1, 2, frames)
        assert up(down(x)).shape == x.shape


def test_a_kernel_smaller_than_the_stride_is_refused():
    with pytest.raises(ValueError, match="samples would be lost"):
        Conv1d(1, 1, kernel_size=3, stride=4, norm=no_norm)
    with pytest.raises(ValueError, match="samples would be lost"):
        ConvTranspose1d(1, 1, kernel_size=3, stride=4, norm=no_norm)


def test_a_moving_average_by_hand():
    conv = Conv1d(1, 1, kernel_size=3, norm=no_norm)
    nn.init.constant_(conv.conv.weight, 1.0)
    nn.init.zeros_(conv.conv.bias)
    assert conv(torch.tensor([[[1.0, 2.0, 3.0]]])).tolist() == [[[3.0, 6.0, 5.0]]]


def touched(network, inputs, output):
    """How many inputs have a gradient from one output: the receptive field, measured."""
    x = torch.randn(1, 1, inputs, dtype=torch.double, requires_grad=True)
    y = network.double()(x)
    (gradient,) = torch.autograd.grad(y[0, 0, output], x)
    found = gradient[0, 0].nonzero()
    return int(found.max() - found.min() + 1)


def test_receptive_field_is_what_gradients_reach():
    down = nn.Sequential(
        Conv1d(1, 4, kernel_size=7, norm=no_norm),
        Conv1d(4, 4, kernel_size=3, dilation=9, norm=no_norm),
        Conv1d(4, 1, kernel_size=8, stride=4, norm=no_norm),
        Conv1d(1, 1, kernel_size=10, stride=5, norm=no_norm),
    )
    assert touched(down, 400, 10) == receptive_field(down)
    up = nn.Sequential(
        Conv1d(1, 4, kernel_size=3, norm=no_norm),
        ConvTranspose1d(4, 4, kernel_size=10, stride=5, norm=no_norm),
        ConvTranspose1d(4, 1, kernel_size=8, stride=4, norm=no_norm),
        Conv1d(1, 1, kernel_size=7, norm=no_norm),
    )
    assert max(touched(up, 20, 200 + k) for k in range(20)) == receptive_field(up)


def test_weight_norm_splits_direction_and_length():
    conv = weight_norm(nn.Conv1d(2, 3, 5))
    length, direction = conv.parametrizations.weight.original0, conv.parametrizations.weight.original1
    torch.testing.assert_close(conv.weight.flatten(1).norm(dim=1), length.flatten())
    with torch.no_grad():
        before = conv.weight.clone()
        direction.mul_(7.0)
    torch.testing.assert_close(conv.weight, before)
