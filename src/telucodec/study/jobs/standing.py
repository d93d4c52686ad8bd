"""How many jobs stand before they start, and after they ended."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from telucodec.disk import replacing
from telucodec.errors import InputError
from telucodec.reading import held, read_json
from telucodec.study.jobs.board import fitting
from telucodec.study.jobs.job import JOB, Job, content_of, read_job, state
from telucodec.study.jobs.outcome import Outcome
from telucodec.study.jobs.progress import SHOWN, cells, ended_with
from telucodec.training.version import code_version

MEANS = {
    "finished": "finished before and skipped",
    "diverged": "diverged before and skipped",
    "running": "at work in another process",
    "interrupted": "to go on from where they stopped",
    "failed": "failed before and tried again",
    "waiting": "to begin",
}


def standing(jobs: Sequence[Job]) -> str:
    """What is going to happen, in a sentence."""
    counts = Counter(state(job.folder).status for job in jobs)
    told = ", ".join(f"{counts[status]} {meaning}" for status, meaning in MEANS.items() if counts[status])
    other = len(list(of_other_code(jobs)))
    apart = f" {other} finished by other code ({code_version()} runs now) are kept apart." if other else ""
    return f"{len(jobs)} runs: {told}.{apart}"


def of_other_code(jobs: Sequence[Job]) -> Iterator[Path]:
    """Folders of runs that other code made of one of the same configurations, and that are over."""
    wanted = {content_of(job.config, job.base) for job in jobs}
    for path in {found for job in jobs for found in job.root.glob(f"jobs/*/{JOB}")}:
        try:
            code, job = held(read_json(path), {"code": str}, str(path))["code"], read_job(path.parent)
        except InputError:  # a run that nobody can tell from others is of no use
            continue
        if code != code_version() and content_of(job.config, job.base) in wanted and state(path.parent).over:
            yield path.parent


def outcome_table(outcomes: Sequence[Outcome]) -> Table:
    """How each job stands, one row each."""
    table = fitting("run", "", "seconds", *(name for _, name, _ in SHOWN), "diagnosis")
    for outcome in outcomes:
        figures, label = ended_with(outcome.job.folder)
        seconds = f"{state(outcome.job.folder).seconds:.0f}"
        table.add_row(escape(outcome.job.label), outcome.status, seconds, *cells(figures), label)
    return table


def write_table(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write how each job stands as CSV: what it is, the values in which jobs differ, and its last figures.

    Raises:
        InputError: the file cannot be written.
    """
    rows = [_row(outcome) for outcome in outcomes]
    keys = dict.fromkeys(key for row in rows for key in row)
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(keys), restval="")
        writer.writeheader()
        writer.writerows(rows)


def _row(outcome: Outcome) -> dict[str, Any]:
    job, now = outcome.job, state(outcome.job.folder)
    figures, label = ended_with(job.folder)
    about = {"run": job.label, "status": outcome.status, "steps": now.steps, "seconds": round(now.seconds, 1)}
    shown = {key: _value(job.config, key) for key in job.shown}
    return about | {"diagnosis": label} | shown | figures | {"folder": str(job.folder)}


def _value(config: Mapping[str, Any], key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return ""
        node = node[part]
    return json.dumps(node) if isinstance(node, Mapping | list) else node
