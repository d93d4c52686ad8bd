"""Where the samples of utterances are read: in their files, or in a pack."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from telucodec.audio.files import read, read_segment
from telucodec.data.columns import Columns
from telucodec.data.entry import Entry
from telucodec.data.manifest import Manifest
from telucodec.data.pack import Pack
from telucodec.errors import InputError


class Reader(Protocol):
    """Reads utterances by their place in a list; full scale = 1."""

    def file(self, index: int) -> str:
        """What an utterance is called in reports."""
        ...

    def fill(self, out: NDArray[np.float32], index: int, start: int) -> None:
        """Put samples [T] of an utterance, from one on, into `out`.

        Raises:
            InputError: they cannot be had; the message names the file.
        """
        ...

    def whole(self, index: int) -> tuple[NDArray[np.float32], int]:
        """A whole utterance, [1, T], and its sample rate in Hz.

        Raises:
            InputError: as `fill`, or it is not as long as its entry says.
        """
        ...


def reader(manifest: Manifest, entries: Sequence[Entry]) -> Reader:
    """What reads some of a manifest's utterances."""
    if manifest.pack is None:
        return Files(manifest, entries)
    assert isinstance(entries, Columns), "a pack is found by rows"
    return Packed(manifest, manifest.pack, entries)


class Files:
    """Utterances in files of their own, read by seeking.

    Args:
        manifest: where the files are.
        entries: the utterances.
    """

    def __init__(self, manifest: Manifest, entries: Sequence[Entry]) -> None:
        self.manifest, self.entries, self.folder = manifest, entries, _folder(manifest)

    def file(self, index: int) -> str:
        return _name(self.folder, self.entries, index)

    def fill(self, out: NDArray[np.float32], index: int, start: int) -> None:
        file = self.file(index)
        audio = read_segment(Path(file), start, len(out))
        if audio.shape[1] != len(out) or not np.isfinite(audio).all():
            wrong = "is cut short" if audio.shape[1] != len(out) else "holds samples that are not finite"
            raise InputError(f"{file}: {wrong}. Remove it or run `telucodec data prepare` again.")
        out[:] = audio[0]

    def whole(self, index: int) -> tuple[NDArray[np.float32], int]:
        entry = self.entries[index]
        audio, sample_rate = read(self.manifest.locate(entry))
        if (audio.shape[1], sample_rate) != (entry.samples, entry.sample_rate) or not np.isfinite(audio).all():
            told = f"{self.file(index)}: is not what {self.manifest.path} says"
            raise InputError(f"{told}. Run `telucodec data prepare` again.")
        return audio[:1], sample_rate


class Packed:
    """Utterances in a pack.

    Args:
        manifest: the list.
        pack: with all of its utterances.
        entries: some of them.
    """

    def __init__(self, manifest: Manifest, pack: Pack, entries: Columns) -> None:
        self.pack, self.entries, self.folder = pack, entries, _folder(manifest)

    def file(self, index: int) -> str:
        return _name(self.folder, self.entries, index)

    def fill(self, out: NDArray[np.float32], index: int, start: int) -> None:
        self.pack.fill(out, self.entries.rows[index], start)

    def whole(self, index: int) -> tuple[NDArray[np.float32], int]:
        return self.pack.whole(self.entries.rows[index]), self.entries[index].sample_rate


def _folder(manifest: Manifest) -> str:
    """What stands before a relative path."""
    return str(manifest.path.parent / "x")[:-1]


def _name(folder: str, entries: Sequence[Entry], index: int) -> str:
    """As `Manifest.locate`, many times as fast."""
    path = entries.path(index) if isinstance(entries, Columns) else entries[index].path
    return path if path.startswith("/") else folder + path
