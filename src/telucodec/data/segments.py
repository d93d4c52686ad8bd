"""Crops for training and whole utterances for validation, read from disk."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from telucodec.audio.files import read, read_segment
from telucodec.data.level import Level
from telucodec.data.manifest import Entry, Manifest
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
    """Random crops by position in a `CropOrder`, read by seeking.

    Where one cannot be read, is cut short or not finite, because its file broke after the start, another stands in for
    it: which one follows from the order's seed, the position and what is readable, whoever asks and however often.
    After `TRIES` of them the item is silence, and `BrokenFiles` ends the run.

    Args:
        manifest: where the files are.
        entries: the utterances to draw from.
        order: which crop stands at which position.
        level: how loud the codec gets each crop.

    Shape:
        - Item: audio [1, crop] and the file it is from. Utterances shorter than a crop are padded with zeros.
    """

    def __init__(self, manifest: Manifest, entries: Sequence[Entry], order: CropOrder, level: Level) -> None:
        self.manifest, self.entries, self.order, self.level = manifest, tuple(entries), order, level

    def __getitem__(self, position: int) -> Item:
        broken: list[Broken] = []
        for attempt in range(TRIES):
            crop = self.order.instead(position, attempt) if attempt else self.order(position)
            file = self.manifest.locate(self.entries[crop.entry])
            try:
                return Item(self._read(crop, file), str(file), tuple(broken))
            except InputError as error:
                broken.append(Broken(str(file), str(error), silent=attempt + 1 == TRIES))
        return Item(torch.zeros(1, self.order.crop), broken[0].file, tuple(broken))

    def _read(self, crop: Crop, file: Path) -> torch.Tensor:
        entry = self.entries[crop.entry]
        wanted = min(self.order.crop, entry.samples)
        audio = read_segment(file, crop.start, wanted)
        if audio.shape[1] != wanted or not np.isfinite(audio).all():
            wrong = "is cut short" if audio.shape[1] != wanted else "holds samples that are not finite"
            raise InputError(f"{file}: {wrong}. Remove it or run `telucodec data prepare` again.")
        audio = self.level(audio[:1], entry.sample_rate)
        return torch.from_numpy(np.pad(audio, ((0, 0), (0, self.order.crop - audio.shape[1]))))


class Utterances(Dataset[Utterance]):
    """Whole utterances in the order of the manifest.

    Args:
        manifest: where the files are.
        entries: the utterances.
        sample_rate: that the files must have, Hz.
        level: how loud the codec gets each utterance.
    """

    def __init__(self, manifest: Manifest, entries: Sequence[Entry], sample_rate: int, level: Level) -> None:
        self.manifest, self.entries, self.sample_rate, self.level = manifest, tuple(entries), sample_rate, level

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Utterance:
        entry = self.entries[index]
        file = self.manifest.locate(entry)
        audio, sample_rate = read(file)
        if sample_rate != self.sample_rate or audio.shape[1] != entry.samples or not np.isfinite(audio).all():
            raise InputError(f"{file}: is not what {self.manifest.path} says. Run `telucodec data prepare` again.")
        audio = self.level(audio[:1], sample_rate)
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


def collate(items: Sequence[Item]) -> Batch:
    """Crops to a batch."""
    broken = tuple(each for item in items for each in item.broken)
    return Batch(torch.stack([item.audio for item in items]), tuple(item.file for item in items), broken)


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
