"""Which crop comes when: a pure function of (seed, epoch, index), whatever the number of workers or restarts."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

GAMMA = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64's step: 2^64 over the golden ratio, odd


class Crop(NamedTuple):
    """One piece of one utterance."""

    entry: int  # position in the list of utterances
    start: int  # first sample


class _Epoch(NamedTuple):
    permutation: NDArray[Any]  # which slot comes when
    key: NDArray[np.uint64]  # of its starts


class CropOrder:
    """Draws crops of equal length; an epoch offers each utterance about as many as fit into it.

    Within an epoch the slots come in random order, and a slot's crop starts anywhere in its utterance. Utterances
    shorter than a crop have one slot that starts at 0 (the reader pads it).

    A start is the number that SplitMix64, begun with a hash of seed and epoch, gives at its index: 53 of its bits as a
    fraction, times the places to start from, rounded down. So no two of n places differ in probability by more than
    n / 2^53 of it, and a batch is drawn at once.

    Args:
        lengths: of the utterances, in samples.
        crop: length of a crop in samples.
        seed: of the order.

    Source: Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators.

    >>> order = CropOrder([100, 250], crop=100, seed=0)
    >>> len(order), sorted(order(position).entry for position in range(3))
    (3, [0, 1, 1])
    """

    def __init__(self, lengths: Sequence[int] | NDArray[np.int64], crop: int, seed: int) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int64)
        self.crop, self.seed = crop, seed
        self.ends = np.cumsum(np.maximum(1, self.lengths // crop))  # of each utterance's slots
        self._epochs: dict[int, _Epoch] = {}

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __call__(self, position: int) -> Crop:
        """The crop at a position of the endless order; the epoch is position // len(self)."""
        return self.batch([position])[0]

    def batch(self, positions: Sequence[int]) -> list[Crop]:
        """The crops at some positions."""
        epochs, index = np.divmod(np.asarray(positions, dtype=np.int64), len(self))
        slots, drawn = np.empty(len(index), np.int64), np.empty(len(index))
        for number in set(epochs.tolist()):
            here, epoch = epochs == number, self._epoch(number)
            slots[here] = epoch.permutation[index[here]]
            drawn[here] = _fraction(epoch.key, index[here])
        return self._somewhere(slots, drawn)

    def instead(self, position: int, attempt: int) -> Crop:
        """The crop for a position whose own cannot be read, at the first, second, ... attempt: any, at random."""
        epoch, index = divmod(position, len(self))
        slot, start = (_fraction(_key(self.seed, epoch, attempt, of), np.array([index])) for of in (0, 1))
        return self._somewhere((slot * len(self)).astype(np.int64), start)[0]

    def _somewhere(self, slots: NDArray[np.int64], drawn: NDArray[np.float64]) -> list[Crop]:
        entries = np.searchsorted(self.ends, slots, side="right")
        places = np.maximum(self.lengths[entries] - self.crop, 0) + 1
        return list(map(Crop, entries.tolist(), (drawn * places).astype(np.int64).tolist()))

    def _epoch(self, number: int) -> _Epoch:
        if number not in self._epochs:
            slots: NDArray[Any] = np.arange(len(self), dtype=np.int32 if len(self) < 2**31 else np.int64)
            np.random.default_rng([self.seed, number]).shuffle(slots)
            # a batch may lie on both sides of an epoch's end: the one before is kept
            before = {k: v for k, v in self._epochs.items() if k == number - 1}
            self._epochs = before | {number: _Epoch(slots, _key(self.seed, number))}
        return self._epochs[number]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_epochs": {}}  # a loading process draws its own sooner than it gets them


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


def _key(*parts: int) -> NDArray[np.uint64]:
    """A number that stands for several, [1]."""
    key = np.zeros(1, np.uint64)
    for part in parts:
        key = _mixed(key + GAMMA + np.uint64(part % 2**64))
    return key


def _fraction(key: NDArray[np.uint64], index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers in [0, 1): the ones at some places of the sequence that a key begins."""
    drawn = _mixed(key + GAMMA * (index.astype(np.uint64) + np.uint64(1)))
    return np.asarray((drawn >> np.uint64(11)) * 2.0**-53)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's last step: each bit of a number changes each bit of what it gives half of the time."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
