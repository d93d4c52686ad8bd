"""Checkpoints that are whole or absent, and hold everything that training depends on."""

import random
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from packaging.version import Version

from telucodec import ranks
from telucodec.disk import replacing
from telucodec.errors import InputError
from telucodec.models.stored import CONFIG_VERSION
from telucodec.reading import held, regular

OLDER = "Delete it to use an older one."
FORMAT = 2  # of our part of a checkpoint; older ones are brought to it by MIGRATIONS


class AtomicIO(CheckpointIO):
    """Writes beside the target, flushes, renames; reads plain containers and tensors only.

    Of several processes one writes, and the others wait for it: what went wrong is kept until all `check`.
    """

    def __init__(self) -> None:
        self.refused: InputError | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        try:
            write_checkpoint(checkpoint, Path(path))
        except InputError as error:
            if not ranks.together():
                raise
            self.refused = error

    def check(self) -> None:
        """Raise what the last save came to, in all processes. All of them must ask."""

        def tell() -> None:
            if self.refused is not None:
                raise self.refused

        ranks.by_first(tell)

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location or "cpu")

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, complete or not at all.

    Raises:
        InputError: it cannot be written; the message names the file.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:  # torch wraps the system's refusal to write
            raise error.__context__ if isinstance(error.__context__, OSError) else OSError(str(error)) from None


def read_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint, trusting nothing in it but numbers, and bring it to this format.

    Its checksums are those of the archive that torch writes: a CRC-32 of every tensor and of the containers around
    them, which finds any flipped bit. torch itself does not look at them.

    Raises:
        InputError: missing, cut short, changed, or of another version; the message names the file.
    """
    regular(path, OLDER)
    try:
        with ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
                raise ValueError("it claims to hold more than there is")
            if changed := archive.testzip():
                raise ValueError(f"{changed} in it has changed since it was written")
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        own = held(checkpoint, WHOLE, "it")["telucodec"]
        version, config_version, layout = own["version"], own["config_version"], own["format"]
        if config_version == CONFIG_VERSION and layout in MIGRATIONS:
            MIGRATIONS[layout](own)
        if own["format"] == FORMAT:
            held(own, OWN, "telucodec in it")
            Version(checkpoint[VERSION])
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint.") from None
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: damaged or no checkpoint of telucodec ({why}). {OLDER}") from None
    if own["format"] != FORMAT or config_version != CONFIG_VERSION:
        raise InputError(
            f"{path}: written by telucodec {version} in checkpoint format {layout}, config version "
            f"{config_version}; this one reads {FORMAT} and {CONFIG_VERSION}. Use that version, or train anew."
        )
    return checkpoint


def _from_1(own: dict[str, Any]) -> None:
    """It was written by one process, and forgot how often gradients had been clipped since they were last logged."""
    states = own["random"]
    devices = states["cuda"]  # of all that the process saw, of which it used the first
    own |= {"format": 2, "random": [states | {"cuda": devices[0] if devices else None}], "clipping": {}}


VERSION = "pytorch-lightning_version"
# what Lightning and we read from one without looking
WHOLE = {"telucodec": dict, "global_step": int, "state_dict": dict, "optimizer_states": list, "loops": dict}
WHOLE |= {"callbacks": dict, VERSION: str}
OWN = {"random": list, "clipping": dict}
MIGRATIONS = {1: _from_1}  # format -> what brings our part of such a checkpoint to FORMAT


def saved(run: Path) -> dict[int, Path]:
    """The checkpoints of a run folder by their steps, whatever is in them."""
    found = (run / "checkpoints").glob(f"step-{'[0-9]' * 9}.ckpt")
    return {int(path.stem.removeprefix("step-")): path for path in found}


def newest_checkpoint(run: Path) -> tuple[Path | None, list[str]]:
    """The newest loadable checkpoint of a run folder, and why each newer one was passed over."""
    skipped = []
    for _, path in sorted(saved(run).items(), reverse=True):
        try:
            read_checkpoint(path)
        except InputError as error:
            skipped.append(str(error))
        else:
            return path, skipped
    return None, skipped


def random_states() -> dict[str, Any]:
    """States of every random generator that this process uses, as plain containers and tensors."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 (the global generator's state is what is saved)
    assert isinstance(numpy_state, dict)
    version, numbers, gauss = random.getstate()
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [numpy_state["state"]["key"].tolist(), int(numpy_state["state"]["pos"])],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,  # type: ignore[no-untyped-call]
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Put the random generators back to where `random_states` found them."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    key, position = states["numpy"]
    np.random.set_state(("MT19937", np.array(key, dtype=np.uint32), int(position), 0, 0.0))  # noqa: NPY002
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] is not None and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.set_rng_state(states["cuda"].cpu())
