"""Codecs on disk: a folder with config.yaml and codec.safetensors, as every run folder is one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from telucodec.build import build
from telucodec.disk import replacing
from telucodec.errors import InputError
from telucodec.models.codec import Codec

CONFIG_VERSION = 2  # of the layout of config.yaml; a change that old code or old files cannot follow raises it
WEIGHTS, CONFIG = "codec.safetensors", "config.yaml"


def save_codec(codec: Codec, folder: Path) -> Path:
    """Write the weights beside the folder's config.yaml, complete or not at all."""
    path = folder / WEIGHTS
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in codec.state_dict().items()}
    with replacing(path) as partial:
        try:
            save_file(weights, str(partial))
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
    codec: Codec = build(config["training"]["codec"], "codec")
    path = folder / WEIGHTS
    try:
        codec.load_state_dict(load_file(str(path)))
    except FileNotFoundError:
        raise InputError(f"{path}: missing. The run has not saved a checkpoint yet: train longer.") from None
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"{path}: damaged or of another codec ({str(error).splitlines()[0]}).") from None
    return codec.eval(), config


def read_config(folder: Path) -> dict[str, Any]:
    """Read the configuration of a run folder.

    Raises:
        InputError: there is none, it is not YAML, or it is of another version; the message names the file.
    """
    path = folder / CONFIG
    if not folder.is_dir() or not path.exists():
        raise InputError(f"{folder}: is no run folder (it holds no {CONFIG}). Runs lie under runs/: see `ls runs/*`.")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise InputError(f"{path}: is not readable as YAML. Restore it, or train again.") from None
    check_version(config if isinstance(config, Mapping) else {}, path)
    return dict(config)


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
