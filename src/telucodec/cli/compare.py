"""`telucodec compare`."""

import argparse
import csv
import io
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from telucodec.errors import InputError

if TYPE_CHECKING:
    from telucodec.study.results.collected import Collected
    from telucodec.study.results.run import Ran

DESCRIPTION = """\
Compare any runs: mean of each arm with its 95 % interval, and its difference to the first arm, paired by seed and
utterance, with effect size, Holm-corrected p value, how many seeds agree, and the shift that so many seeds could find.

Runs that are alike but for the seed are one arm, called by what it switches; the first run's arm is the one that the
others are compared with. One seed shows no difference, however large.

examples:
  telucodec compare runs/mine/2026-01-31_12-00-00 runs/mine/2026-01-31_13-00-00
  telucodec compare runs/sweep                         every run of a sweep
  telucodec compare RUN RUN --metric val/snr --metric codebook/usage_min --csv table.csv
  telucodec compare RUN RUN --step 500                 both as they stood at step 500
"""
METRICS = ("val/snr", "val/rho", "val/rms_ratio", "val/mel_distance")
COLUMNS = (
    "metric", "arm", "reference", "seeds", "ended_early", "mean", "low", "high", "difference", "difference_low",
    "difference_high", "effect", "p", "p_holm", "paired_seeds", "utterances", "agreeing", "detectable",
)  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN", help="folder of a run, a job or a whole sweep")
    parser.add_argument(
        "--metric", action="append", metavar="KEY", help=f"key of the log; may be repeated (default: {METRICS})"
    )
    parser.add_argument("--step", type=int, metavar="N", help="compare at this step (default: each run's last)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table to a file, too")
    parser.add_argument("--allow-unequal-steps", action="store_true", help="compare runs of unequal length")
    parser.add_argument(
        "--allow-unlike-evaluators", action="store_true", help="compare figures that were not measured alike"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read, refuse what cannot be compared, compare, show."""
    collected = _gather(options.folders)
    metrics = tuple(dict.fromkeys(options.metric or METRICS))
    warnings = _doubts(options, collected.runs)
    _check_metrics(metrics, collected.runs, asked=options.metric is not None)
    rows = [row for metric in metrics for row in _rows(collected, metric, options.step)]
    console = Console(width=None if sys.stdout.isatty() else 180)
    for metric in metrics:
        _show(console, metric, [row for row in rows if row["metric"] == metric])
    for note in (*collected.notes, *warnings, *_ended_early(collected), *_unpaired(collected.runs)):
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    if options.csv is not None:
        _write(options.csv, rows)
        console.print(f"written: {options.csv}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _gather(folders: Sequence[Path]) -> "Collected":
    from telucodec.cli.diff import flat
    from telucodec.study.results.collected import Collected, why_not, with_run_figures
    from telucodec.study.results.grouping import as_arms
    from telucodec.study.results.run import read_run

    found, notes = [], []
    for folder in dict.fromkeys(one.resolve() for given in folders for one in _runs_in(given)):
        if (folder / "job.json").exists() and not (folder / "run.json").exists():
            notes.append(f"{folder} has not begun.")
        else:
            found.append(with_run_figures(read_run(_shown(folder), "")))
    if not found:
        raise InputError(f"{', '.join(map(str, folders))}: no run has begun there. Give folders of runs or of a sweep.")
    runs, twice, _ = as_arms(found, flat)
    failed = [(run.arm, run.seed, why_not(run)) for run in runs if run.status != "finished"]
    return Collected(None, runs, [], failed, [*notes, *twice])


def _runs_in(folder: Path) -> list[Path]:
    """A run's folder itself, or the folders of a sweep's jobs."""
    if (folder / "run.json").exists() or (folder / "job.json").exists():
        return [folder]
    jobs = sorted(path.parent for path in (folder / "jobs").glob("*/job.json"))
    if not jobs:
        raise InputError(f"{folder}: is no folder of a run, a job or a sweep.")
    return jobs


def _shown(folder: Path) -> Path:
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _doubts(options: argparse.Namespace, runs: "Sequence[Ran]") -> list[str]:
    """What was allowed although it makes figures hard to compare.

    Raises:
        InputError: it was not allowed.
    """
    from telucodec.study.results.alike import common_steps, unlike_evaluators, unlike_steps, unlike_utterances

    unlike = [*unlike_evaluators(runs), *unlike_utterances(runs)]
    if unlike and not options.allow_unlike_evaluators:
        raise InputError(
            f"The runs were not measured alike. {' '.join(unlike)} "
            "Evaluate them alike, or compare them all the same with --allow-unlike-evaluators."
        )
    steps = common_steps(runs)
    if options.step is not None:
        if options.step not in steps:
            raise InputError(f"--step {options.step}: not all runs were validated then. All were at {steps or 'none'}.")
        return unlike
    unequal = unlike_steps(runs)
    if unequal and not options.allow_unequal_steps:
        cure = f"--step {steps[-1]} compares them where all were validated; " if steps else ""
        raise InputError(
            f"The runs are of unequal length. {' '.join(unequal)} "
            f"{cure}--allow-unequal-steps compares the last validation of each."
        )
    return [*unlike, *unequal]


def _check_metrics(metrics: Sequence[str], runs: "Sequence[Ran]", asked: bool) -> None:
    from telucodec.build import nearest

    logged = sorted({key for run in runs for row in run.rows.values() for key in row} - {"step"})
    for metric in metrics if asked else ():
        if metric not in logged:
            raise InputError(f"--metric {metric}: no run logged it. {nearest(metric, logged)}")


def _rows(collected: "Collected", metric: str, step: int | None) -> Iterator[dict[str, Any]]:
    """The table of one metric: a row an arm."""
    from telucodec.study.results.statistics import arm_interval, differences, values

    found = differences(collected, metric, step)
    early = [arm for arm, _, _ in collected.failed]
    for arm in collected.arms:
        mean, low, high, seeds = arm_interval(values(collected.runs, arm, metric, step))
        row = {"metric": metric, "arm": arm, "seeds": seeds, "ended_early": early.count(arm)}
        row |= {"mean": mean, "low": low, "high": high}
        if arm in found:
            named = found[arm]._asdict()
            named |= {"difference": named["mean"], "difference_low": named["low"], "difference_high": named["high"]}
            named |= {"reference": collected.reference(arm), "paired_seeds": named["seeds"]}
            row = {name: named[name] for name in COLUMNS if name in named} | row
        yield row


def _show(console: Console, metric: str, rows: Sequence[dict[str, Any]]) -> None:
    table = Table("arm", "seeds", "mean", "difference", "effect", "p (Holm)", "agree", "detectable", title=metric)
    for row in rows:
        early = f" (+{row['ended_early']} ended early)" if row["ended_early"] else ""
        cells = [escape(row["arm"]), f"{row['seeds']}{early}", _interval(row["mean"], row["low"], row["high"])]
        if "reference" in row:
            cells.append(_interval(row["difference"], row["difference_low"], row["difference_high"], "+"))
            cells += [_number(row["effect"], "+.2f"), _number(row["p_holm"], ".3f")]
            agree = f"{row['agreeing']} of {row['paired_seeds']}" if row["paired_seeds"] > 1 else "-"
            cells += [agree, _number(row["detectable"], ".3f")]
        table.add_row(*cells)
    console.print(table, highlight=False)


def _interval(mean: float, low: float, high: float, sign: str = "") -> str:
    if math.isnan(mean):
        return "-"
    bounds = "one seed" if math.isnan(low) else f"{low:{sign}.3f}, {high:{sign}.3f}"
    return escape(f"{mean:{sign}.3f} [{bounds}]")


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"


def _ended_early(collected: "Collected") -> list[str]:
    folders = {(run.arm, run.seed): run.folder for run in collected.runs}
    return [f"{folders[arm, seed]} ({arm}, seed {seed}): {why}." for arm, seed, why in collected.failed]


def _unpaired(runs: "Sequence[Ran]") -> Iterator[str]:
    """Arms that cannot be compared with the first one."""
    seeds: dict[str, set[int]] = {}
    for ran in runs:
        seeds.setdefault(ran.arm, set()).add(ran.seed)
    first, *others = seeds
    for arm in others:
        common = len(seeds[arm] & seeds[first])
        if common < 2:
            told = "no seed" if not common else "one seed"
            yield f"{arm} and {first} have {told} in common: a difference takes at least two."


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    from telucodec.disk import write_text

    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()} for row in rows)
    write_text(path, text.getvalue())
