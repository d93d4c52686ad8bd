"""What a search is told to do, and what it came to: its tables, its pictures, its runs in TensorBoard."""

from collections.abc import Callable, Sequence
from pathlib import Path

from optuna.study import Study
from rich.console import Console
from rich.table import Table

from telucodec.study.search.pictures import draw, importances
from telucodec.study.search.search import Search
from telucodec.study.search.settings import Settings
from telucodec.study.search.space import Parameter
from telucodec.study.search.table import Row, rows, write_trials
from telucodec.study.tensorboard import gather_arms

SHOWN, SPOKEN = 5, 3  # of the best trials: rows, and commands


def announce(asked: Settings, space: Sequence[Parameter], study: Study, folder: Path, console: Console) -> None:
    """Print what is searched, for what, and what is there already."""
    table = Table("searched", "from", title=f"{asked.metric}, to {asked.direction}, in {asked.n_trials} trials")
    for one in space:
        table.add_row(one.key, one.told())
    console.print(table)
    there = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
    if there:
        console.print(f"{folder}: {there} trials are there; the search goes on.", highlight=False, soft_wrap=True)


def conclude(search: Search, folder: Path, words: Callable[[Sequence[str]], Sequence[str]], console: Console) -> bool:
    """Write trials.csv, the pictures and TensorBoard's view of all runs, and print the best trials.

    Args:
        search: as it stands.
        folder: of the sweep.
        words: gives the command for the overrides of a trial.
        console: to print on.

    Returns:
        Whether any trial came to a value.
    """
    found = rows(search.study, search.space, words)
    write_trials(found, search.space, folder / "trials.csv")
    best = [row for row in found if row.status == "finished"]
    if best:
        console.print(_table(best, search))
    for row in best[:SPOKEN]:
        console.print(f"trial {row.number}: {row.command}", highlight=False, markup=False, soft_wrap=True)
    for row in [row for row in found if row.why][:SHOWN]:
        console.print(f"trial {row.number} failed: {row.why}", highlight=False, markup=False, soft_wrap=True)
    if decided := importances(search.study):
        told = ", ".join(f"{key} {share:.0%}" for key, share in decided.items())
        console.print(f"what decides whether a trial is in the best third: {told}", highlight=False, soft_wrap=True)
    paths = [folder / "trials.csv", *draw(search.study, folder, search.settings.metric), _gathered(found, folder)]
    console.print("written: " + ", ".join(map(str, paths)), highlight=False, soft_wrap=True)
    return bool(best)


def _table(best: Sequence[Row], search: Search) -> Table:
    keys = [one.key for one in search.space]
    title = f"the best of {len(best)} trials that reached their end"
    table = Table("trial", search.settings.metric, *keys, "steps", "run", title=title)
    for row in best[:SHOWN]:
        values = [override.partition("=")[2] for override in row.chosen]
        table.add_row(str(row.number), f"{row.value:.5g}", *values, str(row.steps), " ".join(row.runs))
    return table


def _gathered(found: Sequence[Row], folder: Path) -> Path:
    """All runs under one logdir, by the number of their trial."""
    ordered = sorted(found, key=lambda row: row.number)
    runs = [
        (f"trial-{row.number:04}/run-{number}", folder / "jobs" / run)
        for row in ordered
        for number, run in enumerate(row.runs)
    ]
    return gather_arms(folder, runs)
