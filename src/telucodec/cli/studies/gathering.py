"""What `telucodec study` does once there are runs: collect and report."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from telucodec.disk import replacing
from telucodec.errors import InputError
from telucodec.study.design.committed import OVER, RESULTS, State, lost, move_aside, read_state
from telucodec.study.design.made import folders, how
from telucodec.training.version import code_version

if TYPE_CHECKING:
    from rich.console import Console

    from telucodec.cli.studies.asked import Asked
    from telucodec.study.design.study import Study
    from telucodec.study.report.options import Claimed, ReportOptions
    from telucodec.study.results.collected import Collected
    from telucodec.study.results.run import Ran


def home(asked: "Asked") -> Path:
    """Where results go: those of the full budget into the study's folder, to be committed; others to its runs."""
    return asked.study.folder if asked.options.budget == "full" else asked.root / asked.options.budget


def code_of(asked: "Asked") -> str:
    """The version of the code whose runs are wanted."""
    return getattr(asked.options, "code", None) or code_version()


def state_now(asked: "Asked") -> State:
    """Of what results are that are collected now."""
    skipped = ("seed", "run_root", "resume")
    return State(code_of(asked), {k: v for k, v in asked.base.flat.items() if k not in skipped})


def collect(asked: "Asked") -> int:
    """Write the results of every run that there is, and keep those of another base or code apart."""
    from telucodec.study.report.figures import figures
    from telucodec.study.results.files import write_results

    folder, now = home(asked), state_now(asked)
    found = gather(asked)
    over = [(run.arm, run.seed) for run in found.runs if run.status in OVER]
    before = read_state(folder)
    if before is not None and before != now:
        asked.console.print(f"results of another base or code were moved to {move_aside(folder, before)}")
    elif gone := lost(folder, over):
        names = ", ".join(f"{arm} s{seed}" for arm, seed in gone[:5])
        if not getattr(asked.options, "drop", False):
            raise InputError(
                f"{folder / RESULTS} has {len(gone)} runs that are not here ({names}, ...). Bring them into "
                f"{asked.root}, or leave them out with `telucodec study collect {asked.options.name} --drop`."
            )
    folder.mkdir(parents=True, exist_ok=True)
    paths = write_results(found, folder)
    now.write(folder)
    paths += figures(found, folder / "figures")
    if found.study and found.study.factors:
        paths.append(write_effects(found, found.study, folder, asked.console))
    for note in found.notes:
        asked.console.print(f"note: {note}")
    asked.console.print(
        f"{len(found.runs)} runs collected, {len(found.missing)} missing, {len(found.failed)} did not end:"
    )
    for path in paths:
        asked.console.print(f"  {path}")
    return 0


def report(asked: "Asked") -> int:
    """Write the page: of the runs that are here, else of the results that were collected."""
    from telucodec.study.report.page import write_report
    from telucodec.study.results.files import read_results

    try:
        found = gather(asked)
    except InputError:
        if not (home(asked) / RESULTS).exists() or asked.options.budget != "full":
            raise
        asked.console.print(f"no runs are here: the page is of {home(asked) / RESULTS}, without sounds.")
        found = read_results(asked.whole)
    target = asked.root / ("report.html" if asked.options.budget == "full" else f"{asked.options.budget}/report.html")
    target.parent.mkdir(parents=True, exist_ok=True)
    path = write_report(found, target, options_of(asked, found))
    asked.console.print(f"report: {path}")
    return 0


def gather(asked: "Asked") -> "Collected":
    """The runs of one version of the code.

    Raises:
        InputError: there is none that came to its end; the message says of which other code there are some.
    """
    from telucodec.study.results.collected import collect as collected

    code = code_of(asked)
    at = folders(asked.every, asked.there, code)
    if not any(how(folder).over for folder in at.values()):
        others = sorted({each.code for each in asked.there if each.state.over} - {code})
        hint = f" There are runs of code {', '.join(others)}: choose with --code." if others else ""
        raise InputError(
            f"{asked.study.name}: no run of budget {asked.options.budget} has come to its end.{hint} "
            f"`telucodec study run {asked.options.name}` makes them."
        )
    return collected(asked.whole, at, code)


def options_of(asked: "Asked", found: "Collected") -> "ReportOptions":
    """How the page is made, with what claims come to by these runs alone; a budget for trying decides none."""
    from telucodec.study.design.plan import price_of
    from telucodec.study.report.options import ReportOptions

    given = asked.options
    claims = claimed(asked, found) if given.budget == "full" else []
    return ReportOptions(
        level_matched=given.level_matched,
        utterances=given.utterances,
        megabytes=given.megabytes,
        price=price_of(given.price),
        currency=given.currency or "USD",
        claims=claims,
    )


def claimed(asked: "Asked", found: "Collected") -> "list[Claimed]":
    """The verdicts of the claims that a study speaks of, or of those that its runs say something about."""
    from telucodec.cli.compose import conf_dir
    from telucodec.cli.studies.places import LEDGER
    from telucodec.study.claims.ledger import read_ledger
    from telucodec.study.claims.measured import decide
    from telucodec.study.claims.vocabulary import vocabulary
    from telucodec.study.report.options import Claimed

    ledger = asked.study.folder.parent / LEDGER.relative_to(LEDGER.parts[0])
    if not ledger.exists():
        return []
    wanted = asked.study.claims
    decided = decide(read_ledger(ledger, vocabulary(conf_dir())), [found])
    chosen = [
        each for each in decided if (each.claim.id in wanted if wanted else any(f.runs.seeds for f in each.findings))
    ]
    return [Claimed(each.claim.id, each.verdict, each.by.text if each.by else each.claim.says) for each in chosen]


def write_effects(found: "Collected", study: "Study", folder: Path, console: "Console") -> Path:
    """Print what each factor of a factorial study does to its primary metric, and write it for all metrics."""
    from rich.table import Table

    from telucodec.study.design.effects import effects

    rows, columns = [], ("metric", "effect", "mean", "low", "high", "seeds", "confused_with")
    for metric in study.metrics:
        values = {arm: final(found.runs, arm, metric) for arm in study.arms}
        for each in effects(study, values):
            numbers = (f"{number:.6g}" for number in (each.mean, each.low, each.high))
            rows.append([metric, " ".join(each.switches), *numbers, str(each.seeds), "; ".join(each.confused)])
    table = Table(*columns[1:], title=f"{study.primary}: with it minus without it, on average over the others")
    for row in rows:
        if row[0] == study.primary:
            table.add_row(*row[1:])
    console.print(table)
    path = folder / "effects.csv"
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])
    return path


def final(runs: "Sequence[Ran]", arm: str, metric: str) -> dict[int, float]:
    """The last value of a metric in each finished run of an arm, by seed."""
    curves = {run.seed: run.curve(metric) for run in runs if run.arm == arm and run.status == "finished"}
    return {seed: curve[-1][1] for seed, curve in curves.items() if curve}
