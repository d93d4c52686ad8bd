import pytest
import torch
from torch import nn

from telucodec.nn.conv import Conv1d, ConvTranspose1d, receptive_field
from telucodec.nn.norm import no_norm
from telucodec.nn.padding import Causal, Centred

SAME, CAUSAL = Centred(fill="zeros"), Causal(fill="zeros")


@pytest.mark.parametrize("stride", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("kernel", [8, 9, 16])
@pytest.mark.parametrize("side", [Centred, Causal])
@pytest.mark.parametrize("fill", ["zeros", "reflect", "replicate"])
def test_lengths_are_exactly_divided_and_multiplied(stride, kernel, side, fill):
    down = Conv1d(1, 2, kernel_size=kernel, stride=stride, norm=no_norm, padding=side(fill=fill))
    up = ConvTranspose1d(2, 1, kernel_size=kernel, stride=stride, norm=no_norm, padding=side(fill=fill))
    for frames in (1, 2, 7):
        x = torch.randn(1, 1, frames * stride)
        assert down(x).shape == (1, 2, frames)
        assert up(down(x)).shape == x.shape


def test_a_kernel_smaller_than_the_stride_is_refused():
    with pytest.raises(ValueError, match="samples would be lost"):
        Conv1d(1, 1, kernel_size=3, stride=4, norm=no_norm, padding=SAME)
    with pytest.raises(ValueError, match="samples would be lost"):
        ConvTranspose1d(1, 1, kernel_size=3, stride=4, norm=no_norm, padding=SAME)


def test_a_moving_average_by_hand():
    conv = Conv1d(1, 1, kernel_size=3, norm=no_norm, padding=SAME)
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
        Conv1d(1, 4, kernel_size=7, norm=no_norm, padding=SAME),
        Conv1d(4, 4, kernel_size=3, dilation=9, norm=no_norm, padding=SAME),
        Conv1d(4, 1, kernel_size=8, stride=4, norm=no_norm, padding=SAME),
        Conv1d(1, 1, kernel_size=10, stride=5, norm=no_norm, padding=SAME),
    )
    assert touched(down, 400, 10) == receptive_field(down)
    up = nn.Sequential(
        Conv1d(1, 4, kernel_size=3, norm=no_norm, padding=SAME),
        ConvTranspose1d(4, 4, kernel_size=10, stride=5, norm=no_norm, padding=SAME),
        ConvTranspose1d(4, 1, kernel_size=8, stride=4, norm=no_norm, padding=SAME),
        Conv1d(1, 1, kernel_size=7, norm=no_norm, padding=SAME),
    )
    assert max(touched(up, 20, 200 + k) for k in range(20)) == receptive_field(up)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(7, 1, 1), (3, 1, 9), (10, 5, 1), (9, 4, 1)])
def test_a_causal_convolution_hears_nothing_of_the_future(kernel, stride, dilation):
    conv = Conv1d(1, 1, kernel_size=kernel, stride=stride, dilation=dilation, norm=no_norm, padding=CAUSAL)
    x = torch.randn(1, 1, 40 * stride)
    later = x.clone()
    later[..., 20 * stride :] += 1.0
    before, after = conv(x), conv(later)
    assert torch.equal(before[..., :20], after[..., :20])
    assert (before[..., 20] != after[..., 20]).all()


@pytest.mark.parametrize(("kernel", "stride"), [(10, 5), (8, 4), (7, 3), (2, 2)])
def test_a_causal_transposed_convolution_hears_nothing_of_the_future(kernel, stride):
    conv = ConvTranspose1d(1, 1, kernel_size=kernel, stride=stride, norm=no_norm, padding=CAUSAL)
    x = torch.randn(1, 1, 12)
    later = x.clone()
    later[..., 6:] += 1.0
    before, after = conv(x), conv(later)
    assert torch.equal(before[..., : 6 * stride], after[..., : 6 * stride])
    assert (before[..., 6 * stride] != after[..., 6 * stride]).all()


def test_a_causal_transposed_convolution_by_hand():
    """One frame, kernel 4, stride 2: its first two taps; the rest is trimmed from the end."""
    conv = ConvTranspose1d(1, 1, kernel_size=4, stride=2, norm=no_norm, padding=CAUSAL, bias=False)
    conv.conv.weight.data = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    assert conv(torch.tensor([[[1.0, 10.0]]])).tolist() == [[[1.0, 2.0, 13.0, 24.0]]]


def test_groups_keep_channels_apart():
    conv = ConvTranspose1d(3, 3, kernel_size=4, stride=2, groups=3, norm=no_norm, padding=CAUSAL, bias=False)
    x = torch.zeros(1, 3, 5)
    x[:, 1] = 1.0
    y = conv(x)
    assert (y[:, [0, 2]] == 0).all()
    assert (y[:, 1] != 0).any()
