"""The layouts of EnCodec and Mimi as `transformers` saves them: SEANet, a list of layers in which activations count."""

from collections.abc import Mapping
from math import ceil, prod
from typing import Any

from telucodec.models.layout import BOTH, Published, below, each, stages
from telucodec.models.parts import Part, codebook, convolution, lstm, lstm_slots, transformer, transposed

FILLS = {"constant": "zeros", "reflect": "reflect", "replicate": "replicate"}
BLOCK = (  # the tensors that telucodec.models.parts.BLOCK names
    "input_layernorm.weight",
    "input_layernorm.bias",
    "self_attn.q_proj.weight",
    "self_attn.k_proj.weight",
    "self_attn.v_proj.weight",
    "self_attn.o_proj.weight",
    "self_attn_layer_scale.scale",
    "post_attention_layernorm.weight",
    "post_attention_layernorm.bias",
    "mlp.fc1.weight",
    "mlp.fc2.weight",
    "mlp_layer_scale.scale",
)


def encodec(c: Mapping[str, Any], n_q: int) -> Published:
    """Defossez et al. 2022, arXiv:2210.13438; c is its config.json, n_q how many codebooks are asked for."""
    ratios, dim, size = c["upsampling_ratios"], c["hidden_size"], c["codebook_size"]
    bits = (size - 1).bit_length()
    count = int(1000 * c["target_bandwidths"][-1] // (ceil(c["sampling_rate"] / prod(ratios)) * bits))
    books = [_book(size, dim, "cluster_size")] * min(n_q, count)
    parts = (*_encoder(c), *each("quantizer.layers", books), *_decoder(c))
    depth = c["num_lstm_layers"]
    overrides = (
        f"encoder={'encodec' if c['use_conv_shortcut'] else 'seanet'}",
        "decoder=mirror",
        "quantizer=encodec",
        *_shared("encoder", c),
        "norm=weight",
        *(["context=lstm", f"context.depth={depth}"] if depth else ["context=none"]),
        f"encoder.dim={dim}",
        f"decoder.ends.last={c['last_kernel_size']}",
        f"quantizer.n_q={count}",
        f"quantizer.codebook.codebook_size={size}",
    )
    return Published(parts, overrides, c["sampling_rate"], count)


def mimi(c: Mapping[str, Any], n_q: int) -> Published:
    """Defossez et al. 2024, arXiv:2410.00037; c is its config.json, n_q how many codebooks are asked for."""
    dim, inner, size = c["hidden_size"], c["vector_quantization_hidden_dimension"], c["codebook_size"]
    first, count = c["num_semantic_quantizers"], c["num_quantizers"]
    numbers = [c[key] for key in ("num_hidden_layers", "num_attention_heads", "intermediate_size", "sliding_window")]
    context = Part("", transformer(dim, *numbers), _block_slots(c["num_hidden_layers"]))
    stride = _latent_stride(c)
    down = convolution((dim, dim), 2 * stride, stride=stride, padding="causal replicate", bias=False)
    up = transposed((dim, dim), 2 * stride, stride=stride, padding="causal", groups=dim, bias=False)
    books = [_book(size, inner, "cluster_usage")]
    split = [
        ("semantic", books * first),
        ("acoustic", books * max(0, min(n_q, count) - first)),
    ]
    quantizer = [_projected(f"quantizer.{name}_residual_vector_quantizer", dim, inner, own) for name, own in split]
    parts = (
        *_encoder({**c, "num_lstm_layers": 0}),
        context._replace(name="encoder_transformer.layers"),
        Part("downsample.conv", down, ("weight",)),
        *quantizer[0],
        *quantizer[1],
        Part("upsample.conv", up, ("weight",)),
        context._replace(name="decoder_transformer.layers"),
        *_decoder({**c, "num_lstm_layers": 0}),
    )
    names = ("depth", "heads", "feedforward", "window")
    overrides = (
        "encoder=mimi",
        "decoder=mimi",
        "quantizer=mimi",
        *_shared("encoder.encoder", c),
        "norm=none",
        f"sample_rate={c['sampling_rate']}",
        f"encoder.dim={dim}",
        f"encoder.stride={stride}",
        *(f"encoder.context.{name}={value}" for name, value in zip(names, numbers, strict=True)),
        f"decoder.decoder.ends.first={c['kernel_size']}",
        f"decoder.decoder.ends.last={c['last_kernel_size']}",
        *(f"quantizer.{part}.inner.n_q={n}" for part, n in (("semantic", first), ("acoustic", count - first))),
        *(f"quantizer.{part}.inner.dim={inner}" for part, _ in split),
        *(f"quantizer.{part}.inner.codebook.codebook_size={size}" for part, _ in split),
    )
    return Published(parts, overrides, c["sampling_rate"], count)


def _shared(encoder: str, c: Mapping[str, Any]) -> tuple[str, ...]:
    """Overrides that EnCodec and Mimi have alike."""
    ratios, filters = c["upsampling_ratios"][::-1], c["num_filters"]
    side, fill = _padding(c).split()
    mixed = ["unit._target_=telucodec.nn.residual.MixedResidualUnit"] if c["use_conv_shortcut"] else []
    own = [
        f"ends.first={c['kernel_size']}",
        f"ends.last={c['last_kernel_size']}",
        f"unit.kernel_size={c['residual_kernel_size']}",
        f"unit.compress={c['compress']}",
        *(mixed if encoder == "encoder.encoder" else []),
    ]
    return (
        "activation=elu",
        f"padding={side}",
        f"padding.fill={fill}",
        "output=[]",
        *stages(encoder, ratios, [filters * 2**k for k in range(len(ratios) + 1)], _dilations(c)),
        *(f"{encoder}.{override}" for override in own),
    )


def _encoder(c: Mapping[str, Any]) -> list[Part]:
    width = c["num_filters"]
    layers = [[_conv(c, (1, width), c["kernel_size"])]]
    for ratio in c["upsampling_ratios"][::-1]:
        layers += [_unit(c, width, dilation) for dilation in _dilations(c)]
        layers += [[_elu()], [_conv(c, (width, 2 * width), 2 * ratio, stride=ratio)]]
        width *= 2
    layers += [*_context(c, width), [_elu()], [_conv(c, (width, c["hidden_size"]), c["last_kernel_size"])]]
    return each("encoder.layers", layers)


def _decoder(c: Mapping[str, Any]) -> list[Part]:
    width = c["num_filters"] * 2 ** len(c["upsampling_ratios"])
    layers = [[_conv(c, (c["hidden_size"], width), c["kernel_size"])], *_context(c, width)]
    for ratio in c["upsampling_ratios"]:
        says = transposed((width, width // 2), 2 * ratio, stride=ratio, padding=_padding(c).split()[0])
        layers += [[_elu()], [Part("conv", says, BOTH)]]
        width //= 2
        layers += [_unit(c, width, dilation) for dilation in _dilations(c)]
    return each("decoder.layers", [*layers, [_elu()], [_conv(c, (width, 1), c["last_kernel_size"])]])


def _unit(c: Mapping[str, Any], width: int, dilation: int) -> list[Part]:
    inner = width // c["compress"]
    first = _conv(c, (width, inner), c["residual_kernel_size"], dilation=dilation)
    block = [[_elu()], [first], [_elu()], [_conv(c, (inner, width), 1)]]
    shortcut = below("shortcut", [_conv(c, (width, width), 1)]) if c["use_conv_shortcut"] else []
    return each("block", block) + shortcut


def _context(c: Mapping[str, Any], width: int) -> list[list[Part]]:
    depth = c["num_lstm_layers"]
    return [[Part("lstm", lstm(width, depth), lstm_slots(depth))]] if depth else []


def _conv(c: Mapping[str, Any], width: tuple[int, int], kernel: int, *, stride: int = 1, dilation: int = 1) -> Part:
    return Part("conv", convolution(width, kernel, stride=stride, dilation=dilation, padding=_padding(c)), BOTH)


def _elu() -> Part:
    return Part("elu", "ELU")


def _padding(c: Mapping[str, Any]) -> str:
    return f"{'causal' if c['use_causal_conv'] else 'centred'} {FILLS[c['pad_mode']]}"


def _dilations(c: Mapping[str, Any]) -> list[int]:
    return [c["dilation_growth_rate"] ** j for j in range(c["num_residual_layers"])]


def _book(size: int, dim: int, counts: str) -> list[Part]:
    return [Part("codebook", codebook(size, dim, by_direction=False), ("embed", counts))]


def _projected(prefix: str, dim: int, inner: int, books: list[list[Part]]) -> list[Part]:
    enter = [Part("input_proj", convolution((dim, inner), 1, bias=False), ("weight",))]
    leave = [Part("output_proj", convolution((inner, dim), 1, bias=False), ("weight",))]
    return below(prefix, [*enter, *each("layers", books), *leave])


def _block_slots(depth: int) -> tuple[str, ...]:
    return tuple(f"{k}.{slot}" for k in range(depth) for slot in BLOCK)


def _latent_stride(c: Mapping[str, Any]) -> int:
    """How many of SEANet's frames become one."""
    hop = prod(c["upsampling_ratios"])
    frame_rate = c.get("frame_rate") or c.get("_frame_rate") or c["sampling_rate"] / (2 * hop)
    return int(ceil(c["sampling_rate"] / hop) / frame_rate)
