"""The list of utterances that everything downstream reads: one JSON object a line.

A relative path stays below the manifest's folder; an absolute one may lead anywhere, for the list that a run keeps of
its data holds such paths, and symbolic links are followed, for recordings often lie on another disk. What they lead to
is only ever read, and only as audio.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from os.path import isfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from telucodec.data.entry import KINDS, NAMES, RANGES, SPLITS, Entry, presentable
from telucodec.disk import replacing, whole, write_text
from telucodec.errors import InputError
from telucodec.reading import LARGEST, holdable, read_text

if TYPE_CHECKING:
    from telucodec.data.pack import Pack

SHORT = 1 << 22  # bytes of a manifest (about 10,000 lines) that is parsed line by line; a longer one by columns
CURE = "Make it again: telucodec data prepare SOURCE DEST."


@dataclass(frozen=True)
class Manifest:
    """The utterances of a data set and the folder their paths start from."""

    path: Path  # of the manifest file
    entries: Sequence[Entry]  # a tuple, or `Columns` of a long one
    pack: "Pack | None" = None  # where their samples are read; None: from their files

    def locate(self, entry: Entry) -> Path:
        """The file of an entry."""
        return self.path.parent / entry.path

    def absolute(self) -> Sequence[Entry]:
        """The entries with paths that hold wherever the list lies."""
        from telucodec.data.columns import Columns

        folder = whole(self.path.parent)
        if isinstance(self.entries, Columns):
            return self.entries.placed(folder)
        return tuple(replace(entry, path=str(folder / entry.path)) for entry in self.entries)

    def split(self, name: str) -> Sequence[Entry]:
        """The entries of one split.

        Raises:
            InputError: there are none; the message says which splits exist.
        """
        from telucodec.data.columns import chosen, in_split

        found = chosen(self.entries, np.flatnonzero(in_split(self.entries, name)))
        if not found:
            there = ", ".join(sorted({entry.split for entry in self.entries})) or "none"
            raise InputError(f"{self.path}: no utterance is in the split '{name}' (splits there: {there}).")
        return found


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        InputError: missing, empty, or a line is not an entry; the message names file and line.
    """
    if not isfile(path):
        raise InputError(f"{path}: no such manifest or folder. Make one: telucodec data prepare SOURCE DEST.")
    entries = _long(path) if path.stat().st_size > SHORT else None
    if entries is None:
        entries = tuple(_parse(path, number, line) for number, line in _lines(path) if line.strip())
    if not entries:
        raise InputError(f"{path}: the manifest lists no utterance. Make it again: telucodec data prepare SOURCE DEST.")
    return Manifest(path, entries)


def write_manifest(path: Path, entries: Iterable[Entry]) -> None:
    """Write a manifest, complete or not at all."""
    from telucodec.data.columns import Columns

    if not isinstance(entries, Columns):
        write_text(path, "".join(json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in entries))
        return
    from telucodec.data.long import lines

    with replacing(path) as partial, partial.open("wb") as file:
        file.writelines(lines(entries))


def check_files(manifest: Manifest, entries: Sequence[Entry]) -> None:
    """Hold the files against the manifest by existence and size.

    Raises:
        InputError: some are missing or changed; the message names the first three and the cure.
    """
    wrong = []
    for entry in entries:
        file = manifest.locate(entry)
        if not isfile(file):
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


def _long(path: Path) -> Sequence[Entry] | None:
    """The entries of a long manifest; None if the parser of lines has to look at it."""
    from telucodec.data.kept import kept_columns  # pyarrow takes longer to import than a short manifest to parse

    try:
        return kept_columns(path)
    except OSError:
        return None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a manifest and their numbers, of a long one without taking all of it into memory."""
    if path.stat().st_size <= SHORT:
        yield from enumerate(read_text(path).split("\n"), 1)  # splitlines() also breaks at characters inside strings
        return
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LARGEST), b""), 1):
                yield number, line.decode()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). {CURE}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: cannot be read (not UTF-8 text). {CURE}") from None


def _parse(path: Path, number: int, line: str) -> Entry:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict) or row.keys() != NAMES:
        missing = sorted(NAMES - row.keys()) if isinstance(row, dict) else []
        why = f"lacks {', '.join(missing)}" if missing else "is not an entry"
        raise InputError(f"{path}, line {number}: {why}. {CURE}")
    if wrong := [name for name in NAMES if not _fits(name, row[name])]:
        found = json.dumps(row[min(wrong)], ensure_ascii=True)[:100]
        raise InputError(f"{path}, line {number}: {min(wrong)} is {found}. {CURE}")
    if row["split"] not in SPLITS:
        raise InputError(f"{path}, line {number}: split '{row['split']}' is none of {', '.join(SPLITS)}.")
    if not holdable(row["samples"], row["bytes"]):
        told = f"{row['samples']} samples are more than {row['bytes']} bytes can hold"
        raise InputError(f"{path}, line {number}: {told}. {CURE}")
    if ".." in Path(row["path"]).parts:
        told = f"the path {row['path']!r} leads out of the manifest's folder"
        raise InputError(f"{path}, line {number}: {told}. Write the whole path, from / on.")
    return Entry(**row)


def _fits(name: str, value: object) -> bool:
    """Whether a value is of the kind and in the range that later code counts on."""
    if isinstance(value, bool) or not isinstance(value, KINDS[name]):
        return False
    if isinstance(value, str):
        return presentable(value)
    low, high = RANGES.get(name, (0, 0))
    return value is None or (low <= value <= high and isfinite(value))  # type: ignore[operator,arg-type]
