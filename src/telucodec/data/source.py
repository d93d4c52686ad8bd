"""Where recordings come from: callables that give a manifest."""

from pathlib import Path
from typing import Protocol

from rich.console import Console

from telucodec import ranks
from telucodec.data.assemble import Splits
from telucodec.data.folder import index_folder
from telucodec.data.manifest import Manifest, read_manifest
from telucodec.data.measure import Rules
from telucodec.data.pack import packed
from telucodec.data.synthesis import embedded


class Source(Protocol):
    """Gives the recordings of a run, making them first where that is its job."""

    def __call__(self) -> Manifest: ...


class FromManifest:
    """Recordings that `telucodec data prepare` has made.

    Args:
        manifest: path of a manifest.jsonl, or of the folder that holds it.
    """

    def __init__(self, *, manifest: str | None) -> None:
        if manifest is None:
            raise ValueError("give the manifest: data.manifest=PREPARED/manifest.jsonl")
        path = Path(manifest).expanduser()
        self.path = path / "manifest.jsonl" if path.is_dir() else path

    def __call__(self) -> Manifest:
        return read_manifest(self.path)


class FromPack:
    """Recordings that `telucodec data pack` has packed: the same as their manifest gives, read faster.

    Args:
        manifest: path of a manifest.jsonl, or of the folder that holds it.
        pack: path of the pack; null: beside the manifest, where the command puts it.
    """

    def __init__(self, *, manifest: str | None, pack: str | None) -> None:
        self.manifest = FromManifest(manifest=manifest)
        self.pack = None if pack is None else Path(pack).expanduser()

    def __call__(self) -> Manifest:
        return packed(self.manifest(), self.pack)


class FromFolder:
    """A bare folder of 16 kHz mono WAV or FLAC files, used in place.

    Args:
        root: the folder; subfolders count.
        valid_fraction: of the duration that goes to validation, in (0, 1).
        test_fraction: of the duration that goes to the test split, in [0, 1).
        seed: of the split.
        speaker_from: what names the speaker of a file: "parent" (its folder), a regular expression with one group on
            its relative path, or null (unknown: the split goes by file).
        sample_rate: that the files have, Hz.
    """

    def __init__(
        self,
        *,
        root: str | None,
        valid_fraction: float,
        test_fraction: float,
        seed: int,
        speaker_from: str | None,
        sample_rate: int,
    ) -> None:
        if root is None:
            raise ValueError("give the folder: data.root=PATH")
        self.root = Path(root).expanduser()
        self.valid_fraction, self.test_fraction, self.seed = valid_fraction, test_fraction, seed
        self.speaker_from, self.sample_rate = speaker_from, sample_rate
        if not (0 < valid_fraction < 1 and 0 <= test_fraction < 1 - valid_fraction):
            told = f"{valid_fraction} and {test_fraction}"
            raise ValueError(f"valid_fraction must be > 0, and with test_fraction below 1 in sum, got {told}")

    def __call__(self) -> Manifest:
        shown = console()
        splits = Splits(self.valid_fraction, self.test_fraction, self.seed)
        rules = Rules(sample_rate=self.sample_rate)
        indexed = index_folder(self.root, shown, splits=splits, speaker_from=self.speaker_from, rules=rules)
        for refused in indexed.refused:
            shown.print(f"set aside: {refused}", highlight=False, markup=False, soft_wrap=True)
        for note in indexed.notes:
            shown.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
        return indexed.manifest


class Embedded:
    """Telugu sentences spoken by espeak-ng: about 20 minutes, made once, in the cache folder."""

    def __call__(self) -> Manifest:
        return embedded(console())


def console() -> Console:
    """Of several processes the first speaks."""
    return Console(stderr=True, quiet=ranks.own() > 0)
