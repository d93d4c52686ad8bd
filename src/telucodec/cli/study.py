"""`telucodec study`."""

import argparse
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from telucodec.cli.studies.places import place
from telucodec.errors import InputError

if TYPE_CHECKING:
    from telucodec.cli.studies.asked import Asked
    from telucodec.study.design.study import Study

DESCRIPTION = """\
A study is a folder experiments/NAME with a study.yaml: a question, a base, the arms that are compared with it, seeds,
budgets and metrics. Its runs are jobs in runs/NAME/jobs, made once each, whatever is typed how often.

actions:
  plan      what would be run: jobs, steps, hours and money; starts nothing
  run       the plan, then every run that is missing, then the results and the report; Ctrl-C stops, and the same
            command goes on where it was
  resume    as run, without asking
  status    every arm and seed: finished, running, diverged, failed, missing
  collect   write results.csv, runs.csv, results.parquet and figures/
  report    write the page: one HTML file
  design    write a study.yaml: one-at-a-time, leave-one-out, pairwise or factorial

examples:
  telucodec study plan seed_documents --price 2.5 --currency EUR
  telucodec study run seed_documents --budget tiny
  telucodec study run seed_documents --jobs 2 --arms 's00?,s00?_before' --seeds 0
  telucodec study status seed_documents
  telucodec study design pairwise my_study --base 'experiment=s003_before' --switches tanh,level_peak,no_kmeans
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name in ("plan", "run", "resume", "status", "collect", "report"):
        action = actions.add_parser(name)
        _of_a_study(action)
        if name in ("plan", "run", "resume"):
            _of_making(action)
        if name in ("plan", "run", "resume", "report"):
            action.add_argument("--price", default="", metavar="P", help="of an hour of the machine, for example 2.5")
            action.add_argument("--currency", default="", metavar="C", help="of the price, for example EUR")
        if name in ("run", "resume", "report"):
            action.add_argument("--level-matched", action="store_true", help="the page's players begin equally loud")
            action.add_argument("--utterances", type=int, default=4, metavar="N", help="on the page (default: 4)")
            action.add_argument("--megabytes", type=float, default=20.0, metavar="M", help="of sounds (default: 20)")
        if name in ("status", "collect", "report"):
            action.add_argument("--code", metavar="HASH", help="runs of this version of the code")
        if name == "collect":
            action.add_argument("--drop", action="store_true", help="though fewer runs are here than were collected")
    from telucodec.cli.studies.drafts import configure as configure_drafts

    configure_drafts(actions.add_parser("design", formatter_class=argparse.RawDescriptionHelpFormatter))
    parser.set_defaults(run=run, takes_rest=True)  # settings may stand behind options


def _of_a_study(action: argparse.ArgumentParser) -> None:
    action.add_argument("name", metavar="NAME", help="a folder of experiments/, or its path")
    action.add_argument("--budget", default="full", metavar="B", help="one of the study's budgets (default: full)")
    action.add_argument("--arms", default="", metavar="A,B", help="only these, with what they are compared with; tanh*")
    action.add_argument("--seeds", default="", metavar="N,N", help="only these")
    action.add_argument(
        "--run-root", type=Path, default=Path("runs"), metavar="DIR", help="of all runs (default: runs)"
    )
    action.add_argument("--config-dir", type=Path, metavar="DIR", help="a folder with configuration groups of your own")


def _of_making(action: argparse.ArgumentParser) -> None:
    action.add_argument("settings", nargs="*", metavar="SETTING", help="as launcher=ray, sweep.devices=[0,1]")
    action.add_argument("--jobs", type=int, metavar="N", help="runs at a time: sweep.jobs=N")
    action.add_argument("--measure", action="store_true", help="try some steps of the base first, to estimate the time")
    action.add_argument("--yes", action="store_true", help="do not ask before starting")


def run(options: argparse.Namespace) -> int:
    """Read the study, compose its arms, and do what is asked."""
    takes = options.action in ("plan", "run", "resume")
    for word in options.rest:
        if word.startswith("-") or not takes:
            raise InputError(f"{word}: there is no such option. See telucodec study {options.action} --help.")
    if takes:
        options.settings = [*options.settings, *options.rest]
    if options.action == "design":
        from telucodec.cli.studies.drafts import draft

        return draft(options)
    from telucodec.cli.studies import commands, gathering

    room = gathering if options.action in ("collect", "report") else commands
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False)
    code: int = getattr(room, options.action)(ask(options, console))
    return code


def ask(options: argparse.Namespace, console: Console) -> "Asked":
    """Everything that an action needs: the study cut down to what is wanted, its jobs, and what was made."""
    from telucodec.cli.compose import conf_dir
    from telucodec.cli.studies.arms import check_vocabulary, compose_arms, jobs_of
    from telucodec.cli.studies.asked import Asked
    from telucodec.cli.studies.kept import FILE as KEPT
    from telucodec.cli.studies.kept import Kept
    from telucodec.study.claims.vocabulary import vocabulary
    from telucodec.study.design.made import made
    from telucodec.study.design.read import read_study

    study = read_study(place(options.name))
    check_vocabulary(study, vocabulary(conf_dir()), options.config_dir)
    whole, cut = study.within(_budget(study, options.budget)), _cut(study, options)
    columns = (TextColumn("composing {task.description}"), TimeElapsedColumn())
    root = options.run_root / study.name
    kept = Kept(root / KEPT, options.config_dir)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        composed = compose_arms(whole, options.config_dir, kept, lambda arm: progress.update(task, description=arm))
    jobs = jobs_of(whole, composed, root)
    wanted = {key: jobs[key] for key in cut.wanted()}
    return Asked(options, console, cut, wanted, whole, jobs, composed[whole.base_name], made(root), root)


def _budget(study: "Study", name: str) -> str:
    from telucodec.build import nearest

    if name not in study.budgets:
        raise InputError(f"--budget {name}: {study.name} has no such budget. {nearest(name, list(study.budgets))}")
    return name


def _cut(study: "Study", options: argparse.Namespace) -> "Study":
    """The arms and seeds that are asked for."""
    from telucodec.build import nearest

    budget, arms = options.budget, [name for name in options.arms.split(",") if name]
    for name in arms:
        if not any(fnmatchcase(each, name) for each in study.arms):
            raise InputError(f"--arms {name}: {study.name} has no such arm. {nearest(name, list(study.arms))}")
    known = {seed for _, seed in study.wanted(budget)}
    try:
        seeds = [int(word) for word in options.seeds.split(",") if word]
    except ValueError:
        raise InputError(f"--seeds {options.seeds}: must be whole numbers with commas between them.") from None
    strange = [seed for seed in seeds if seed not in known]
    if strange:
        of = ", ".join(map(str, sorted(known)))
        raise InputError(
            f"--seeds {strange[0]}: budget {budget} of {study.name} has the seeds {of}. Add it to study.yaml."
        )
    return study.within(budget, arms, seeds)
