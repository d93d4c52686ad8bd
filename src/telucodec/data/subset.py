"""Part of the recordings: how little data is enough is a question, and a validation must not take all day."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from telucodec.data.columns import chosen, in_split, texts
from telucodec.data.entry import Entry
from telucodec.data.manifest import Manifest
from telucodec.data.source import Source
from telucodec.errors import InputError, at_least


class Subset:
    """Recordings of a source, with the training and the validation split cut down to so many utterances.

    They are drawn by a hash of their path: the same for all runs, and every speaker has a chance.

    Args:
        source: gives the recordings.
        train_utterances: how many to train on, >= 1; null means all.
        valid_utterances: how many to validate on, >= 1; null means all.
        test_utterances: how many to measure the finished codec on, >= 0; null means all.
    """

    def __init__(
        self,
        *,
        source: Source,
        train_utterances: int | None,
        valid_utterances: int | None,
        test_utterances: int | None,
    ) -> None:
        self.source = source
        self.wanted = {"train": train_utterances, "valid": valid_utterances, "test": test_utterances}
        for split, wanted in self.wanted.items():
            if wanted is not None:
                at_least(0 if split == "test" else 1, **{f"{split}_utterances": wanted})

    def __call__(self) -> Manifest:
        """The source's manifest, cut down.

        Raises:
            InputError: there are fewer training utterances than asked for.
        """
        manifest = self.source()
        there = len(manifest.split("train"))
        if (wanted := self.wanted["train"]) is not None and wanted > there:
            raise InputError(
                f"subset.train_utterances is {wanted}, but {manifest.path} has {there} to train on: ask for fewer."
            )
        kept = np.ones(len(manifest.entries), dtype=np.bool_)
        for split, wanted in self.wanted.items():
            if wanted is not None:
                here = np.flatnonzero(in_split(manifest.entries, split))
                kept[here[_by_hash(chosen(manifest.entries, here))[wanted:]]] = False
        return manifest if kept.all() else replace(manifest, entries=chosen(manifest.entries, np.flatnonzero(kept)))


def _by_hash(entries: Sequence[Entry]) -> NDArray[np.intp]:
    """Places of entries in the order of a hash of their paths."""
    hashes = b"".join(sha256(path.encode()).digest() for block in texts(entries, "path") for path in block)
    return np.lexsort(np.frombuffer(hashes, ">u8").reshape(-1, 4).T[::-1])  # by the first 8 bytes, then the next
