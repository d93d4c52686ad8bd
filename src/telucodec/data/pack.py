"""One file with the samples of all utterances of a manifest, for machines where reading is what they wait for.

A block of 4096 bytes holds its header: JSON with what is in it, then spaces. The index follows: where each utterance
begins and the last one ends (int64, in samples), and the CRC-32 of each one's bytes (uint32). On the next multiple of
4096 bytes begin the samples, int16, one channel, in the order of the manifest. All numbers are little-endian.
"""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telucodec.data.columns import Columns, numbers, texts
from telucodec.data.entry import Entry
from telucodec.data.manifest import Manifest
from telucodec.errors import InputError
from telucodec.reading import from_json, held

BLOCK = 4096  # bytes
FORMAT = 1
SCALE = np.float32(2.0**-15)  # of an int16 sample; what soundfile multiplies with, too
KINDS: dict[str, type] = {
    **dict.fromkeys(("telucodec_pack", "sample_rate", "utterances", "samples"), int),
    **dict.fromkeys(("recordings", "index"), str),
}


class Pack:
    """The samples of a manifest's utterances, mapped into memory.

    Args:
        path: of the pack.
        manifest: whose utterances it must hold, in this order.

    Raises:
        InputError: it is missing, is no whole pack, or holds other recordings; the message names the cure.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        cure = f"Make it again: telucodec data pack {manifest.path} {path}"
        if not path.is_file():
            raise InputError(f"{path}: no such pack. {cure.replace('again', 'first', 1)}")
        found = header(path, f"Give a pack, or make one: telucodec data pack {manifest.path} DEST")
        if found["telucodec_pack"] != FORMAT:
            told = f"made by another version of telucodec (its format is {found['telucodec_pack']}, not {FORMAT})"
            raise InputError(f"{path}: {told}. {cure}")
        held(found, KINDS, str(path))
        wanted = expected(manifest)
        if other := [key for key, value in wanted.items() if found[key] != value]:
            unlike = f"{other[0]} {str(found[other[0]])[:64]!r}, not {str(wanted[other[0]])!r}"
            told = f"{path}: holds other recordings than {manifest.path} lists ({unlike})"
            raise InputError(f"{told}: it was made of another manifest, or of an older one. {cure}")
        self.starts = starts(manifest.entries)
        try:
            with path.open("rb") as file:
                file.seek(BLOCK)
                index = file.read(_index_bytes(len(manifest.entries)))
                size = file.seek(0, 2)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}). {cure}") from None
        self.offset, samples = offset(len(manifest.entries)), int(self.starts[-1])
        if size != self.offset + 2 * samples:
            told = f"is {size} bytes long instead of {self.offset + 2 * samples}"
            raise InputError(f"{path}: {told}: it was cut off, or is not a pack. {cure}")
        if hashlib.sha256(index).hexdigest() != found["index"] or not index.startswith(self.starts.tobytes()):
            raise InputError(f"{path}: its index is damaged. {cure}")
        self.sums = np.frombuffer(index, "<u4", offset=self.starts.nbytes)
        self._map()

    def fill(self, out: NDArray[np.float32], row: int, start: int) -> None:
        """Put samples [T] of an utterance, from one on, into `out`; full scale = 1."""
        first = int(self.starts[row]) + start
        out[:] = self.samples[first : first + len(out)]
        out *= SCALE

    def whole(self, row: int) -> NDArray[np.float32]:
        """A whole utterance, [1, T].

        Raises:
            InputError: its samples are not those that were packed.
        """
        if not self.is_whole(row):
            told = f"{self.path}: the samples of utterance {row + 1} are damaged"
            raise InputError(f"{told}. Remove it, and make it again: telucodec data pack MANIFEST {self.path}")
        audio = np.empty((1, int(self.starts[row + 1] - self.starts[row])), np.float32)
        self.fill(audio[0], row, 0)
        return audio

    def is_whole(self, row: int) -> bool:
        """Whether the samples of an utterance are those that were packed."""
        return zlib.crc32(self.samples[self.starts[row] : self.starts[row + 1]].data) == int(self.sums[row])

    def _map(self) -> None:
        mapped = np.memmap(self.path, "<i2", "r", offset=self.offset, shape=int(self.starts[-1]))
        self.samples = np.asarray(mapped)  # slices of a memmap take ten times as long as an array's

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "samples"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._map()


def packed(manifest: Manifest, path: Path | None = None) -> Manifest:
    """A manifest whose utterances are read from a pack.

    Args:
        manifest: the whole of what was packed.
        path: of the pack; None: where `pack_path` says.

    Raises:
        InputError: as `Pack`.
    """
    manifest = Manifest(manifest.path, Columns.of(manifest.entries))
    return Manifest(manifest.path, manifest.entries, Pack(path or pack_path(manifest), manifest))


def pack_path(manifest: Manifest) -> Path:
    """Where the pack of a manifest lies: beside it, with its name."""
    return manifest.path.with_suffix(".pack")


def expected(manifest: Manifest) -> dict[str, Any]:
    """What the header of a manifest's pack says.

    Raises:
        InputError: the manifest has several sample rates.
    """
    rates, times = np.unique(numbers(manifest.entries, "sample_rate"), return_counts=True)
    if len(rates) > 1:
        told = f"{manifest.path}: holds recordings of {', '.join(map(str, rates))} Hz, and a pack has one rate"
        most = rates[np.argmax(times)]
        cure = f"Convert them, say to the rate that most have: telucodec data prepare SOURCE DEST --sample-rate {most}"
        raise InputError(f"{told}. {cure}")
    begins, digest = starts(manifest.entries), hashlib.sha256()
    digest.update(begins.tobytes())
    for block in texts(manifest.entries, "sha256"):
        digest.update("".join(f"{text}\n" for text in block).encode())
    return {
        "telucodec_pack": FORMAT,
        "sample_rate": int(rates[0]),
        "utterances": len(manifest.entries),
        "samples": int(begins[-1]),
        "recordings": digest.hexdigest(),
    }


def header(path: Path, cure: str) -> Mapping[str, Any]:
    """What the first block of a pack of any format says; `telucodec_pack`, a whole number, is the format.

    Args:
        path: of a file.
        cure: what to do about one that is no pack.

    Raises:
        InputError: it cannot be read, or is no pack.
    """
    try:
        with path.open("rb") as file:
            found = from_json(file.read(BLOCK).decode(), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). {cure}") from None
    except (UnicodeDecodeError, InputError):
        found = None
    if not isinstance(found, Mapping) or type(found.get("telucodec_pack")) is not int:
        raise InputError(f"{path}: is no pack. {cure}")
    return found


def starts(entries: Sequence[Entry]) -> NDArray[np.int64]:
    """Where each utterance begins and the last one ends, in samples."""
    return np.concatenate([[0], np.cumsum(numbers(entries, "samples"))]).astype("<i8")


def _index_bytes(utterances: int) -> int:
    return 8 * (utterances + 1) + 4 * utterances


def offset(utterances: int) -> int:
    """Where the samples begin, in bytes."""
    return BLOCK * (1 + ceil(_index_bytes(utterances) / BLOCK))
