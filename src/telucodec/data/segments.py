"""Crops for training and whole utterances for validation."""

import signal
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from telucodec.data.entry import Entry
from telucodec.data.level import Level
from telucodec.data.manifest import Manifest
from telucodec.data.readers import reader
from telucodec.data.sampler import Crop, CropOrder
from telucodec.errors import InputError
from telucodec.records import Batch, Broken, Utterance

TRIES = 20  # readings of crops for one position before it stays silent


class Item(NamedTuple):
    """One crop, and what could not be read before it was found."""

    audio: torch.Tensor  # [1, crop]
    file: str
    broken: tuple[Broken, ...]


class Segments(Dataset[Item]):
    """Random crops by position in a `CropOrder`, read by seeking or from a pack.

    Where one cannot be read, is cut short or not finite, because its file broke after the start, another stands in for
    it: which one follows from the order's seed, the position and what is readable, whoever asks and however often.
    After `TRIES` of them the item is silence, and `BrokenFiles` ends the run.

    Args:
        manifest: where the files are.
        entries: the utterances to draw from, of one sample rate.
        order: which crop stands at which position.
        level: how loud the codec gets each crop.

    Shape:
        - Item: audio [1, crop] and the file it is from. Utterances shorter than a crop are padded with zeros.
    """

    def __init__(self, manifest: Manifest, entries: Sequence[Entry], order: CropOrder, level: Level) -> None:
        self.manifest, self.entries, self.order, self.level = manifest, entries, order, level
        self.reader, self.sample_rate = reader(manifest, entries), entries[0].sample_rate

    def __getitem__(self, position: int) -> Item:
        batch = self.__getitems__([position])
        return Item(batch.audio[0], batch.files[0], batch.broken)

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """Several at once, which is what torch's loaders ask for."""
        audio = np.zeros((len(positions), 1, self.order.crop), np.float32)
        broken: list[Broken] = []
        crops = zip(audio, positions, self.order.batch(positions), strict=True)
        files = tuple(self._take(out, position, crop, broken) for out, position, crop in crops)
        return Batch(torch.from_numpy(audio), files, tuple(broken))

    def _take(self, out: NDArray[np.float32], position: int, crop: Crop, broken: list[Broken]) -> str:
        """Read the crop for a position, or another, into `out` [1, crop]; gives its file."""
        first = file = self.reader.file(crop.entry)
        for attempt in range(1, TRIES + 1):
            audio = out[:, : self.order.lengths[crop.entry]]
            try:
                self.reader.fill(audio[0], crop.entry, crop.start)
            except InputError as error:
                broken.append(Broken(file, str(error), silent=attempt == TRIES))
                crop = self.order.instead(position, attempt)
                file = self.reader.file(crop.entry)
                continue
            if (levelled := self.level(audio, self.sample_rate)) is not audio:
                audio[:] = levelled
            return file
        return first


class Utterances(Dataset[Utterance]):
    """Whole utterances in the order of the manifest.

    Args:
        manifest: where the files are.
        entries: the utterances.
        sample_rate: that the files must have, Hz.
        level: how loud the codec gets each utterance.
    """

    def __init__(self, manifest: Manifest, entries: Sequence[Entry], sample_rate: int, level: Level) -> None:
        self.manifest, self.entries, self.sample_rate, self.level = manifest, entries, sample_rate, level
        self.reader = reader(manifest, entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Utterance:
        entry = self.entries[index]
        audio, sample_rate = self.reader.whole(index)
        if sample_rate != self.sample_rate:
            told = f"{self.reader.file(index)}: is not what is wanted: it has {sample_rate} Hz, not {self.sample_rate}"
            raise InputError(f"{told}. Run `telucodec data prepare` again.")
        audio = self.level(audio, sample_rate)
        return Utterance(torch.from_numpy(audio[None]), entry.path, entry.speaker, entry.language)

    def readable(self, index: int) -> Utterance:
        """The utterance at an index; where it cannot be read, the next that can, behind the last one from the first on.

        Raises:
            InputError: none can be read.
        """
        for place in range(index, index + len(self)):
            try:
                return self[place % len(self)]
            except InputError as error:
                broken = error
        raise broken


def collate(batch: Any) -> Batch:
    """What `Segments` gives is a batch already."""
    assert isinstance(batch, Batch), "torch asks for the crops of a batch one by one only if there is no __getitems__"
    return batch


def loudest(audio: torch.Tensor, samples: int) -> torch.Tensor:
    """The stretch of most energy of a signal, [1, T] to [1, samples]; a shorter signal is padded with zeros.

    >>> loudest(torch.tensor([[0.0, 1.0, 2.0, 0.5]]), 2)
    tensor([[1., 2.]])
    """
    short = max(0, samples - audio.shape[-1])
    audio = torch.nn.functional.pad(audio, (0, short))
    energy = torch.nn.functional.pad(audio[0].double().square().cumsum(0), (1, 0))
    start = int((energy[samples:] - energy[:-samples]).argmax())
    return audio[:, start : start + samples]


def ignore_interrupt(worker: int) -> None:
    """Leave signals that reach every process of a terminal or a job to the training process; workers end with it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
