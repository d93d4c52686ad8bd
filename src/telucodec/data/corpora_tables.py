"""Readers of corpora whose index is a table: OpenSLR 66, Common Voice, FLEURS."""

import re
from pathlib import Path

from telucodec.data.recordings import Recording, find
from telucodec.errors import InputError

FLEURS_SPLITS = {"train": "train", "dev": "valid", "test": "test"}
COMMON_VOICE_TABLES = ("validated", "other", "train", "dev", "test")  # all but invalidated: a codec needs no right text


def slr66_indexes(root: Path) -> list[Path]:
    """The line_index.tsv files of OpenSLR's crowd-sourced corpora."""
    return find(root, "line_index.tsv")


def read_slr66(root: Path) -> list[Recording]:
    """OpenSLR 66 (Telugu) and its sisters: `tef_SSSSS_NNN.wav` beside `line_index.tsv` (FileID, sometimes more, text).

    The speaker is the sex and number in the name (tef_01234), the language its first two letters; no official splits.

    Raises:
        InputError: no line_index.tsv.

    Source: openslr.org/66; the index has a stray middle column in places, and only its first column is used.
    """
    recordings = []
    for index in _some(slr66_indexes(root), root, "line_index.tsv"):
        for row in read_table(index):
            name = row[0].strip().removesuffix(".wav")
            found = re.match(r"(([a-z]{2,3})[fm]_\d+)_", name)
            speaker, language = (found[1], found[2]) if found else (None, None)
            recordings.append(Recording(index.parent / f"{name}.wav", speaker, language))
    return recordings


def common_voice_indexes(root: Path) -> list[Path]:
    """The tables beside a folder of clips."""
    tables = [path for name in COMMON_VOICE_TABLES for path in find(root, f"{name}.tsv")]
    return [path for path in tables if (path.parent / "clips").is_dir()]


def read_common_voice(root: Path) -> list[Recording]:
    """Common Voice: all clips of validated, other and the official tables; the speaker is `client_id`.

    The official splits of small languages are tiny (Telugu: some 60 clips each), so splits are left to be assigned by
    speaker. Clips that were voted down (invalidated.tsv) are left out.

    Raises:
        InputError: no table, no clips folder, or a table without the columns `client_id` and `path`.

    Source: the datasheets of the Common Voice corpora; columns are read by name, because releases differ.
    """
    recordings = []
    for index in _some(common_voice_indexes(root), root, "validated.tsv or other.tsv beside a folder 'clips'"):
        header, *rows = read_table(index)
        if not {"client_id", "path"} <= set(header):
            raise InputError(f"{index}: lacks the column 'client_id' or 'path' (it has: {', '.join(header)}).")
        for number, row in enumerate(rows, 2):
            if len(row) <= max(header.index("client_id"), header.index("path")):
                raise InputError(f"{index}, line {number}: too few columns. Unpack the corpus again.")
            cells = dict(zip(header, row, strict=False))
            clip = cells["path"]
            if not Path(clip).suffix:  # early releases leave it out
                clip += ".mp3"
            language = cells.get("locale") or _language(index.parent.name)
            recordings.append(Recording(index.parent / "clips" / clip, cells["client_id"] or None, language))
    return recordings


def fleurs_indexes(root: Path) -> list[Path]:
    """The headerless tables with the seven columns of FLEURS."""
    tables = [path for name in FLEURS_SPLITS for path in find(root, f"{name}.tsv")]
    return [path for path in tables if not (path.parent / "clips").is_dir() and _columns(path) == 7]


def read_fleurs(root: Path) -> list[Recording]:
    """FLEURS: official splits (dev is valid), no speakers; two readings of one sentence are one group.

    Audio lies in `audio/{split}/` beside the tables, or in `{split}/`.

    Raises:
        InputError: no table, or the audio of a split is not there or still packed; the message says how to unpack it.

    Source: huggingface.co/datasets/google/fleurs; columns: sentence id, file, text, ..., samples, gender.
    """
    recordings = []
    for index in _some(fleurs_indexes(root), root, "train.tsv, dev.tsv or test.tsv with seven columns"):
        folder = _fleurs_audio(index)
        language = _language(index.parent.name.split("_")[0])
        split = FLEURS_SPLITS[index.stem]
        rows = read_table(index, columns=2)
        recordings += [Recording(folder / row[1], None, language, split, f"sentence {row[0]}") for row in rows]
    return recordings


def read_table(path: Path, columns: int = 1) -> list[list[str]]:
    """The rows of a tab-separated file; quotes mean nothing, blank lines are left out.

    Args:
        path: of the file, UTF-8.
        columns: how many each row has at least.

    Raises:
        InputError: missing, not UTF-8, empty, or a row is too short; the message names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error}). Unpack the corpus again.") from None
    rows = []
    # split at newlines alone: splitlines() also breaks at characters that stand inside sentences
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows.append(line.rstrip("\r").split("\t"))
            if len(rows[-1]) < columns:
                raise InputError(f"{path}, line {number}: {len(rows[-1])} columns, at least {columns} are needed.")
    if not rows:
        raise InputError(f"{path}: the index is empty. Unpack the corpus again.")
    return rows


def _some(indexes: list[Path], root: Path, what: str) -> list[Path]:
    if not indexes:
        raise InputError(f"{root}: no {what} found. Give the folder that holds it, or use --corpus folder.")
    return indexes


def _columns(path: Path) -> int:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().count("\t") + 1


def _language(code: str) -> str | None:
    return code if re.fullmatch("[a-z]{2,3}", code) else None


def _fleurs_audio(index: Path) -> Path:
    split = index.stem
    for folder in (index.parent / "audio" / split, index.parent / split):
        if folder.is_dir():
            return folder
    for packed in (index.parent / "audio" / f"{split}.tar.gz", index.parent / f"{split}.tar.gz"):
        if packed.exists():
            raise InputError(f"{packed}: still packed. Unpack it: tar -xzf {packed} -C {packed.parent}")
    raise InputError(
        f"{index.parent / 'audio' / split}: the audio that {index.name} names is not there. "
        f"Download audio/{split}.tar.gz and unpack it in {index.parent / 'audio'}, or remove {index.name}."
    )
