"""Which corpus a folder holds, and its recordings."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from telucodec.data import corpora_indian as indian
from telucodec.data import corpora_tables as tables
from telucodec.data.recordings import Recording, audio_files
from telucodec.errors import InputError


class Layout(NamedTuple):
    """A way to lay out a corpus on disk."""

    indexes: Callable[[Path], list[Path]]  # root -> the index files by which it is recognised; none: not this layout
    read: Callable[[Path], list[Recording]]  # root -> recordings
    about: str


def read_folder(root: Path) -> list[Recording]:
    """Every file below a folder that can be decoded; nothing is known of speakers or splits."""
    return [Recording(path) for path in audio_files(root)[0]]


LAYOUTS: dict[str, Layout] = {
    "slr66": Layout(tables.slr66_indexes, tables.read_slr66, "OpenSLR 66 and its sisters: line_index.tsv beside wav"),
    "common_voice": Layout(
        tables.common_voice_indexes, tables.read_common_voice, "Common Voice: validated.tsv, other.tsv, clips/"
    ),
    "fleurs": Layout(tables.fleurs_indexes, tables.read_fleurs, "FLEURS: train.tsv, dev.tsv, test.tsv, audio/{split}/"),
    "indictts": Layout(indian.indictts_indexes, indian.read_indictts, "IndicTTS and festvox: txt.done.data, wav/"),
    "respin": Layout(indian.respin_indexes, indian.read_respin, "RESPIN: meta_*.json, D1..D4/speaker/"),
    "syspin": Layout(indian.syspin_indexes, indian.read_syspin, "SYSPIN: *_Transcripts.json, wav/"),
    "folder": Layout(lambda root: [], read_folder, "any folder of audio files"),
}


def detect(root: Path) -> str:
    """The name of the layout of a folder; "folder" when it is none of the known corpora.

    Raises:
        InputError: not a folder, or several corpora lie in it.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder. Give the folder that holds the recordings.")
    found = {name: indexes[0] for name, layout in LAYOUTS.items() if (indexes := layout.indexes(root))}
    if len(found) > 1:
        what = ", ".join(f"{name} ({path.relative_to(root)})" for name, path in found.items())
        raise InputError(f"{root}: holds several corpora: {what}. Prepare them one by one, or name one with --corpus.")
    return next(iter(found), "folder")


def read_corpus(root: Path, name: str = "auto") -> tuple[str, list[Recording]]:
    """The recordings of a corpus, sorted by path, each once.

    Args:
        root: the folder that holds it.
        name: one of `LAYOUTS`, or "auto" to recognise it.

    Returns:
        The layout's name and the recordings.

    Raises:
        InputError: no such folder or layout, an index that is missing or damaged, or no recording at all.
    """
    if name not in ("auto", *LAYOUTS):
        raise InputError(f"corpus '{name}': not known. Choose one of: auto, {', '.join(LAYOUTS)}.")
    if name == "auto" or not root.is_dir():
        name = detect(root)
    first_to_last = LAYOUTS[name].read(root)
    recordings = {
        recording.path: recording for recording in reversed(first_to_last)
    }  # the first mention of a path wins
    if not recordings:
        raise InputError(_nothing(root, name))
    return name, [recordings[path] for path in sorted(recordings)]


def _nothing(root: Path, name: str) -> str:
    if name != "folder":
        return f"{root}: the index of this {name} corpus names no recording. Unpack it whole, or try --corpus folder."
    if foreign := audio_files(root)[1]:
        first = foreign[0]
        return f"{root}: {len(foreign)} files need converting first, for example: ffmpeg -i {first} {first}.wav"
    return f"{root}: no audio (WAV, FLAC, OGG, MP3, Opus) here or in subfolders. Give the folder of the recordings."
