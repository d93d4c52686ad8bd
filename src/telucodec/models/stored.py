"""Codecs on disk: a folder with config.yaml and codec.safetensors, as every run folder is one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from telucodec.build import build, targets
from telucodec.disk import replacing
from telucodec.errors import InputError
from telucodec.models.codec import Codec
from telucodec.reading import CURE, from_json, held, read_yaml, regular

CONFIG_VERSION = 2  # of the layout of config.yaml; a change that old code or old files cannot follow raises it
WEIGHTS, CONFIG = "codec.safetensors", "config.yaml"
CHECKSUMS = "crc32"  # in the metadata of WEIGHTS: the checksum of each tensor, as JSON
MADE_OF = ("telucodec.nn.", "telucodec.quantization.", "telucodec.models.")  # what a codec is
HOLDS = {  # what others read from a configuration without looking
    **dict.fromkeys(("seed", "sample_rate", "max_steps"), int),
    **dict.fromkeys(("level", "evaluator", "training"), Mapping),
    "name": str,
}


def save_codec(codec: Codec, folder: Path) -> Path:
    """Write the weights, and a checksum of each, beside the folder's config.yaml, complete or not at all."""
    path = folder / WEIGHTS
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in codec.state_dict().items()}
    checksums = json.dumps({name: _checksum(tensor) for name, tensor in weights.items()})
    with replacing(path) as partial:
        try:
            save_file(weights, str(partial), {CHECKSUMS: checksums})
        except SafetensorError as error:  # wraps the system's refusal to write
            raise OSError(str(error)) from None
    return path


def load_codec(folder: Path) -> tuple[Codec, dict[str, Any]]:
    """Build a stored codec, in evaluation mode on the CPU.

    Args:
        folder: of a run.

    Returns:
        The codec and the run's whole configuration.

    Raises:
        InputError: not such a folder, of another version, or its weights are damaged; the message names the file.
    """
    config = read_config(folder)
    node, path, where = config["training"].get("codec"), folder / WEIGHTS, f"{folder / CONFIG}: codec"
    only = ", ".join(MADE_OF)
    if alien := [target for target in targets(node) if not str(target).startswith(MADE_OF)]:
        raise InputError(f"{where}: the target {alien[0]!r} is not allowed in a codec (only {only}*).")
    with torch.device("meta"):  # first without memory: a number in a config may ask for more than there is
        wanted = {name: tuple(tensor.shape) for name, tensor in build(node, where, Codec).state_dict().items()}
    try:
        _compare(wanted, path)
        codec: Codec = build(node, where, Codec)
        codec.load_state_dict(read_weights(path))
    except FileNotFoundError:
        raise InputError(f"{path}: missing. The run has not saved a checkpoint yet: train longer.") from None
    except (SafetensorError, RuntimeError, OSError) as error:
        raise InputError(f"{path}: damaged or of another codec ({str(error).splitlines()[0]}).") from None
    return codec.eval(), config


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a stored codec, each held against its checksum. Files of older versions have none.

    Raises:
        InputError: a tensor has changed since it was written, or is not finite; the message names it.
        SafetensorError: the file is damaged.
    """
    with safe_open(str(regular(path)), "pt") as file:
        told = (file.metadata() or {}).get(CHECKSUMS)
    checksums = None if told is None else held(from_json(told, f"{path}: {CHECKSUMS}"), {}, f"{path}: {CHECKSUMS}")
    weights = load_file(str(path))
    for name, tensor in weights.items():
        if checksums is not None and checksums.get(name) != _checksum(tensor):
            raise InputError(f"{path}: damaged: {name} has changed since it was written. {CURE}")
        if not tensor.isfinite().all():
            raise InputError(f"{path}: damaged: {name} is not finite. {CURE}")
    return weights


def _checksum(tensor: Tensor) -> int:
    """The CRC-32 of a tensor's bytes, as the archive of a checkpoint has it."""
    return crc32(tensor.reshape(-1).view(torch.uint8).numpy().data)


def _compare(wanted: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Hold the tensors of a file against the shapes that they should have; only its head is read.

    Raises:
        SafetensorError: the file is damaged.
        RuntimeError: the first difference.
    """
    with safe_open(str(regular(path)), "pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no mapping)
    for name in [*wanted, *found]:
        if wanted.get(name) != found.get(name):
            told = f"{found.get(name, 'missing')}, by its configuration {wanted.get(name, 'not there')}"
            raise RuntimeError(f"{name} is {told}")


def read_config(folder: Path) -> dict[str, Any]:
    """Read the configuration of a run folder.

    Raises:
        InputError: there is none, it is not YAML, or it is of another version; the message names the file.
    """
    path = folder / CONFIG
    if not folder.is_dir() or not path.exists():
        raise InputError(f"{folder}: is no run folder (it holds no {CONFIG}). Runs lie under runs/: see `ls runs/*`.")
    config = read_yaml(path)
    check_version(config if isinstance(config, Mapping) else {}, path)
    return held(config, HOLDS, str(path))


def check_version(config: Mapping[str, Any], path: Path) -> None:
    """Refuse a configuration of another version by name.

    Raises:
        InputError: the versions differ.
    """
    if config.get("version") != CONFIG_VERSION:
        raise InputError(
            f"{path}: has config version {config.get('version')}, this telucodec reads version {CONFIG_VERSION}. "
            "Use the telucodec that wrote it (run.json names it), or train again."
        )
