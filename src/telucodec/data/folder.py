"""A bare folder that training reads in place, indexed once and kept in the cache."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from telucodec.audio.files import SEEKABLE, convert_hint, probe
from telucodec.data.assemble import (
    Splits,
    copies_note,
    divide_recordings,
    entries_of,
    list_refused,
    name_recordings,
    sort_out,
)
from telucodec.data.cache import cache_dir
from telucodec.data.convert import Job, measure_in_place, work
from telucodec.data.corpora import read_corpus
from telucodec.data.entry import presentable
from telucodec.data.journal import Journal, journal_key
from telucodec.data.manifest import Manifest, write_manifest
from telucodec.data.measure import Refused, Rules
from telucodec.data.recordings import Recording, audio_files
from telucodec.data.workers import default_workers
from telucodec.disk import whole
from telucodec.errors import InputError

MOST_REFUSED = 0.1  # a folder with more bad files than this is not what its owner thinks it is
FEW = 50  # files that this process measures sooner than new ones start


@dataclass(frozen=True)
class Indexed:
    """A folder's usable recordings, and what its user should hear about."""

    manifest: Manifest  # paths are absolute; its file lies in the cache
    refused: tuple[Refused, ...]  # set aside
    notes: tuple[str, ...]  # on splits and copies


def index_folder(
    root: Path,
    console: Console,
    *,
    splits: Splits | None = None,
    speaker_from: str | None = None,
    rules: Rules | None = None,
    workers: int | None = None,
) -> Indexed:
    """Measure the recordings of a folder where they lie; files measured before are not read again.

    A bad file or two among good ones are set aside, for the caller to name. The measurements and the manifest are kept
    in the cache folder; a file counts as known by its path, size and time.

    Args:
        root: folder of WAV and FLAC files at the wanted rate, mono; subfolders count.
        console: for the progress bar.
        splits: see `Splits`; None: its defaults.
        speaker_from: see `telucodec.data.recordings.speaker_rule`.
        rules: see `Rules`; None: its defaults. `trim_db` has no meaning here.
        workers: processes; 0: only this one; None: one for each core, or 0 for a small folder.

    Raises:
        InputError: no such folder, no audio in it, a file that needs converting first (MP3, another rate, stereo), or
            more than 10 % (and more than one) of the files bad; the message names files and the cure.
    """
    splits, rules = splits or Splits(), rules or Rules()
    root = whole(root)
    if not presentable(str(root)):
        raise InputError(f"{str(root)!r}: has characters in its name that a list cannot hold. Rename the folder.")
    named, refused = name_recordings(root, read_corpus(root, "folder")[1], None, speaker_from)
    jobs = [Job(_key(one, name, rules), name, one.path, rules, root) for name, one in named.items()]
    told = repr((str(root), splits, rules, speaker_from))
    kept = cache_dir() / "folders" / hashlib.sha256(told.encode(errors="backslashreplace")).hexdigest()[:16]
    with Journal(kept.with_suffix(".measured.jsonl")) as journal:
        _check_formats([job.source for job in jobs if job.key not in journal.outcomes], root, rules.sample_rate)
        if workers is None:
            workers = 0 if len(jobs) <= FEW else default_workers()
        measured, bad = sort_out(work(measure_in_place, jobs, journal, workers, console))
    refused = [*refused, *bad]
    if not measured or len(refused) > max(1, MOST_REFUSED * len(named)):
        raise InputError(
            f"{root}: {len(refused)} of {len(named)} files cannot be used:\n{list_refused(refused)}\n"
            f"Remove or repair them, or keep the good ones: telucodec data prepare {root} PREPARED."
        )
    division = divide_recordings(named, measured, splits)
    paths = {name: str(recording.path) for name, recording in named.items()}
    manifest = Manifest(kept.with_suffix(".jsonl"), entries_of(named, measured, division, paths, rules.sample_rate))
    write_manifest(manifest.path, manifest.entries)
    journal.keep_only(job.key for job in jobs)
    return Indexed(manifest, tuple(refused), (*division.notes, *copies_note(measured), *_left_out(root)))


def _key(recording: Recording, name: str, rules: Rules) -> str:
    try:
        return journal_key(recording.path, name, rules)
    except OSError:  # a broken link: never known
        return f"missing {name}"


def _check_formats(files: list[Path], root: Path, sample_rate: int) -> None:
    """Refuse the folder when files need converting.

    Raises:
        InputError: names the first three.
    """
    wrong = []
    for file in files:
        try:
            info = probe(file)
        except InputError:
            continue  # refused one by one later
        if info.format not in SEEKABLE:
            wrong.append(f"{file}: {info.format} cannot be read in pieces exactly")
        elif (info.sample_rate, info.channels) != (sample_rate, 1):
            wrong.append(f"{file}: {info.sample_rate} Hz, {info.channels} channel{'s'[: info.channels > 1]}")
    if wrong:
        more = f"\n  and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise InputError(
            f"{root}: {len(wrong)} files are not {sample_rate} Hz mono WAV or FLAC:\n  "
            + "\n  ".join(wrong[:3])
            + f"{more}\n{convert_hint(root, sample_rate)}"
        )


def _left_out(root: Path) -> list[str]:
    notes = []
    if foreign := audio_files(root)[1]:
        notes.append(f"{len(foreign)} files were left out because they need converting first (first: {foreign[0]})")
    if (manifest := root / "manifest.jsonl").exists():
        notes.append(f"{root} holds a manifest: data=manifest data.manifest={manifest} keeps its speakers and splits")
    return notes
