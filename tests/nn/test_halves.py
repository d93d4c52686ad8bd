import pytest
import torch
from torch import nn
from torch.nn import functional as F

from telucodec.nn.columns import ColumnConv2d
from telucodec.nn.halves import HalvesConv1d, HalvesConv2d, offset

LAYERS = {
    "grouped": (HalvesConv1d(8, 16, 41, 4, 20, groups=2), (6, 8, 200)),
    "spectrum": (HalvesConv2d(2, 8, (3, 9), (1, 2), padding=(2, 4), dilation=(2, 1)), (6, 2, 30, 33)),
    "no bias": (HalvesConv1d(3, 5, 3, bias=False), (2, 3, 20)),
    "as columns": (ColumnConv2d(128, 256, (5, 1), (3, 1), (2, 0)), (6, 128, 20, 3)),
    "an odd batch": (HalvesConv2d(2, 8, 3), (3, 2, 20, 20)),
}


def plain(layer, x):
    function = F.conv2d if isinstance(layer, nn.Conv2d) else F.conv1d
    return function(x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_the_convolution_with_its_gradients(name):
    layer, shape = LAYERS[name]
    layer.double()
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    got, want = layer(x), plain(layer, x)
    assert torch.allclose(got, want, rtol=1e-12, atol=1e-12)
    gradient, inputs = torch.randn_like(want), [x, *layer.parameters()]
    for a, b in zip(*(torch.autograd.grad(y, inputs, gradient) for y in (got, want)), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["grouped", "spectrum", "as columns"])
def test_what_two_halves_say_to_a_bias_cancels_exactly(name):
    layer, shape = LAYERS[name]
    layer.float()
    y, grads = {}, {}
    for kind, forward in {"halves": layer, "as one": lambda x: plain(layer, x)}.items():
        y = forward(torch.randn(shape))
        asked = torch.randn(len(y) // 2, *y.shape[1:])  # of one half; of the other the opposite
        (grads[kind],) = torch.autograd.grad(y, [layer.bias], torch.cat([asked, -asked]))
    assert (grads["halves"] == 0).all()
    assert (grads["as one"] != 0).any(), "the comparison can fail"


@pytest.mark.parametrize("name", ["spectrum", "as columns"])
def test_it_is_compiled_without_a_break(name):
    layer, shape = LAYERS[name]
    layer.float()
    x = torch.randn(shape, requires_grad=True)
    want = layer(x)
    got = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
    torch.testing.assert_close(got, want)
    asked, inputs = torch.randn_like(want), [x, *layer.parameters()]
    for a, b in zip(*(torch.autograd.grad(y, inputs, asked) for y in (got, want)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_an_offset_is_written_over_what_it_is_added_to():
    y, bias = torch.ones(2, 2, 3), torch.tensor([1.0, 2.0], requires_grad=True)
    out = offset(y, bias)
    assert out.data_ptr() == y.data_ptr()
    assert out.tolist() == [[[2.0] * 3, [3.0] * 3]] * 2
    out.backward(torch.arange(12.0).view(2, 2, 3))
    assert bias.grad.tolist() == [0 + 1 + 2 + 6 + 7 + 8, 3 + 4 + 5 + 9 + 10 + 11]


def test_the_bias_may_lie_along_another_axis():
    bias = torch.tensor([1.0, 2.0], requires_grad=True)
    out = offset(torch.zeros(2, 3, 2), bias, -1)
    assert out.tolist() == [[[1.0, 2.0]] * 3] * 2
    out.backward(torch.arange(12.0).view(2, 3, 2))
    assert bias.grad.tolist() == [0 + 2 + 4 + 6 + 8 + 10, 1 + 3 + 5 + 7 + 9 + 11]


def test_in_bfloat16_the_sums_are_those_of_float32():
    bias = torch.zeros(1, requires_grad=True)
    offset(torch.zeros(2, 1, 4097, dtype=torch.bfloat16), bias).sum().backward()
    assert bias.grad.dtype == torch.float32
    assert bias.grad.item() == 8194, "which bfloat16 has no number for"


def test_a_frozen_bias_lets_the_gradient_through():
    x, bias = torch.zeros(2, 3, 4, requires_grad=True), torch.ones(3)
    offset(x * 2, bias).sum().backward()
    assert x.grad.tolist() == torch.full((2, 3, 4), 2.0).tolist()
    assert bias.grad is None
