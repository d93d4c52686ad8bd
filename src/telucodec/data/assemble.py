"""From recordings and their measurements to a manifest's entries, for preparation and for folders in place."""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from telucodec.audio.files import EXTENSIONS
from telucodec.data.entry import Entry, presentable
from telucodec.data.journal import Outcome
from telucodec.data.measure import Measured, Refused
from telucodec.data.recordings import Recording, relative, speaker_rule
from telucodec.data.split import Division, Piece, divide
from telucodec.disk import write_text
from telucodec.errors import InputError


@dataclass(frozen=True, slots=True)
class Splits:
    """How recordings are shared out, see `telucodec.data.split.divide`."""

    valid: float = 0.05  # fraction of the duration
    test: float = 0.05
    seed: int = 0


def name_recordings(
    root: Path, recordings: Sequence[Recording], language: str | None, speaker_from: str | None
) -> tuple[dict[str, Recording], list[Refused]]:
    """Recordings by their path relative to the root, with what is known of speaker and language filled in.

    Args:
        root: of the corpus.
        recordings: to name.
        language: for those whose corpus tells none.
        speaker_from: the rule for those whose corpus tells no speaker, see `telucodec.data.recordings.speaker_rule`.

    Raises:
        InputError: the speaker rule finds a speaker in no path at all.
    """
    named: dict[str, Recording] = {}
    refused = []
    speaker = speaker_rule(speaker_from)
    for recording in recordings:
        name = _name(recording.path, root)
        if isinstance(name, Refused):
            refused.append(name)
            continue
        who = recording.speaker if recording.speaker is not None else speaker(name)
        if not presentable(f"{who}{recording.language}"):
            told = "its speaker or language holds control characters"
            refused.append(Refused(name, "bad name", told, "correct the corpus's index"))
            continue
        named[name] = replace(recording, speaker=who, language=recording.language or language)
    if speaker_from is not None and named and all(recording.speaker is None for recording in named.values()):
        first = next(iter(named))
        raise InputError(f"speaker rule '{speaker_from}': names no speaker in any path, for example not in '{first}'.")
    return named, refused


def divide_recordings(named: Mapping[str, Recording], measured: Mapping[str, Measured], splits: Splits) -> Division:
    """Assign a split to each usable recording.

    Raises:
        InputError: as `telucodec.data.split.divide`.
    """
    pieces = [
        Piece(name, float(one.samples), named[name].speaker, named[name].group, named[name].split)
        for name, one in measured.items()  # samples stand for seconds: all have one rate, and integers sum exactly
    ]
    return divide(pieces, splits.valid, splits.test, splits.seed)


def entries_of(
    named: Mapping[str, Recording],
    measured: Mapping[str, Measured],
    division: Division,
    paths: Mapping[str, str],
    sample_rate: int,
) -> tuple[Entry, ...]:
    """The manifest's entries, sorted by name.

    Args:
        named: recordings by name.
        measured: the usable ones.
        division: their splits.
        paths: the file of each, as the manifest shall have it.
        sample_rate: of the files, Hz.
    """
    return tuple(
        Entry(
            path=paths[name],
            samples=one.samples,
            sample_rate=sample_rate,
            source_sample_rate=one.source_sample_rate,
            speaker=named[name].speaker,
            language=named[name].language,
            split=division.splits[name],
            rms_dbfs=one.rms_dbfs,
            peak=one.peak,
            bandwidth_hz=one.bandwidth_hz,
            bytes=one.bytes,
            sha256=one.sha256,
            source=name,
        )
        for name, one in sorted(measured.items())
    )


def sort_out(outcomes: Mapping[str, Outcome]) -> tuple[dict[str, Measured], list[Refused]]:
    """The usable and the refused, both sorted by name."""
    pairs = sorted(outcomes.items())
    usable = {name: outcome for name, outcome in pairs if isinstance(outcome, Measured)}
    return usable, [outcome for _, outcome in pairs if isinstance(outcome, Refused)]


def copies_note(measured: Mapping[str, Measured]) -> list[str]:
    """What to say when recordings are exact copies of others: two splits may then share a sound."""
    first: dict[str, str] = {}
    copies = [(name, first[one.sha256]) for name, one in measured.items() if first.setdefault(one.sha256, name) != name]
    if not copies:
        return []
    return [
        f"{len(copies)} recordings are exact copies of others (first: {copies[0][0]} of {copies[0][1]}): "
        "remove them, or training and test may share a sound"
    ]


def write_refused(path: Path, refused: Sequence[Refused]) -> None:
    """Write the list of refused recordings as CSV (path, reason, cure), with a header even if there are none."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "reason", "cure"])
    table.writerows([one.path, f"{one.kind}: {one.reason}", one.cure] for one in refused)
    write_text(path, text.getvalue())


def list_refused(refused: Sequence[Refused], most: int = 5) -> str:
    """The first few of them for a message, one a line."""
    lines = [f"  {one}" for one in refused[:most]]
    more = [f"  and {len(refused) - most} more"] if len(refused) > most else []
    return "\n".join([*lines, *more])


def output_name(name: str) -> str:
    """Where the FLAC of a recording goes: its own path with .flac appended, so that a.wav and a.mp3 do not meet.

    A FLAC file keeps its name, except where another recording may take it (a.wav.flac beside a.wav). A name too long
    for a file system is cut and told apart by a hash.

    >>> output_name("anu/1.wav"), output_name("anu/1.mp3"), output_name("anu/1.flac"), output_name("anu/1.wav.flac")
    ('audio/anu/1.wav.flac', 'audio/anu/1.mp3.flac', 'audio/anu/1.flac', 'audio/anu/1.wav.flac.flac')
    """
    stem = name.removesuffix(".flac")
    if not stem.lower().endswith(EXTENSIONS):
        name = stem
    folder, _, last = f"audio/{name}".rpartition("/")
    if len(last.encode()) > 200:  # 255 bytes are allowed, and a partial file carries a suffix
        digest = hashlib.sha256(last.encode()).hexdigest()[:16]
        last = last.encode()[:160].decode(errors="ignore") + "-" + digest
    return f"{folder}/{last}.flac"


def _name(path: Path, root: Path) -> str | Refused:
    """The name of a recording, or why it has none."""
    if not path.is_relative_to(root) or ".." in path.relative_to(root).parts:
        return Refused(_shown(str(path)), "outside", f"not below {root}", "correct the corpus's index")
    name = relative(path, root)
    if not presentable(name):
        return Refused(_shown(name), "bad name", "its name is not UTF-8, or holds control characters", "rename it")
    return name


def _shown(text: str) -> str:
    return "".join(character if presentable(character) else ascii(character)[1:-1] for character in text)
