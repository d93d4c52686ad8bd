"""The work on one recording, done in a process of its own, and its bookkeeping."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from telucodec.audio.decode import decode, to_int16
from telucodec.audio.files import write
from telucodec.audio.level import dbfs
from telucodec.audio.silence import trim_silence
from telucodec.data.entry import RANGES
from telucodec.data.journal import Journal, Outcome
from telucodec.data.measure import Measured, Refused, Rules, judge, measure
from telucodec.data.progress import progress_bar
from telucodec.data.workers import run_jobs
from telucodec.errors import InputError

HEADROOM = 0.999  # the peak that a signal beyond full scale is brought down to


@dataclass(frozen=True, slots=True)
class Job:
    """One recording to measure, and where to put what is made of it."""

    key: str  # in the journal
    name: str  # relative to the source folder
    source: Path
    rules: Rules
    folder: Path  # of the journal; `output` starts here
    output: str = ""  # empty: nothing is made


def convert(job: Job) -> Outcome:
    """Decode a recording to mono 16-bit FLAC at the wanted rate and measure what was written.

    The level stays as it is, except that a peak beyond full scale is scaled to 0.999.

    Raises:
        InputError: the result cannot be written.
    """
    rules = job.rules
    if refused := check_file(job.name, job.source):
        return refused
    try:
        audio, source_rate = decode(job.source, rules.sample_rate)
    except InputError as error:
        return _unreadable(job, error)
    if rules.trim_db is not None and np.isfinite(audio).all():
        audio = trim_silence(audio, rules.sample_rate, rules.trim_db)
    if refused := judge(job.name, audio, rules.sample_rate, rules):
        return refused
    peak = float(np.abs(audio).max())
    gain = HEADROOM / peak if peak > 1 else 1.0
    stored = to_int16(audio * np.float32(gain)).astype(np.float32) / np.float32(32768)  # measure what a reader will get
    file = job.folder / job.output
    write(file, stored, rules.sample_rate)
    return replace(measure(stored, rules.sample_rate, source_rate, file), gain_db=round(dbfs(gain), 2))


def measure_in_place(job: Job) -> Outcome:
    """Measure a file that training can read as it is."""
    if refused := check_file(job.name, job.source):
        return refused
    try:
        audio, source_rate = decode(job.source, job.rules.sample_rate)
    except InputError as error:
        return _unreadable(job, error)
    refused = judge(job.name, audio, source_rate, job.rules)
    if (
        refused is None and (peak := float(np.abs(audio).max())) > RANGES["peak"][1]
    ):  # whoever reads the list refuses it
        refused = Refused(job.name, "too loud", f"a peak of {peak:.3g}", "export it again: full scale is 1")
    return refused or measure(audio, source_rate, source_rate, job.source)


def check_file(name: str, path: Path) -> Refused | None:
    """What can be said against a file without reading it."""
    if not path.is_file():
        return Refused(name, "missing", "no such file", "unpack the corpus again, or copy the file there")
    if path.stat().st_size == 0:
        return Refused(name, "empty", "0 bytes", "remove it or copy it again")
    return None


def crashed(job: Job) -> Outcome:
    """The outcome of a recording whose decoding kills the process."""
    return Refused(
        job.name,
        CRASHED,
        "decoding it ended the process (damaged, or too long for the memory)",
        "convert it by other means",
    )


CRASHED = "crashed"


def work(
    function: Callable[[Job], Outcome], jobs: Sequence[Job], journal: Journal, workers: int, console: Console
) -> dict[str, Outcome]:
    """The outcome of every job: from the journal where it is there and its output still lies on disk, else by doing it.

    Args:
        function: gives the outcome of a job.
        jobs: all of them.
        journal: open.
        workers: processes; 0: only this one.
        console: for the progress bar, which appears if anything is to be done.

    Returns:
        Outcomes by name.
    """
    done = {job.name: journal.outcomes[job.key] for job in jobs if _finished(job, journal)}
    waiting = [job for job in jobs if job.name not in done]
    if not waiting:
        return done
    refused = sum(isinstance(outcome, Refused) for outcome in done.values())
    results = run_jobs(function, crashed, waiting, workers)
    with closing(results), progress_bar(console) as bar:
        task = bar.add_task("recordings", total=len(jobs), completed=len(done), note="")
        for job, outcome in results:
            done[job.name] = outcome
            refused += isinstance(outcome, Refused)
            if not (isinstance(outcome, Refused) and outcome.kind == CRASHED):  # perhaps only the memory was short
                journal.add(job.key, outcome, job.output)
            bar.update(task, advance=1, note=f"{refused} refused" if refused else "")
    return done


def _finished(job: Job, journal: Journal) -> bool:
    outcome = journal.outcomes.get(job.key)
    if isinstance(outcome, Measured) and job.output:
        file = job.folder / job.output
        return file.is_file() and file.stat().st_size == outcome.bytes
    return outcome is not None


def _unreadable(job: Job, error: InputError) -> Refused:
    reason = str(error).removeprefix(f"{job.source}: ").split(". ")[0]
    return Refused(job.name, "unreadable", reason, "remove it, copy it again, or convert it to WAV or FLAC")
