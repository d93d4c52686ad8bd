"""Which recordings train, validate and test: the same for everyone, and never a speaker in two."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from telucodec.errors import InputError


@dataclass(frozen=True, slots=True)
class Piece:
    """What a division must know of a recording."""

    name: str
    seconds: float
    speaker: str | None = None
    group: str | None = None  # what must stay together when no speaker is known
    split: str | None = None  # the corpus's own


@dataclass(frozen=True)
class Division:
    """A split for each recording, and what to say about it."""

    splits: Mapping[str, str]  # name -> train, valid or test
    by: str  # what two splits never share: speaker, group or file; corpus: its own splits
    notes: tuple[str, ...]


def divide(pieces: Sequence[Piece], valid: float, test: float, seed: int = 0) -> Division:
    """Assign splits by speaker, else by group, else by file.

    A corpus's own splits are kept as long as no speaker is in two of them; one that it lacks is drawn from what trains.
    Speakers are taken in the order of a hash of seed and name; one that would overfill a split (by duration) is passed
    over, and a split that stays empty gets the shortest one. So the order of `pieces` does not matter.

    Args:
        pieces: the usable recordings.
        valid: fraction of the duration for validation, in [0, 1); 0: no such split.
        test: as `valid`, for the test split; valid + test < 1.
        seed: another one draws other speakers.

    Raises:
        InputError: fractions out of range, or fewer recordings than splits.

    >>> pieces = [Piece(f"{s}{i}.wav", 1.0, speaker=s) for s in "abcdefghij" for i in range(4)]
    >>> division = divide(pieces, valid=0.1, test=0.1)
    >>> sorted(division.splits.values()).count("valid"), division.by
    (4, 'speaker')
    >>> len({(name[0], split) for name, split in division.splits.items()})
    10
    """
    if min(valid, test) < 0 or valid + test >= 1:
        raise InputError(f"fractions valid {valid:g} and test {test:g}: each must be >= 0 and both together below 1.")
    own, notes = _official(pieces)
    fractions = {
        name: part for name, part in (("test", test), ("valid", valid)) if part > 0 and name not in own.values()
    }
    if own:
        notes += [f"the corpus has no split '{name}' of its own: it was drawn from train" for name in fractions]
    fixed = {name: split for name, split in own.items() if split != "train" or not fractions}
    free = [piece for piece in pieces if piece.name not in fixed]
    keys = {piece.name: _key(piece) for piece in free}
    if free and fractions:
        keys, too_few = _enough(keys, fractions)
        notes += too_few
    drawn = _draw(free, keys, fractions, seed) if free else {}
    return Division(fixed | drawn, _by(keys, own), (*notes, *_unknown(pieces, keys)))


def _draw(free: Sequence[Piece], keys: Mapping[str, str], fractions: Mapping[str, float], seed: int) -> dict[str, str]:
    """Fill the splits that are asked for and leave the rest, never nothing, to train."""
    seconds: dict[str, float] = defaultdict(float)
    for piece in sorted(free, key=lambda piece: piece.name):  # a fixed order, because sums of floats depend on it
        seconds[keys[piece.name]] += piece.seconds
    total = sum(seconds[key] for key in sorted(seconds))
    order = sorted(seconds, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).digest())
    taken: dict[str, str] = {}
    for number, (split, fraction) in enumerate(fractions.items(), 1):
        spare = len(order) - (len(fractions) - number) - 1  # one for each later split and one for train remain
        filled = 0.0
        for key in order:
            if key not in taken and len(taken) < spare and filled + seconds[key] <= fraction * total:
                taken[key] = split
                filled += seconds[key]
        if not filled:
            taken[min((key for key in order if key not in taken), key=lambda key: seconds[key])] = split
    return {piece.name: taken.get(keys[piece.name], "train") for piece in free}


def _official(pieces: Sequence[Piece]) -> tuple[dict[str, str], list[str]]:
    """The corpus's own splits, bound to speakers; none of them when they share a speaker."""
    own = {piece.name: piece.split for piece in pieces if piece.split}
    of: dict[str, set[str]] = defaultdict(set)
    for piece in pieces:
        if piece.speaker and piece.split:
            of[piece.speaker].add(piece.split)
    if shared := sorted(speaker for speaker, splits in of.items() if len(splits) > 1):
        return {}, [f"the corpus's own splits share {len(shared)} speakers (first: {shared[0]}), so they were not used"]
    bound = {piece.name: next(iter(of[piece.speaker])) for piece in pieces if piece.speaker and of[piece.speaker]}
    return {**bound, **own}, []


def _key(piece: Piece) -> str:
    if piece.speaker is not None:
        return f"speaker {piece.speaker}"
    return f"group {piece.group}" if piece.group is not None else f"file {piece.name}"


def _enough(keys: dict[str, str], fractions: dict[str, float]) -> tuple[dict[str, str], list[str]]:
    """Keys of which there are more than splits to draw: by file if speakers are too few, without test if files are."""
    notes = []
    found = sorted(set(keys.values()))
    if len(found) <= len(fractions) and len(found) < len(keys):
        names = ", ".join(found)
        notes.append(
            f"only {len(found)} for {len(fractions) + 1} splits ({names}): splits were drawn by file and share voices, "
            "so validation and test say nothing about new speakers"
        )
        keys = {name: f"file {name}" for name in keys}
    if len(keys) <= len(fractions) and fractions.keys() == {"test", "valid"}:
        del fractions["test"]
        notes.append("too few recordings for a test split: there is none")
    if len(set(keys.values())) <= len(fractions):
        split = next(iter(fractions))
        raise InputError(
            f"{len(keys)} usable recording: cannot be split into train and {split}. "
            f"Add recordings, or set the {split} fraction to 0."
        )
    return keys, notes


def _unknown(pieces: Sequence[Piece], keys: Mapping[str, str]) -> list[str]:
    unknown = sum(piece.speaker is None for piece in pieces)
    if not unknown:
        return []
    if not keys:
        return ["no speaker is known: the corpus's own splits were kept"]
    by = "group" if any(key.startswith("group ") for key in keys.values()) else "file"
    if unknown == len(pieces):
        return [
            f"no speaker is known: splits were drawn by {by}, so a voice may be in two of them. "
            "If file or folder names tell the speaker, say how with speaker_from (--speaker-from)"
        ]
    return [
        f"{unknown} of {len(pieces)} recordings have no speaker: they went by {by}, and a voice may be in two splits"
    ]


def _by(keys: Mapping[str, str], own: Mapping[str, str]) -> str:
    kinds = {key.split(" ")[0] for key in keys.values()} or {"corpus" if own else "file"}
    return next(kind for kind in ("file", "group", "speaker", "corpus") if kind in kinds)
