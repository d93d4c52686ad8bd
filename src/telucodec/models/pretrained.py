"""Weights that were trained before: of a published codec as `transformers` saves it, or of a run."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from telucodec.errors import InputError
from telucodec.models.codec import Codec
from telucodec.models.layout import Published
from telucodec.models.parts import Part, parts_of
from telucodec.models.published import READABLE, published
from telucodec.models.stored import CONFIG, WEIGHTS, read_config, read_weights
from telucodec.quantization.codebook import Codebook
from telucodec.reading import held, read_json, regular

NAMES = "dac, encodec and mimi"
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
NORMED = ((".weight_g", ".weight_v"), (".parametrizations.weight.original0", ".parametrizations.weight.original1"))
UNKNOWN_COUNT = 10.0  # frames a step that a codeword counts as chosen by, where the folder keeps no such average


class Move(NamedTuple):
    """One tensor on its way."""

    name: str  # the module
    slot: str  # below it
    tensor: Tensor


def load_pretrained(codec: Codec, folder: Path) -> str:
    """Give a codec the weights of a folder: all of them, or none.

    Weight norm is folded, so that it need not be the same on both sides. Where the folder has more codebooks than the
    codec, the first ones are taken. Codebooks count as initialised, and their averages start from their codewords.

    Args:
        codec: to be overwritten.
        folder: with config.json and model.safetensors of a DAC, EnCodec or Mimi as `transformers` saves them (also in
            several files), or a run of ours.

    Returns:
        What was loaded, in one line.

    Raises:
        InputError: the folder is none of these, is damaged, or is of another network; the message names the first
            difference and what would fit.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: there is no such folder. Give one with config.json and {SINGLE}, or a run of ours."
        )
    if (folder / CONFIG).exists():
        return _load_run(codec, folder)
    config = _read_json(folder / "config.json", f"holds neither {CONFIG} nor config.json")
    kind = str(config.get("model_type"))
    if kind not in READABLE:
        raise InputError(f"{folder}: is a model of type {kind}; weights are read from {NAMES}.")
    try:
        found = published(config, codec.quantizer.n_q)
    except ValueError as error:
        raise InputError(f"{folder} ({kind}): {error}. Choose another folder.") from None
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise InputError(f"{folder / 'config.json'}: is damaged ({error!r}). Fetch it again.") from None
    pairs = list(_paired(codec, found, f"{folder} ({kind})"))
    moves = list(_moves(codec, pairs, _read_weights(folder), folder))
    _apply(codec, moves)
    books = f"{codec.quantizer.n_q} of {found.n_q} codebooks"
    return f"{folder}: weights of {kind}, {books}{_rates(found.sample_rate, codec)}"


def _paired(codec: Codec, found: Published, source: str) -> Iterator[tuple[Part, Part]]:
    """Hold the codec's parts against the folder's.

    Raises:
        InputError: at the first difference.
    """
    nothing = Part("nothing", "nothing")
    for here, there in zip_longest(parts_of(codec), found.parts, fillvalue=nothing):
        if here.says != there.says:
            place = here.name if here is not nothing else there.name
            raise InputError(
                f"{place}: here {here.says}; in {source} {there.says} ({there.name}). The folder's weights need "
                + " ".join(quote(override) for override in found.overrides)
            )
        yield here, there


def _moves(codec: Codec, pairs: list[tuple[Part, Part]], weights: Mapping[str, Tensor], folder: Path) -> Iterator[Move]:
    """Read what the codec needs, and hold every shape and value against it.

    Raises:
        InputError: a tensor is missing, has another shape, or is not finite.
    """
    for here, there in pairs:
        for slot, other in zip(here.slots, there.slots, strict=False):
            key = f"{there.name}.{other}"
            tensor, wanted = _read(weights, key), _resolve(codec.get_submodule(here.name), slot)
            if tensor is None:
                raise InputError(f"{folder}: is damaged: {key} is missing. Fetch it again.")
            if tensor.shape != wanted.shape:
                shapes = f"{key} is {_shape(tensor)} and should be {_shape(wanted)}"
                raise InputError(f"{folder}: is damaged: {shapes} by its config.json. Fetch it again.")
            if not tensor.isfinite().all():
                raise InputError(f"{folder}: is damaged: {key} is not finite. Fetch it again.")
            yield Move(here.name, slot, tensor)


def _read(weights: Mapping[str, Tensor], key: str) -> Tensor | None:
    """One tensor: as it is, folded out of a weight norm, or divided out of a codebook's sums."""
    if key in weights:
        return weights[key].float()
    stem, _, slot = key.rpartition(".")
    for length, direction in NORMED if slot == "weight" else ():
        if stem + length in weights and stem + direction in weights:
            v, g = weights[stem + direction].float(), weights[stem + length].float()
            folded: Tensor = v * (g / torch.linalg.vector_norm(v, dim=tuple(range(1, v.dim())), keepdim=True))
            return folded
    if slot == "embed" and f"{stem}.embed_sum" in weights and f"{stem}.cluster_usage" in weights:
        return weights[f"{stem}.embed_sum"].float() / weights[f"{stem}.cluster_usage"].float().clamp(min=1e-5)[:, None]
    return None


@torch.no_grad()
def _apply(codec: Codec, moves: list[Move]) -> None:
    for name, slot, tensor in moves:
        owner, _, last = slot.rpartition(".")
        module = codec.get_submodule(name).get_submodule(owner)
        if is_parametrized(module, last):
            setattr(module, last, tensor.to(getattr(module, last)))
        else:
            _resolve(module, last).copy_(tensor)
    counted = {move.name for move in moves if move.slot == "counts"}
    for name in {move.name for move in moves if move.slot == "codewords"}:
        book = codec.get_submodule(name)
        assert isinstance(book, Codebook)
        if name not in counted:
            book.counts.fill_(UNKNOWN_COUNT)
        for sums in book.state()[2:]:
            sums.copy_(book.codewords * book.counts[:, None])
        book.ready.fill_(True)


def _resolve(module: nn.Module, slot: str) -> Tensor:
    owner, _, last = slot.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(owner), last)
    return tensor


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder, of one file or several.

    Raises:
        InputError: there are none, or a file is damaged.
    """
    names = {SINGLE}
    if (folder / INDEX).exists():
        index = held(_read_json(folder / INDEX, "is missing"), {"weight_map": dict}, str(folder / INDEX))
        names = {Path(str(name)).name for name in index["weight_map"].values()}  # never of another folder
    weights: dict[str, Tensor] = {}
    for path in sorted(folder / name for name in names):
        try:
            weights |= load_file(str(regular(path)))
        except FileNotFoundError:
            raise InputError(f"{path}: missing. Save the model with save_pretrained, or fetch it again.") from None
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path}: is damaged ({str(error).splitlines()[0]}). Fetch it again.") from None
    return weights


def _read_json(path: Path, missing: str) -> dict[str, Any]:
    if not path.exists():
        raise InputError(f"{path.parent}: {missing}. Give a folder of {NAMES}, or a run of ours.")
    found = read_json(path)
    return found if isinstance(found, dict) else {}


def _load_run(codec: Codec, folder: Path) -> str:
    """Load the weights of a run whose codec has the same tensors."""
    config, path = read_config(folder), folder / WEIGHTS
    if not path.exists():
        raise InputError(f"{path}: missing. The run has not saved a checkpoint yet: train longer.")
    try:
        weights = read_weights(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: is damaged ({str(error).splitlines()[0]}).") from None
    own = {name: _shape(tensor) for name, tensor in codec.state_dict().items()}
    other = {name: _shape(tensor) for name, tensor in weights.items()}
    for name in [*own, *other]:
        if own.get(name) != other.get(name):
            raise InputError(
                f"{name}: here {own.get(name, 'nothing')}, in {folder} {other.get(name, 'nothing')}. The weights need "
                f"the encoder, quantizer, decoder and output of {folder / CONFIG}."
            )
    codec.load_state_dict(weights)
    return f"{folder}: weights of the run {config['name']}{_rates(config['sample_rate'], codec)}"


def _rates(trained: int, codec: Codec) -> str:
    """What to say where the sample rates differ."""
    return "" if trained == codec.sample_rate else f"; trained at {trained} Hz, used at {codec.sample_rate} Hz"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
