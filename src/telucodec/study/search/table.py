"""The trials of a search as rows, the best first, each with the command that makes its runs again."""

import csv
import io
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from telucodec.disk import write_text
from telucodec.study.search.search import RUNS, WHY
from telucodec.study.search.space import Parameter
from telucodec.study.search.storage import counted

STATUS = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "stopped early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "interrupted",
    TrialState.WAITING: "waiting",
}


@dataclass(frozen=True)
class Row:
    """One trial."""

    number: int
    status: str
    value: float | None  # of one that was stopped early: the last that it had; None if it has none
    chosen: tuple[str, ...]  # its overrides; none of one that waits
    steps: int  # of its last validation
    runs: tuple[str, ...]  # identities, by seed
    why: str  # it failed
    command: str


def rows(study: Study, space: Sequence[Parameter], words: Callable[[Sequence[str]], Sequence[str]]) -> list[Row]:
    """All trials: those that came to a value first, from the best on, then the others by number.

    Args:
        study: the search.
        space: what was searched.
        words: gives the command for the overrides of a trial.
    """
    upside = study.direction == StudyDirection.MAXIMIZE

    def place(row: Row) -> tuple[bool, float, int]:
        ended = row.status == STATUS[TrialState.COMPLETE] and row.value is not None
        return not ended, (-row.value if upside else row.value) if ended and row.value is not None else 0.0, row.number

    return sorted((_row(trial, space, words) for trial in counted(study.get_trials(deepcopy=False))), key=place)


def write_trials(found: Sequence[Row], space: Sequence[Parameter], path: Path) -> None:
    """Write trials as CSV, one line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "status", "value", "steps", *(one.key for one in space), "runs", "why", "command"])
    for row in found:
        values = [override.partition("=")[2] for override in row.chosen] or [""] * len(space)
        value = "" if row.value is None else repr(row.value)
        writer.writerow([row.number, row.status, value, row.steps, *values, " ".join(row.runs), row.why, row.command])
    write_text(path, text.getvalue())


def _row(trial: FrozenTrial, space: Sequence[Parameter], words: Callable[[Sequence[str]], Sequence[str]]) -> Row:
    set_all = all(one.key in trial.params for one in space)  # not if the search was killed while it asked
    chosen = tuple(one.suggest(trial) for one in space) if set_all else ()
    return Row(
        number=trial.number,
        status=STATUS[trial.state],
        value=trial.value if trial.state.is_finished() else None,
        chosen=chosen,
        steps=max(trial.intermediate_values, default=0),
        runs=tuple(trial.user_attrs.get(RUNS, ())),
        why=str(trial.user_attrs.get(WHY, "")),
        command=shlex.join(words(chosen)) if chosen else "",
    )
