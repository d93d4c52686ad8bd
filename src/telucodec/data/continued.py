"""The recordings of a run that goes on: training files may have broken since it began, and nothing else may differ."""

from collections.abc import Sequence
from os.path import isfile
from pathlib import Path

import numpy as np

from telucodec.audio.files import probe, read
from telucodec.data.entry import Entry
from telucodec.data.manifest import Manifest
from telucodec.errors import InputError


def as_begun(begun: Manifest, now: Manifest) -> Manifest:
    """What a run goes on with: the list it was begun with where training files broke since, else today's.

    A source that finds its files anew leaves a broken one out, and may then divide or draw the others differently. So
    the files decide: as long as the rest are as they were, the run's own list stands.

    Args:
        begun: with absolute paths, as a run keeps it.
        now: from the source.
    """
    if now.pack is not None or begun.entries == now.absolute():
        return now  # no file of it is read, or all is as it was
    today = {entry.path: entry.sha256 for entry in now.absolute()}
    lost = False
    for entry in begun.entries:
        if today.get(entry.path) == entry.sha256:
            continue
        broken = entry.split == "train" and damaged(begun.locate(entry))
        if not broken and (entry.path in today or not _as_listed(begun.locate(entry), entry)):
            return now  # it is another recording, or one to validate or test on is gone: the run names it
        lost = lost or broken
    return Manifest(now.path, begun.entries) if lost else now


def still_whole(manifest: Manifest, entries: Sequence[Entry]) -> list[Entry]:
    """Those utterances but the ones to train on whose file is gone, or of another size because it is damaged."""

    def broken(entry: Entry) -> bool:
        file = manifest.locate(entry)
        return entry.split == "train" and not _as_listed(file, entry) and damaged(file)

    return [entry for entry in entries if not broken(entry)]


def damaged(file: Path) -> bool:
    """Whether a file is gone, cut short, or holds no audio that can be used: no other recording is in its place."""
    try:
        audio, _ = read(file)
        return audio.shape[1] != probe(file).samples or not np.isfinite(audio).all() or _is_cut_wav(file)
    except InputError:
        return True


def _as_listed(file: Path, entry: Entry) -> bool:
    return isfile(file) and file.stat().st_size == entry.bytes


def _is_cut_wav(file: Path) -> bool:
    """Whether a WAV file says that it is longer than it is; it is read all the same, up to where it ends."""
    with file.open("rb") as opened:
        name, size = opened.read(4), opened.read(4)
    return name == b"RIFF" and 8 + int.from_bytes(size, "little") > file.stat().st_size
