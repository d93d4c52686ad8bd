"""Which published codecs telucodec can take weights from, and what a config.json of theirs describes."""

from collections.abc import Mapping
from typing import Any

from telucodec.models.layout import Published
from telucodec.models.layout_dac import dac
from telucodec.models.layout_seanet import FILLS, encodec, mimi

MOST, LARGEST = 1024, 1 << 24  # layers or codebooks of any network; any other number that describes one
READABLE = {"dac": dac, "encodec": encodec, "mimi": mimi}
SEANET = {
    "sampling_rate": 24000,
    "num_residual_layers": 1,
    "kernel_size": 7,
    "residual_kernel_size": 3,
    "dilation_growth_rate": 2,
    "use_causal_conv": True,
    "compress": 2,
}
ABSENT: dict[str, dict[str, Any]] = {  # what a key means that config.json leaves out
    "dac": {
        "encoder_hidden_size": 64,
        "decoder_hidden_size": 1536,
        "downsampling_ratios": [2, 4, 8, 8],
        "n_codebooks": 9,
        "codebook_size": 1024,
        "codebook_dim": 8,
        "sampling_rate": 16000,
    },
    "encodec": {
        **SEANET,
        "hidden_size": 128,
        "num_filters": 32,
        "upsampling_ratios": [8, 5, 4, 2],
        "last_kernel_size": 7,
        "pad_mode": "reflect",
        "codebook_size": 1024,
        "num_lstm_layers": 2,
        "use_conv_shortcut": True,
        "target_bandwidths": [1.5, 3.0, 6.0, 12.0, 24.0],
    },
    "mimi": {
        **SEANET,
        "hidden_size": 512,
        "num_filters": 64,
        "upsampling_ratios": [8, 6, 5, 4],
        "last_kernel_size": 3,
        "pad_mode": "constant",
        "codebook_size": 2048,
        "use_conv_shortcut": False,
        "num_hidden_layers": 8,
        "intermediate_size": 2048,
        "num_attention_heads": 8,
        "sliding_window": 250,
        "num_quantizers": 32,
        "num_semantic_quantizers": 1,
        "vector_quantization_hidden_dimension": 256,
    },
}


def published(config: Mapping[str, Any], n_q: int) -> Published:
    """Read the config.json of a codec whose model_type is in `READABLE`.

    Args:
        config: its contents.
        n_q: how many of its codebooks are asked for; the first ones are meant.

    Raises:
        ValueError: it is a variant for which telucodec has no network; the message names the key.
    """
    kind = config["model_type"]
    c = ABSENT[kind] | {key: value for key, value in config.items() if value is not None}
    for key, usual in ABSENT[kind].items():
        if not _alike(c[key], usual, MOST if key.startswith(("num_", "n_")) else LARGEST):
            raise ValueError(f"{key} is {str(c[key])[:60]}, where something like {usual!r} belongs")
    for key, values in _only(kind, c).items():
        if key in config and config[key] not in values and not (config[key] is None and key not in HALVES):
            raise ValueError(f"{key} is {config[key]!r}, and telucodec has this network with {values[0]!r} only")
    return READABLE[kind](c, n_q)


HALVES = ("encoder_config", "decoder_config")  # None where a half was left out


def _alike(value: Any, usual: Any, most: int) -> bool:
    """Whether a value is of the kind of the usual one, and its numbers are in a range that a network can have."""
    if isinstance(usual, list):
        return isinstance(value, list) and len(value) <= MOST and all(_alike(each, usual[0], most) for each in value)
    if isinstance(usual, bool | str):
        return type(value) is type(usual)
    kinds = (int, float) if isinstance(usual, float) else int
    return isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value <= most


def _only(kind: str, c: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Keys with the values without which telucodec has no such network."""
    if kind == "dac":
        return {"hidden_size": (c["encoder_hidden_size"] * 2 ** len(c["downsampling_ratios"]),)}
    shared = {"audio_channels": (1,), "trim_right_ratio": (1.0,), "pad_mode": tuple(FILLS)}
    if kind == "encodec":
        own = {"normalize": (False,), "norm_type": ("weight_norm",), "codebook_dim": (c["hidden_size"],)}
        return shared | own
    heads, dim, inner = c["num_attention_heads"], c["hidden_size"], c["vector_quantization_hidden_dimension"]
    rope = {"rope_theta": 10000.0, "rope_type": "default"}
    return shared | {
        "use_causal_conv": (True,),
        "hidden_act": ("gelu",),
        "norm_eps": (1e-5,),
        "attention_bias": (False,),
        "num_key_value_heads": (heads,),
        "head_dim": (dim // heads,),
        "upsample_groups": (dim,),
        "codebook_dim": (inner,),
        "rope_theta": (10000.0,),
        "rope_parameters": (rope,),
        **dict.fromkeys(HALVES, ("both halves",)),
    }
