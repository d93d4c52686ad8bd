"""Which crop comes when: a pure function of (seed, epoch, index), whatever the number of workers or restarts."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class Crop(NamedTuple):
    """One piece of one utterance."""

    entry: int  # position in the list of utterances
    start: int  # first sample


class CropOrder:
    """Draws crops of equal length; an epoch offers each utterance about as many as fit into it.

    Within an epoch the slots come in random order, and a slot's crop starts anywhere in its utterance. Utterances
    shorter than a crop have one slot that starts at 0 (the reader pads it).

    Args:
        lengths: of the utterances, in samples.
        crop: length of a crop in samples.
        seed: of the order.

    >>> order = CropOrder([100, 250], crop=100, seed=0)
    >>> len(order), sorted(order(position).entry for position in range(3))
    (3, [0, 1, 1])
    """

    def __init__(self, lengths: Sequence[int], crop: int, seed: int) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int64)
        self.crop, self.seed = crop, seed
        self.slots = np.repeat(np.arange(len(self.lengths)), np.maximum(1, self.lengths // crop))
        self._permutations: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self.slots)

    def __call__(self, position: int) -> Crop:
        """The crop at a position of the endless order; the epoch is position // len(self)."""
        epoch, index = divmod(position, len(self))
        entry = int(self.slots[self._permutation(epoch)[index]])
        return self._somewhere(entry, np.random.default_rng([self.seed, epoch, index]))

    def instead(self, position: int, attempt: int) -> Crop:
        """The crop for a position whose own cannot be read, at the first, second, ... attempt: any, at random."""
        epoch, index = divmod(position, len(self))
        draw = np.random.default_rng([self.seed, epoch, index, attempt])
        return self._somewhere(int(self.slots[draw.integers(len(self))]), draw)

    def _somewhere(self, entry: int, draw: np.random.Generator) -> Crop:
        room = int(self.lengths[entry]) - self.crop
        return Crop(entry, int(draw.integers(room + 1)) if room > 0 else 0)

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._permutations:
            drawn = np.random.default_rng([self.seed, epoch]).permutation(len(self))
            # a batch may lie on both sides of an epoch's end: the one before is kept
            self._permutations = {k: v for k, v in self._permutations.items() if k == epoch - 1} | {epoch: drawn}
        return self._permutations[epoch]


class EndlessBatches(Sampler[list[int]]):
    """Positions in batches, from a given one on, without end; of each batch, one process's share.

    Shares are equal and lie one behind the other: put together they are the batch, in its order.

    Args:
        batch_size: positions a batch, of all processes.
        start: first position.
        rank: the process, from 0.
        ranks: how many processes share a batch; they divide its size.

    >>> [next(iter(EndlessBatches(4, 8, rank, ranks=2))) for rank in range(2)]
    [[8, 9], [10, 11]]
    """

    def __init__(self, batch_size: int, start: int, rank: int, ranks: int) -> None:
        assert batch_size % ranks == 0, "SpeechData refuses it"
        self.batch_size, self.start, self.share = batch_size, start, batch_size // ranks
        self.offset = rank * self.share

    def __iter__(self) -> Iterator[list[int]]:
        position = self.start + self.offset
        while True:
            yield list(range(position, position + self.share))
            position += self.batch_size
