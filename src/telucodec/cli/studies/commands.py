"""What `telucodec study` does: plan, run, status."""

import sys
from dataclasses import replace
from math import isnan
from typing import TYPE_CHECKING

from rich.table import Table

from telucodec.cli.studies.asked import Asked
from telucodec.study.design.made import folders, how, made
from telucodec.study.design.plan import Line, hours, money, price_of, total
from telucodec.study.design.plan import plan as planned
from telucodec.study.jobs.job import content_of
from telucodec.training.version import code_version

if TYPE_CHECKING:
    from telucodec.study.jobs.outcome import Outcome

COLOURS = {"finished": "green", "running": "cyan", "diverged": "magenta", "failed": "red", "interrupted": "yellow"}


def plan(asked: Asked) -> int:
    """Print what would be run."""
    show_plan(asked)
    tell_apart(asked)
    return 0


def run(asked: Asked) -> int:
    """The plan, what is missing, the results and the report."""
    lines = show_plan(asked)
    tell_apart(asked)
    if any(line.to_make for line in lines):
        if not (asked.options.yes or asked.options.action == "resume" or _agreed()):
            return 1
        outcomes = make(asked)
        stopped = [each for each in outcomes if each.status in ("interrupted", "waiting")]
        if stopped:
            asked.console.print(f"\nstopped with {len(stopped)} runs to go; the same command goes on:\n  {again()}")
            return 130
    from telucodec.cli.studies.gathering import collect, report

    now = replace(asked, there=made(asked.root))
    collect(now)
    report(now)
    return int(any(how(job.folder).status == "failed" for job in asked.jobs.values()))


resume = run


def status(asked: Asked) -> int:
    """Print how every arm and seed stands."""
    at = folders(asked.jobs, asked.there, asked.options.code)
    seeds = sorted({seed for _, seed in at})
    table = Table("arm", *(f"seed {seed}" for seed in seeds), title=asked.study.name)
    counted = dict[str, int]()
    for arm in asked.study.arms:
        cells = []
        for seed in seeds:
            if (arm, seed) not in at:
                cells.append("")
                continue
            steps = asked.jobs[arm, seed].config["max_steps"]
            now = how(at[arm, seed])
            word = {"waiting": "missing"}.get(now.status, now.status)
            counted[word] = counted.get(word, 0) + 1
            share = "" if now.over or not now.steps else f" {now.steps / steps:.0%}"
            colour = COLOURS.get(word, "dim")
            cells.append(f"[{colour}]{word}{share}[/{colour}]")
        table.add_row(arm, *cells)
    asked.console.print(table, markup=True)
    asked.console.print(", ".join(f"{count} {word}" for word, count in counted.items()))
    for (arm, seed), folder in at.items():
        if how(folder).status in ("failed", "diverged"):
            asked.console.print(f"{arm}, seed {seed}: {how(folder).status}: {folder / 'log.txt'}")
    tell_apart(asked)
    return 0


def show_plan(asked: Asked) -> list[Line]:
    """Print jobs, steps, hours and money."""
    options, study = asked.options, asked.study
    price = price_of(options.price)
    at_once = asked.slots.at_once
    measured = None
    if options.measure or (asked.root / "timing.json").exists():
        from telucodec.cli.studies.timing import measure, read_measured

        measured = measure(asked) if options.measure else read_measured(asked.root)
    lines = planned(asked.jobs, asked.there, measured)
    columns = ("arm", "runs", "made", "to make", "steps", "a run", "all", "as")
    table = Table(*columns, title=f"{study.name}: {study.question}")
    for line in lines:
        times = (hours(line.cost.seconds), hours(line.seconds) if line.to_make else "-")
        counts = (line.jobs, line.over, line.to_make, line.steps)
        table.add_row(line.arm, *map(str, counts), *times, line.cost.source)
    asked.console.print(table)
    left = sum(line.to_make for line in lines)
    steps = sum(line.to_make * line.steps for line in lines)
    told = f"{left} runs to make, {steps} steps, {hours(total(lines))} of computing"
    if left and not isnan(total(lines)):
        told += f", {hours(total(lines) / at_once)} with {at_once} at a time"
        if price is not None:
            told += f": {money(total(lines), at_once, price):.2f} {options.currency}".rstrip()
    elif left:
        told += ": nothing of this length was made yet; --measure tries some steps of the base"
    shared = sum(line.shared for line in lines)
    asked.console.print(told + (f". {shared} runs are also another arm's and are made once" if shared else "") + ".")
    return lines


def tell_apart(asked: Asked) -> None:
    """Say which runs are of other code, and whether collected results are of another base or code."""
    from telucodec.cli.studies.gathering import home, state_now
    from telucodec.study.design.committed import told_changes

    wanted = {content_of(job.config, job.base) for job in asked.every.values()}
    now = code_version()
    older = [each for each in asked.there if each.content in wanted and each.code != now and each.state.over]
    for code in dict.fromkeys(each.code for each in older):
        count = sum(each.code == code for each in older)
        asked.console.print(
            f"{count} runs of this study are of code {code} (now: {now}) and kept apart; --code {code} chooses them."
        )
    steps = {int(job.config["max_steps"]) for job in asked.every.values()}
    strange = [each for each in asked.there if each.steps in steps and each.content not in wanted and each.state.over]
    if strange:
        told = "are of an older base, or of arms and seeds that study.yaml does not have: left out"
        asked.console.print(f"{len(strange)} runs of this length in {asked.root} {told}.")
    for line in told_changes(home(asked), state_now(asked)):
        asked.console.print(line)


def make(asked: Asked) -> list["Outcome"]:
    """Run what is missing."""
    from telucodec.study.jobs.choose import choose_launcher
    from telucodec.study.jobs.queue import run_all
    from telucodec.study.tensorboard import gather_arms, link_arms

    launcher = choose_launcher(asked.settings["launcher"])
    arms = [(f"{arm}/seed {seed}", job.folder) for (arm, seed), job in asked.every.items()]
    shown = asked.root if asked.options.budget == "full" else asked.root / asked.options.budget  # links of others stay
    link_arms(shown, arms)
    outcomes = run_all(list(asked.jobs.values()), launcher, asked.slots, asked.console)
    gather_arms(shown, arms)
    return outcomes


def again() -> str:
    """The command that goes on."""
    import shlex

    from telucodec.training.report import command_prefix

    return shlex.join([f"{command_prefix()}telucodec", *sys.argv[1:]])


def _agreed() -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    return input("start? [Y/n] ").strip().lower() in ("", "y", "yes")
