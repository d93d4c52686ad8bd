"""Two-level designs: which switches are on together, so that the effect of each can be told from the others'."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import log2

from telucodec.errors import InputError

MOST = 9  # switches of a full design: 512 runs a seed
TRIED = 500  # designs of the best resolution among which the one with the fewest shortest words is taken


@dataclass(frozen=True)
class Factorial:
    """A full or fractional factorial design of switches that are off or on.

    The row in which all are off is always among its rows: it is the base.
    """

    switches: tuple[str, ...]
    words: tuple[frozenset[str], ...]  # defining relation: sets of switches of which every row has an even number on

    @property
    def resolution(self) -> int:
        """Length of the shortest word; 0 for a full design, in which nothing is confused.

        In a design of resolution 3 the effect of a switch is confused with pairs of others, in one of 4 with triples.
        """
        return min(map(len, self.words), default=0)

    def sign(self, effect: Sequence[str], other: Sequence[str]) -> int:
        """1 if two effects that cannot be told from each other add up, -1 if their difference is what is seen."""
        return 1 if len(set(effect) ^ set(other)) % 2 == 0 else -1

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """Which switches are on, the row in which none is first, then by number of them."""
        sets = [on for n in range(len(self.switches) + 1) for on in combinations(self.switches, n)]
        return [on for on in sets if all(len(word & set(on)) % 2 == 0 for word in self.words)]

    def aliases(self, effect: Sequence[str], longest: int = 2) -> list[tuple[str, ...]]:
        """The effects, of one switch or of some together, that cannot be told from one.

        Args:
            effect: a switch, or switches of which the interaction is meant.
            longest: how many switches an effect that is listed may have.
        """
        found = [word ^ set(effect) for word in self.words]
        short = [tuple(s for s in self.switches if s in each) for each in found if len(each) <= longest]
        return sorted(short, key=lambda each: (len(each), [self.switches.index(s) for s in each]))


def factorial(switches: Sequence[str], fraction: int = 1, resolution: int = 3) -> Factorial:
    """The design of a fraction of all combinations that confuses as little as possible.

    Args:
        switches: at least two, each once.
        fraction: 1 in how many combinations, a power of two.
        resolution: the least that will do, >= 3: no two switches may be confused with each other.

    Raises:
        InputError: the fraction is no power of two, or no such design has the resolution.

    Source: Box, Hunter and Hunter 1961, The 2^(k-p) fractional factorial designs; of the designs of the best resolution
    one with few words of that length (Fries and Hunter 1980, minimum aberration; the search is cut short).

    >>> design = factorial(["a", "b", "c"], fraction=2)
    >>> design.rows, design.resolution, design.aliases(["a"])
    ([(), ('a', 'b'), ('a', 'c'), ('b', 'c')], 3, [('b', 'c')])
    """
    count = len(switches)
    generated = int(log2(fraction)) if fraction >= 1 else 0
    if 2**generated != fraction:
        raise InputError(f"--fraction 1/{fraction}: must be 1, 1/2, 1/4, 1/8 ...")
    free = count - generated
    if count < 2 or len(set(switches)) < count or free < 1:
        raise InputError(
            f"--switches: must be two or more, each once, and for 1/{fraction} of all more than {generated}."
        )
    if count - generated > MOST:
        raise InputError(f"--switches: {2**free} runs of every seed are too many. Take a smaller --fraction.")
    if not generated:
        return Factorial(tuple(switches), ())
    for wanted in range(count, resolution - 1, -1):
        found = [_words(group) for group in islice(_groups(free, generated, wanted), TRIED)]
        if found:
            best = min(found, key=lambda words: [Counter(map(len, words))[length] for length in range(count + 1)])
            names = [frozenset(switches[bit] for bit in word) for word in best]
            return Factorial(tuple(switches), tuple(sorted(names, key=lambda each: (len(each), sorted(each)))))
    raise InputError(
        f"--fraction 1/{fraction}: no such design of {count} switches has resolution {resolution}. Take a larger "
        f"fraction, fewer switches, or a lower resolution."
    )


def _groups(free: int, generated: int, shortest: int) -> Iterator[frozenset[int]]:
    """Defining relations as sets of bit masks: a further switch is on with an odd number of some free ones."""
    candidates = [mask for mask in range(1, 2**free) if mask.bit_count() >= shortest - 1]

    def grow(group: frozenset[int], first: int, bit: int) -> Iterator[frozenset[int]]:
        if bit == free + generated:
            yield group
            return
        for number in range(first, len(candidates)):
            word = candidates[number] | 1 << bit
            new = {word, *(word ^ other for other in group)}
            if all(each.bit_count() >= shortest for each in new):
                yield from grow(group | new, number + 1, bit + 1)

    yield from grow(frozenset(), 0, free)


def _words(group: frozenset[int]) -> list[tuple[int, ...]]:
    return [tuple(bit for bit in range(word.bit_length()) if word >> bit & 1) for word in sorted(group)]
