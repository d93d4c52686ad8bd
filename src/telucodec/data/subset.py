"""Part of the recordings: how little data is enough is a question, and a validation must not take all day."""

from dataclasses import replace
from hashlib import sha256

from telucodec.data.manifest import Entry, Manifest
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
        kept = {entry.path for split in ("train", "valid", "test") for entry in self._drawn(manifest, split)}
        return replace(manifest, entries=tuple(entry for entry in manifest.entries if entry.path in kept))

    def _drawn(self, manifest: Manifest, split: str) -> list[Entry]:
        entries = [entry for entry in manifest.entries if entry.split == split]
        wanted = self.wanted.get(split)
        return entries if wanted is None else sorted(entries, key=lambda e: sha256(e.path.encode()).digest())[:wanted]
