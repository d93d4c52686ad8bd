import pytest
import torch
from torch.nn import functional as F

from telucodec.nn import columns
from telucodec.nn.columns import ColumnConv1d, ColumnConv2d, ColumnConvTranspose1d
from telucodec.nn.norm import weight_norm

CASES = {
    "first of a decoder": (ColumnConv1d(256, 128, 7), (2, 256, 25), {}),
    "strided": (ColumnConv1d(128, 256, 16, stride=8), (2, 128, 80), {"stride": 8}),
    "dilated": (ColumnConv1d(160, 160, 7, dilation=9, bias=False), (1, 160, 60), {"dilation": 9}),
    "transposed": (ColumnConvTranspose1d(256, 128, 16, 8, 4), (2, 256, 19), {"stride": 8, "padding": 4}),
    "transposed, odd": (ColumnConvTranspose1d(256, 128, 5, 5, 0, bias=False), (3, 256, 19), {"stride": 5}),
    "of a period": (
        ColumnConv2d(128, 256, (5, 1), (3, 1), (2, 0)),
        (2, 128, 40, 3),
        {"stride": (3, 1), "padding": (2, 0)},
    ),
}


def function(layer):
    if isinstance(layer, ColumnConv2d):
        return F.conv2d
    return F.conv_transpose1d if isinstance(layer, ColumnConvTranspose1d) else F.conv1d


@pytest.mark.parametrize("name", CASES)
def test_the_product_is_the_convolution_with_its_gradients(name, monkeypatch):
    layer, shape, settings = CASES[name]
    layer.double()
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    want = function(layer)(x, layer.weight, layer.bias, **settings)
    calls = []
    monkeypatch.setattr(type(layer).__mro__[1], "forward", lambda *given: calls.append(given))
    got = layer(x)
    assert not calls, "the library's own path must not have been taken"
    assert got.shape == want.shape
    assert torch.allclose(got, want, rtol=1e-12, atol=1e-12)
    gradient, inputs = torch.randn_like(want), [x, *layer.parameters()]
    for a, b in zip(*(torch.autograd.grad(y, inputs, gradient) for y in (got, want)), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (ColumnConv1d(256, 128, 7), (2, 256, 25 + 46)),  # 130 positions
        (ColumnConv1d(64, 64, 7), (1, 64, 25)),  # 28672 weights
        (ColumnConvTranspose1d(256, 128, 16, 8, 4), (7, 256, 19)),
        (ColumnConvTranspose1d(512, 512, 16, 8, 4, groups=4), (1, 512, 19)),
        (ColumnConv2d(128, 256, (5, 1), (1, 1), (2, 0)), (2, 128, 40, 3)),
    ],
)
def test_elsewhere_it_is_the_librarys(layer, shape, monkeypatch):
    monkeypatch.setattr(columns, "NARROW", False)
    calls = []
    monkeypatch.setattr(type(layer).__mro__[1], "forward", lambda *given: calls.append(given))
    layer(torch.randn(shape))
    assert len(calls) == 1


@pytest.mark.parametrize("name", CASES)
def test_under_autocast_it_gives_what_the_librarys_path_gives(name):
    layer, shape, _ = CASES[name]
    layer, x = layer.float(), torch.randn(shape)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        got, want = layer(x), type(layer).__mro__[1].forward(layer, x)
    assert got.dtype == want.dtype == torch.bfloat16
    assert (got - want).abs().max() <= 0.02 * want.abs().max()


@pytest.mark.parametrize("shape", [(1, 256, 25), (4, 256, 60)])
def test_a_normalised_weight_is_computed_once(shape, monkeypatch):
    layer = weight_norm(ColumnConv1d(256, 128, 7))
    calls, norm = [], layer.parametrizations.weight[0]
    forward = norm.forward
    monkeypatch.setattr(norm, "forward", lambda *given: calls.append(1) or forward(*given))
    layer(torch.randn(shape))
    assert len(calls) == 1
