"""Any folder of recordings to what training reads: 16 kHz mono FLAC, a manifest, and a report."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from telucodec.audio.resample import RESAMPLER
from telucodec.data.assemble import (
    Splits,
    copies_note,
    divide_recordings,
    entries_of,
    list_refused,
    name_recordings,
    output_name,
    sort_out,
    write_refused,
)
from telucodec.data.convert import Job, convert, work
from telucodec.data.corpora import read_corpus
from telucodec.data.info import as_json, describe
from telucodec.data.journal import Journal, journal_key
from telucodec.data.manifest import Manifest, read_manifest, write_manifest
from telucodec.data.measure import Measured, Refused, Rules
from telucodec.data.recordings import Recording, audio_files, relative
from telucodec.data.workers import default_workers
from telucodec.disk import write_text
from telucodec.errors import InputError

JOURNAL = ".prepare.jsonl"


@dataclass(frozen=True)
class Options:
    """How a corpus is prepared."""

    corpus: str = "auto"  # a layout of telucodec.data.corpora, or "auto"
    rules: Rules = field(default_factory=Rules)
    splits: Splits = field(default_factory=Splits)
    language: str | None = None  # ISO 639 code, for recordings whose corpus tells none
    speaker_from: str | None = None  # see telucodec.data.recordings.speaker_rule
    workers: int | None = None  # processes; 0: only this one; None: one for each core


@dataclass(frozen=True)
class Prepared:
    """What preparation made."""

    manifest: Manifest
    refused: tuple[Refused, ...]
    report: dict[str, Any]  # as in report.json


def prepare(source: Path, dest: Path, options: Options, console: Console) -> Prepared:
    """Decode every recording once, measure it, refuse what cannot be used, assign splits.

    Writes DEST/audio/ (the source's paths with .flac appended), DEST/manifest.jsonl, DEST/refused.csv and
    DEST/report.json. Stopped at any moment and started again it goes on, and the result is the same byte for byte,
    whatever the number of workers.

    Args:
        source: folder with the recordings.
        dest: folder for the result: new, empty, or of an earlier preparation, not inside `source`.
        options: see `Options`.
        console: for the progress bar.

    Raises:
        InputError: a folder, option or index that cannot be used, or not one usable recording.
    """
    _check_folders(source, dest)
    corpus, recordings = read_corpus(source, options.corpus)
    named, refused = name_recordings(source, recordings, options.language, options.speaker_from)
    jobs, missing = _jobs(named, dest, options.rules)
    with Journal(dest / JOURNAL) as journal:
        _clear(dest, any(job.key not in journal.outcomes for job in jobs))
        workers = default_workers() if options.workers is None else options.workers
        measured, bad = sort_out(work(convert, jobs, journal, workers, console))
    refused = sorted([*refused, *missing, *bad, *_foreign(source, corpus)], key=lambda one: one.path)
    write_refused(dest / "refused.csv", refused)
    if not measured:
        where = dest / "refused.csv"
        raise InputError(f"{source}: all {len(refused)} recordings were refused, see {where}:\n{list_refused(refused)}")
    division = divide_recordings(named, measured, options.splits)
    outputs = {job.name: job.output for job in jobs}
    entries = entries_of(named, measured, division, outputs, options.rules.sample_rate)
    manifest = Manifest(dest / "manifest.jsonl", entries)
    write_manifest(manifest.path, entries)
    read_manifest(manifest.path)  # a long one is parsed then when training begins
    notes = [*division.notes, *copies_note(measured), *_unlisted_note(source, corpus, named)]
    report = _report(source, corpus, options) | _figures(manifest, measured.values(), refused)
    report |= {"split_by": division.by, "notes": notes}
    write_text(dest / "report.json", json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    for stale in journal.keep_only(job.key for job in jobs):
        (dest / stale).unlink(missing_ok=True)
    return Prepared(manifest, tuple(refused), report)


def _check_folders(source: Path, dest: Path) -> None:
    if not source.is_dir():
        raise InputError(f"{source}: no such folder. Give the folder that holds the recordings.")
    inner, outer = dest.resolve(), source.resolve()
    if inner == outer or outer in inner.parents:
        raise InputError(f"{dest}: lies in {source}, and would be read as a recording. Choose a folder outside it.")
    for path in (dest, *dest.parents):
        if path.exists() and not path.is_dir():
            raise InputError(f"{path}: is a file. Choose a new folder for {dest}.")
    if dest.is_dir() and not (dest / JOURNAL).exists() and any(not p.name.startswith(".") for p in dest.iterdir()):
        raise InputError(f"{dest}: is not empty and was not made by `telucodec data prepare`. Choose a new folder.")


def _jobs(named: dict[str, Recording], dest: Path, rules: Rules) -> tuple[list[Job], list[Refused]]:
    """What is to be done, and the files that the corpus names but that are not there."""
    jobs, missing = [], []
    for name, recording in named.items():
        try:
            key = journal_key(recording.path, name, rules, RESAMPLER)
        except OSError:
            missing.append(Refused(name, "missing", "no such file", "unpack the corpus again, or copy the file there"))
            continue
        jobs.append(Job(key, name, recording.path, rules, dest, output_name(name)))
    return jobs, missing


def _clear(dest: Path, changing: bool) -> None:
    """Remove what a killed run left half written, and a manifest whose files are about to change."""
    for partial in (dest / "audio").rglob(".*.partial"):
        partial.unlink(missing_ok=True)
    if changing:
        (dest / "manifest.jsonl").unlink(missing_ok=True)


def _foreign(source: Path, corpus: str) -> list[Refused]:
    """Audio of a bare folder that no library here decodes."""
    if corpus != "folder":
        return []
    return [
        Refused(
            relative(path, source), "unsupported", f"{path.suffix} is not decoded here", f"ffmpeg -i {path} {path}.wav"
        )
        for path in audio_files(source)[1]
    ]


def _unlisted_note(source: Path, corpus: str, named: dict[str, Recording]) -> list[str]:
    """What to say of audio below the source that the corpus's index does not name."""
    if corpus == "folder":
        return []
    unlisted = [path for path in audio_files(source)[0] if relative(path, source) not in named]
    if not unlisted:
        return []
    first = relative(unlisted[0], source)
    return [f"{len(unlisted)} audio files are not in the {corpus} index and were left out (first: {first})"]


def _report(source: Path, corpus: str, options: Options) -> dict[str, Any]:
    told = {"corpus": corpus, "language": options.language, "speaker_from": options.speaker_from}
    return {
        "source": str(source.resolve()),
        "options": told | asdict(options.rules) | asdict(options.splits),  # not the workers: they change nothing
        "resampler": RESAMPLER,
        "versions": {name: version(name) for name in ("telucodec", "soundfile", "soxr", "numpy")},
    }


def _figures(manifest: Manifest, measured: Iterable[Measured], refused: Sequence[Refused]) -> dict[str, Any]:
    gains = [one.gain_db for one in measured if one.gain_db < 0]
    return {
        "found": len(manifest.entries) + len(refused),
        "accepted": len(manifest.entries),
        "refused": dict(sorted(Counter(one.kind for one in refused).items())),
        "scaled_down": {"files": len(gains), "most_db": min(gains, default=0.0)},  # their peak was beyond full scale
        "splits": as_json(describe(manifest)),
    }
