"""The layout of DAC as `transformers` saves it.

Its decoder trims a transposed convolution of odd stride by one sample more than `telucodec.nn.conv` does, at the end,
so that its audio is shorter by the product of the later strides; all other samples are the same up to the reach of the
end.
"""

from collections.abc import Mapping
from typing import Any

from telucodec.models.layout import BOTH, Published, below, each, listed, stages
from telucodec.models.parts import Part, codebook, convolution, transposed

DILATIONS = (1, 3, 9)


def dac(c: Mapping[str, Any], n_q: int) -> Published:
    """Kumar et al. 2023, arXiv:2306.06546; c is its config.json, n_q how many codebooks are asked for."""
    ratios, first, last = list(c["downsampling_ratios"]), c["encoder_hidden_size"], c["decoder_hidden_size"]
    count, size, inner = len(ratios), c["codebook_size"], c["codebook_dim"]
    dim = first * 2**count
    book = [
        Part("codebook", codebook(size, inner, by_direction=True), ("weight",)),
        Part("in_proj", convolution((dim, inner), 1), BOTH),
        Part("out_proj", convolution((inner, dim), 1), BOTH),
    ]
    books = each("quantizer.quantizers", [book] * min(n_q, c["n_codebooks"]))
    overrides = (
        "encoder=dac",
        "decoder=dac",
        "quantizer=dac",
        "activation=snake",
        "norm=weight",
        "padding=centred",
        "context=none",
        "output=[tanh]",
        *stages("encoder", ratios, [first * 2**k for k in range(count + 1)], DILATIONS),
        f"encoder.dim={dim}",
        f"decoder.channels={listed([last // 2**k for k in range(count, -1, -1)])}",
        f"quantizer.n_q={c['n_codebooks']}",
        f"quantizer.codebook.codebook_size={size}",
        f"quantizer.codebook.codebook_dim={inner}",
    )
    parts = (*_encoder(ratios, first, dim), *books, *_decoder(ratios, last, dim), Part("decoder.tanh", "Tanh"))
    return Published(parts, overrides, c["sampling_rate"], c["n_codebooks"])


def _encoder(ratios: list[int], width: int, dim: int) -> list[Part]:
    parts = [_conv("conv1", (1, width), 7)]
    for k, ratio in enumerate(ratios):
        block = [*_units(width), _snake(), _conv("conv1", (width, 2 * width), 2 * ratio, stride=ratio)]
        parts += below(f"block.{k}", block)
        width *= 2
    return below("encoder", [*parts, _snake(), _conv("conv2", (width, dim), 3)])


def _decoder(ratios: list[int], width: int, dim: int) -> list[Part]:
    parts = [_conv("conv1", (dim, width), 7)]
    for k, ratio in enumerate(ratios[::-1]):
        says = transposed((width, width // 2), 2 * ratio, stride=ratio, padding="centred")
        width //= 2
        parts += below(f"block.{k}", [_snake(), Part("conv_t1", says, BOTH), *_units(width)])
    return below("decoder", [*parts, _snake(), _conv("conv2", (width, 1), 7)])


def _units(width: int) -> list[Part]:
    return [part for k, dilation in enumerate(DILATIONS, 1) for part in below(f"res_unit{k}", _unit(width, dilation))]


def _unit(width: int, dilation: int) -> list[Part]:
    first = _conv("conv1", (width, width), 7, dilation=dilation)
    return [_snake("snake1"), first, _snake("snake2"), _conv("conv2", (width, width), 1)]


def _snake(name: str = "snake1") -> Part:
    return Part(name, "Snake", ("alpha",))


def _conv(name: str, width: tuple[int, int], kernel: int, *, stride: int = 1, dilation: int = 1) -> Part:
    return Part(name, convolution(width, kernel, stride=stride, dilation=dilation, padding="centred zeros"), BOTH)
