"""Checkpoints that are whole or absent, and hold everything that training depends on."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO

from telucodec.disk import replacing
from telucodec.errors import InputError
from telucodec.models.stored import CONFIG_VERSION

FORMAT = 1  # of our part of a checkpoint


class AtomicIO(CheckpointIO):
    """Writes beside the target, flushes, renames; reads plain containers and tensors only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        with replacing(Path(path)) as partial, partial.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch wraps the system's refusal to write
                raise error.__context__ if isinstance(error.__context__, OSError) else OSError(str(error)) from None

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location or "cpu")

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint, trusting nothing in it but numbers.

    Raises:
        InputError: missing, cut short, or of another version; the message names the file.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        own = checkpoint["telucodec"]
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint.") from None
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: damaged or no checkpoint of telucodec ({why}). Delete it to use an older one."
        ) from None
    if own["format"] != FORMAT or own["config_version"] != CONFIG_VERSION:
        raise InputError(
            f"{path}: written by telucodec {own['version']} in checkpoint format {own['format']}, config version "
            f"{own['config_version']}; this one reads {FORMAT} and {CONFIG_VERSION}. Use that version, or train anew."
        )
    return checkpoint


def newest_checkpoint(run: Path) -> tuple[Path | None, list[str]]:
    """The newest loadable checkpoint of a run folder, and why each newer one was passed over."""
    skipped = []
    for path in sorted((run / "checkpoints").glob("step-*.ckpt"), reverse=True):
        try:
            read_checkpoint(path)
        except InputError as error:
            skipped.append(str(error))
        else:
            return path, skipped
    return None, skipped


def random_states() -> dict[str, Any]:
    """States of every random generator in use, as plain containers and tensors."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 (the global generator's state is what is saved)
    assert isinstance(numpy_state, dict)
    version, numbers, gauss = random.getstate()
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [numpy_state["state"]["key"].tolist(), int(numpy_state["state"]["pos"])],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Put the random generators back to where `random_states` found them."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    key, position = states["numpy"]
    np.random.set_state(("MT19937", np.array(key, dtype=np.uint32), int(position), 0, 0.0))  # noqa: NPY002
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
