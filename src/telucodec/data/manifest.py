"""The list of utterances that everything downstream reads: one JSON object a line."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from telucodec.disk import write_text
from telucodec.errors import InputError

SPLITS = ("train", "valid", "test")
KINDS: dict[str, type | tuple[type, ...]] = {  # what a line must hold under the names that later code counts on
    **dict.fromkeys(("path", "split", "sha256", "source"), str),
    **dict.fromkeys(("samples", "sample_rate", "source_sample_rate", "bytes"), int),
    **dict.fromkeys(("rms_dbfs", "peak", "bandwidth_hz"), (int, float)),
    **dict.fromkeys(("speaker", "language"), (str, type(None))),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One utterance on disk."""

    path: str  # relative to the manifest's folder, or absolute
    samples: int  # decoded length, per channel
    sample_rate: int  # of the file, Hz
    source_sample_rate: int  # of the recording it was made from, Hz
    speaker: str | None  # None: unknown
    language: str | None  # ISO 639 code, for example "te"
    split: str  # train, valid or test
    rms_dbfs: float
    peak: float  # largest absolute sample, full scale = 1
    bandwidth_hz: float  # where the spectrum ends, see telucodec.audio.level.bandwidth
    bytes: int  # size of the file
    sha256: str  # of the file's bytes
    source: str  # where it came from: the original file's path, or how it was made

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate


@dataclass(frozen=True)
class Manifest:
    """The utterances of a data set and the folder their paths start from."""

    path: Path  # of the manifest file
    entries: tuple[Entry, ...]

    def locate(self, entry: Entry) -> Path:
        """The file of an entry."""
        return self.path.parent / entry.path

    def split(self, name: str) -> tuple[Entry, ...]:
        """The entries of one split.

        Raises:
            InputError: there are none; the message says which splits exist.
        """
        found = tuple(entry for entry in self.entries if entry.split == name)
        if not found:
            there = ", ".join(sorted({entry.split for entry in self.entries})) or "none"
            raise InputError(f"{self.path}: no utterance is in the split '{name}' (splits there: {there}).")
        return found


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        InputError: missing, empty, or a line is not an entry; the message names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # splitlines() also breaks at characters inside strings
    except OSError:
        raise InputError(f"{path}: no such manifest or folder. Make one: telucodec data prepare SOURCE DEST.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a manifest (not UTF-8 text). Give the manifest.jsonl that was made.") from None
    entries = tuple(_parse(path, number, line) for number, line in enumerate(lines, 1) if line.strip())
    if not entries:
        raise InputError(f"{path}: the manifest lists no utterance. Make it again: telucodec data prepare SOURCE DEST.")
    return Manifest(path, entries)


def write_manifest(path: Path, entries: Iterable[Entry]) -> None:
    """Write a manifest, complete or not at all."""
    write_text(path, "".join(json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in entries))


def check_files(manifest: Manifest, entries: Sequence[Entry]) -> None:
    """Hold the files against the manifest by existence and size.

    Raises:
        InputError: some are missing or changed; the message names the first three and the cure.
    """
    wrong = []
    for entry in entries:
        file = manifest.locate(entry)
        if not file.exists():
            wrong.append(f"{file}: missing")
        elif file.stat().st_size != entry.bytes:
            wrong.append(f"{file}: changed ({file.stat().st_size} bytes, the manifest says {entry.bytes})")
    if wrong:
        more = f"\n  and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise InputError(
            f"{manifest.path}: {len(wrong)} of {len(entries)} files do not match the manifest:\n  "
            + "\n  ".join(wrong[:3])
            + more
            + "\nPut them back, or make the manifest again with `telucodec data prepare`."
        )


def _parse(path: Path, number: int, line: str) -> Entry:
    names = {field.name for field in fields(Entry)}
    try:
        row = json.loads(line)
        entry = Entry(**row)
    except (json.JSONDecodeError, TypeError):
        missing = sorted(names - set(row)) if (row := _object(line)) else []
        why = f"lacks {', '.join(missing)}" if missing else "is not an entry"
        raise InputError(f"{path}, line {number}: {why}. Make it again: telucodec data prepare SOURCE DEST.") from None
    if wrong := [name for name, kinds in KINDS.items() if not isinstance(getattr(entry, name), kinds)]:
        found = json.dumps(getattr(entry, wrong[0]), ensure_ascii=False)
        raise InputError(
            f"{path}, line {number}: {wrong[0]} is {found}. Make it again: telucodec data prepare SOURCE DEST."
        )
    if entry.split not in SPLITS:
        raise InputError(f"{path}, line {number}: split '{entry.split}' is none of {', '.join(SPLITS)}.")
    return entry


def _object(line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return row if isinstance(row, dict) else {}
