"""A codec as a list of its parts, in the order in which a signal meets them, so that two codecs can be compared."""

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from telucodec.models.output import OutputScale, Tanh
from telucodec.nn.activation import ELU
from telucodec.nn.attention import Transformer
from telucodec.nn.conv import Conv1d, ConvTranspose1d
from telucodec.nn.recurrent import LSTM
from telucodec.quantization.codebook import Codebook
from telucodec.quantization.factorized import FactorizedCodebook

BLOCK = (  # tensors of one layer of a transformer
    "before_attention.weight",
    "before_attention.bias",
    "query.weight",
    "key.weight",
    "value.weight",
    "out.weight",
    "attention_scale",
    "before_feedforward.weight",
    "before_feedforward.bias",
    "rise.weight",
    "fall.weight",
    "feedforward_scale",
)


class Part(NamedTuple):
    """One layer: where it stands, what it computes, and which tensors it has."""

    name: str  # path of the module
    says: str  # with every number that decides a shape or the sound
    slots: tuple[str, ...] = ()  # tensors below the name, in an order that is the same for all parts that say the same


def parts_of(module: nn.Module, name: str = "") -> Iterator[Part]:
    """The parts of a codec; what is free to choose beside any weights (scales, bounds, loudness) is none."""
    found = _part(module, name)
    if found is not None:
        yield found
    if found is None or isinstance(module, Codebook):
        for below, child in module.named_children():
            yield from parts_of(child, f"{name}.{below}" if name else below)


def convolution(
    width: tuple[int, int], kernel: int, *, stride: int = 1, dilation: int = 1, padding: str = "", bias: bool = True
) -> str:
    """What a convolution says.

    >>> convolution((1, 64), 7, padding="causal reflect")
    'convolution 1 to 64, kernel 7, causal reflect'
    """
    words = [f"convolution {width[0]} to {width[1]}", f"kernel {kernel}"]
    words += [f"stride {stride}"] if stride > 1 else []
    words += [f"dilation {dilation}"] if dilation > 1 else []
    words += [padding] if padding and kernel > 1 else []
    return ", ".join(words + ([] if bias else ["no bias"]))


def transposed(
    width: tuple[int, int], kernel: int, *, stride: int, padding: str, groups: int = 1, bias: bool = True
) -> str:
    """What a transposed convolution says."""
    grouped = f", {groups} groups" if groups > 1 else ""
    return f"transposed {convolution(width, kernel, stride=stride, padding=padding, bias=bias)}{grouped}"


def transformer(width: int, depth: int, heads: int, feedforward: int, window: int) -> str:
    """What a transformer says."""
    return f"transformer of width {width}, depth {depth}, {heads} heads, feedforward {feedforward}, window {window}"


def lstm(width: int, depth: int) -> str:
    """What an LSTM says."""
    return f"LSTM of width {width}, depth {depth}"


def lstm_slots(depth: int) -> tuple[str, ...]:
    """The tensors of an LSTM in one direction."""
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return tuple(f"{kind}_l{layer}" for layer in range(depth) for kind in kinds)


def codebook(codebook_size: int, codebook_dim: int, *, by_direction: bool) -> str:
    """What a codebook says."""
    return f"codebook of {codebook_size} x {codebook_dim} by {'direction' if by_direction else 'distance'}"


def _part(module: nn.Module, name: str) -> Part | None:
    """The part that a module is, if it is one as a whole."""
    if isinstance(module, Conv1d | ConvTranspose1d | nn.Conv1d):
        return _convolution(module, name)
    if isinstance(module, LSTM):
        return _lstm(module, name)
    if isinstance(module, Codebook):
        size, dim = module.codewords.shape
        by_direction = isinstance(module, FactorizedCodebook)
        return Part(name, codebook(size, dim, by_direction=by_direction), ("codewords", "counts"))
    return _transformer(module, name) if isinstance(module, Transformer) else _other(module, name)


def _convolution(module: Conv1d | ConvTranspose1d | nn.Conv1d, name: str) -> Part:
    inner = module if isinstance(module, nn.Conv1d) else module.conv
    assert isinstance(inner, nn.Conv1d | nn.ConvTranspose1d)
    width, kernel, bias = (inner.in_channels, inner.out_channels), inner.kernel_size[0], inner.bias is not None
    stride, slots = inner.stride[0], ("weight", "bias") if bias else ("weight",)
    if isinstance(module, nn.Conv1d):
        padding = "" if module.padding in ((0,), 0) else "centred zeros"
        says = convolution(width, kernel, stride=stride, dilation=module.dilation[0], padding=padding, bias=bias)
        return Part(name, says, slots)
    side = type(module.padding).__name__.lower()
    if isinstance(module, ConvTranspose1d):
        says = transposed(width, kernel, stride=stride, padding=side, groups=inner.groups, bias=bias)
    else:
        padding, dilation = f"{side} {module.padding.fill}", inner.dilation[0]
        says = convolution(width, kernel, stride=stride, dilation=dilation, padding=padding, bias=bias)
    return Part(f"{name}.conv", says, slots)


def _lstm(module: LSTM, name: str) -> Part:
    width, depth = module.lstm.input_size, module.lstm.num_layers
    if module.directions == 2:
        return Part(f"{name}.lstm", f"{lstm(width, depth)} in two directions")
    return Part(f"{name}.lstm", lstm(width, depth), lstm_slots(depth))


def _transformer(module: Transformer, name: str) -> Part:
    numbers = (module.width, module.depth, module.heads, module.feedforward, module.window)
    slots = tuple(f"blocks.{k}.{slot}" for k in range(module.depth) for slot in BLOCK)
    return Part(name, transformer(*numbers), slots)


def _other(module: nn.Module, name: str) -> Part | None:
    """A layer without children: an activation, a bound; scales are free."""
    if isinstance(module, ELU):
        return Part(name, "ELU" if module.alpha == 1 else f"ELU of alpha {module.alpha}")
    own = [slot for slot, _ in module.named_parameters(recurse=False)]
    activation = type(module).__module__ == ELU.__module__
    if isinstance(module, OutputScale) or not (own or activation or isinstance(module, Tanh)):
        return None
    return Part(name, type(module).__name__, tuple(own))
