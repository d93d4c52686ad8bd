"""What Lightning asks for data."""

import time
from collections.abc import Sequence
from pathlib import Path

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from telucodec import ranks
from telucodec.data.columns import numbers
from telucodec.data.continued import as_begun, still_whole
from telucodec.data.entry import Entry
from telucodec.data.level import Level
from telucodec.data.manifest import Manifest, check_files, read_manifest
from telucodec.data.sampler import CropOrder, EndlessBatches
from telucodec.data.segments import Segments, Utterances, collate, ignore_interrupt, loudest
from telucodec.data.source import Source, console
from telucodec.errors import InputError, at_least
from telucodec.records import Batch

CHECKED = 10_000  # files whose size a start looks at, at most


class SpeechData(lightning.LightningDataModule):
    """Endless random crops for training, whole utterances for validation and test.

    Args:
        source: gives the manifest.
        sample_rate: that all files must have, Hz.
        segment_seconds: length of a training crop, > 0.
        batch_size: crops a step, over all processes and micro-batches; each process takes an equal share of them.
        workers: loading processes; 0 loads in the training process.
        seed: of the order of crops.
        level: how loud the codec gets each crop and each utterance.
        pin_memory: whether batches are put into page-locked memory, for faster transfer to a GPU.
    """

    def __init__(
        self,
        *,
        source: Source,
        sample_rate: int,
        segment_seconds: float,
        batch_size: int,
        workers: int,
        seed: int,
        level: Level,
        pin_memory: bool,
    ) -> None:
        super().__init__()
        at_least(1, batch_size=batch_size)
        at_least(0, workers=workers, seed=seed)
        if not 1 <= segment_seconds * sample_rate <= 1e9:
            raise ValueError(f"segment_seconds must be at least one sample and at most 1e9, got {segment_seconds}")
        self.source, self.sample_rate, self.segment_seconds = source, sample_rate, segment_seconds
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.level, self.pin_memory = level, pin_memory
        self.arrived = 0.0  # when the newest training batch was there

    def prepare(self, begun: Path | None = None) -> Manifest:
        """Find or make the recordings, and hold them against what training needs.

        Args:
            begun: the list of utterances that a run which goes on was begun with. Where training files have broken
                since, it goes on with that list, and another crop stands in for theirs (`Segments`).

        Raises:
            InputError: files are missing, changed, of another sample rate, or all silent; or a batch has no equal
                shares for all processes.
        """
        if self.batch_size % ranks.count():
            share = self.batch_size // ranks.count()
            near = " or ".join(str(size * ranks.count()) for size in (share, share + 1) if size)
            raise InputError(
                f"loader.batch_size: {self.batch_size} crops have no equal shares for {ranks.count()} devices, which "
                f"make a batch together. Choose {near}."
            )
        return ranks.in_turn(lambda: self._prepare(begun))  # recordings may have to be made

    def _prepare(self, begun: Path | None) -> Manifest:
        self.manifest = self.source() if begun is None else as_begun(read_manifest(begun), self.source())
        train, valid = self.manifest.split("train"), self.manifest.split("valid")
        rates = numbers(self.manifest.entries, "sample_rate")
        if len(wrong := np.flatnonzero(rates != self.sample_rate)):
            raise InputError(
                f"{self.manifest.locate(self.manifest.entries[wrong[0]])}: {rates[wrong[0]]} Hz, but this codec "
                f"runs at {self.sample_rate} Hz ({len(wrong)} such files). "
                f"Convert them once: telucodec data prepare SOURCE DEST --sample-rate {self.sample_rate}."
            )
        if self.manifest.pack is None:
            self._check_files(begun is not None)
        for name, entries in (("train", train), ("valid", valid)):
            if numbers(entries, "rms_dbfs").max() < -60:
                raise InputError(
                    f"{self.manifest.path}: every utterance of the split '{name}' is silent (below -60 dBFS)."
                )
        self.train_entries: Sequence[Entry] = train
        self.order = CropOrder(numbers(train, "samples"), round(self.segment_seconds * self.sample_rate), self.seed)
        return self.manifest

    def _check_files(self, forgiving: bool) -> None:
        """Hold files against the manifest: all of them, or a part of very many, which may lie on a slow disk."""
        entries = self.manifest.entries
        if (every := -(-len(entries) // CHECKED)) > 1:
            console().print(
                f"{self.manifest.path}: one in {every} of {len(entries)} files is looked for; what else is missing is "
                f"found when it is read. All: telucodec data info {self.manifest.path} --verify",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
            entries = entries[::every]
        check_files(self.manifest, still_whole(self.manifest, entries) if forgiving else entries)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches from the position that the step count says, so that a resumed run sees what comes next."""
        start = self.trainer.global_step * self.batch_size if self.trainer is not None else 0
        return DataLoader(
            Segments(self.manifest, self.train_entries, self.order, self.level),  # type: ignore[arg-type]
            batch_sampler=EndlessBatches(self.batch_size, start, ranks.own(), ranks.count()),
            num_workers=self.workers,
            collate_fn=collate,
            pin_memory=self.pin_memory and torch.cuda.is_available(),
            persistent_workers=self.workers > 0,
            worker_init_fn=ignore_interrupt,
            generator=torch.Generator(),  # its own, so that starting the workers draws nothing from the run's
        )

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        self.arrived = time.monotonic()  # before any callback has taken its time
        return batch

    def utterances(self, split: str) -> Utterances:
        """Whole utterances of a split."""
        return Utterances(self.manifest, self.manifest.split(split), self.sample_rate, self.level)

    def crops(self, split: str, count: int) -> torch.Tensor:
        """The loudest training-sized crops of utterances spread over a split, [min(count, utterances), 1, T].

        A training utterance that cannot be read is passed over: the next one takes its place.
        """
        utterances, samples = self.utterances(split), round(self.segment_seconds * self.sample_rate)
        count = min(count, len(utterances))
        take = utterances.readable if split == "train" else utterances.__getitem__
        chosen = [take(index * len(utterances) // count) for index in range(count)]
        return torch.stack([loudest(utterance.audio[0], samples) for utterance in chosen])

    @property
    def seconds_per_step(self) -> float:
        """Audio that one step hears."""
        return self.batch_size * self.segment_seconds

    @property
    def steps_per_epoch(self) -> float:
        """Steps after which every slot of the order has been visited once."""
        return len(self.order) / self.batch_size
