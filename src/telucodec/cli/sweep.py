"""`telucodec train -m`: many runs, a process each, with what conf/sweep.yaml says."""

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console

from telucodec.cli.checked import of_sweep
from telucodec.cli.combinations import compose_all, merge_equal, name_jobs
from telucodec.cli.compose import compose_config, sweep
from telucodec.study.claims.strict import read
from telucodec.study.jobs.choose import choose_launcher
from telucodec.study.jobs.job import Job
from telucodec.study.jobs.outcome import Outcome
from telucodec.study.jobs.queue import Slots, run_all
from telucodec.study.jobs.standing import outcome_table, write_table
from telucodec.study.tensorboard import gather_arms, link_arms


@dataclass(frozen=True)
class SweepSettings:
    """What conf/sweep.yaml says of the sweep itself."""

    name: str
    jobs: int | None
    devices: tuple[int, ...]
    fail_fast: bool

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.+-]*", self.name):
            raise ValueError(f"name must be a word of letters, digits and ._+-, got {self.name!r}")
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"jobs must be >= 1, got {self.jobs}")
        if len(set(self.devices)) < len(self.devices) or min(self.devices, default=0) < 0:
            raise ValueError(f"devices must be different numbers >= 0, got {list(self.devices)}")

    @property
    def slots(self) -> Slots:
        """As the queue of jobs takes it."""
        at_once = self.jobs if self.jobs is not None else max(1, len(self.devices))
        return Slots(at_once, self.devices, self.fail_fast)


def run_sweep(overrides: Sequence[str], config_dir: Path | None, show: bool) -> int:
    """Compose and check all jobs, make those that are not over yet, and say how each stands.

    Args:
        overrides: as on the command line, those of conf/sweep.yaml among them.
        config_dir: a folder of the user's own groups.
        show: only print the jobs' configurations.

    Returns:
        0 if all are over, 130 if interrupted, 1 if any failed.

    Raises:
        InputError: an override is wrong, jobs make no sense, or a launcher is not there.
    """
    console = Console(stderr=True)
    settings = compose_config([o for o in overrides if of_sweep(o)], config_dir, "sweep")
    about = read(SweepSettings, settings["sweep"], "sweep")
    rest = [o for o in overrides if not of_sweep(o)]
    root = Path(compose_config([o for o in rest if o.startswith("run_root=")], None)["run_root"]) / about.name
    if settings["sweeper"]["kind"] != "grid" and not show:
        from telucodec.cli.search import run_search

        launcher = choose_launcher(settings["launcher"])
        return run_search(rest, config_dir, settings["sweeper"], root, launcher, about.slots, console)
    composed = compose_all(list(sweep(rest, config_dir)), config_dir, console)
    if show:
        sys.stdout.write(yaml.safe_dump_all([each.config for each in composed], sort_keys=False, allow_unicode=True))
        return 0
    jobs = merge_equal(name_jobs(composed, root), console)
    launcher = choose_launcher(settings["launcher"])
    arms = [(_arm(job), job.folder) for job in jobs]
    link_arms(root, arms)
    outcomes = run_all(jobs, launcher, about.slots, console)
    gather_arms(root, arms)
    return _report(outcomes, root, console)


def _arm(job: Job) -> str:
    """A job as TensorBoard shows it: the seeds of one arm below its name."""
    words = job.label.replace("/", "_").split(" ")
    seeds = [word for word in words if word.startswith("seed=")]
    arm = " ".join(word for word in words if word not in seeds)
    return "/".join(part for part in (arm, *seeds) if part)


def _report(outcomes: Sequence[Outcome], root: Path, console: Console) -> int:
    table = root / "sweep.csv"
    write_table(outcomes, table)
    console.print(outcome_table(outcomes))
    here = "" if shutil.which("tensorboard") else f"{Path(sys.executable).parent}/"
    paths = f"runs:   {root / 'jobs'}\ntable:  {table}\ncurves: {here}tensorboard --logdir {root / 'tensorboard'}"
    console.print(paths, highlight=False, markup=False, soft_wrap=True)
    for outcome in outcomes:
        if outcome.status == "failed":
            told = f"failed: {outcome.job.label}: {outcome.log}"
            console.print(told, style="red", highlight=False, markup=False, soft_wrap=True)
    if any(outcome.status == "failed" for outcome in outcomes):
        return 1
    if any(outcome.status in ("interrupted", "waiting") for outcome in outcomes):
        told = f"\nstopped; the same command goes on where it was:\n  {_command()}"
        console.print(told, highlight=False, markup=False, soft_wrap=True)
        return 130
    return 0


def _command() -> str:
    words = sys.argv[1:]
    name = Path(sys.executable).parent / "telucodec"
    with suppress(ValueError):
        name = name.relative_to(Path.cwd())
    return shlex.join(["telucodec" if shutil.which("telucodec") else str(name), *words])
