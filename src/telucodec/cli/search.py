"""`telucodec train -m sweeper=optuna`: a search that learns from its trials, instead of every combination."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from telucodec.cli.compose import compose_config
from telucodec.cli.contradictions import compose_sensible
from telucodec.cli.space import parse_space
from telucodec.disk import holding
from telucodec.errors import InputError

if TYPE_CHECKING:
    from telucodec.study.jobs.job import Job
    from telucodec.study.jobs.launcher import Launcher
    from telucodec.study.jobs.queue import Slots
    from telucodec.study.search.space import Parameter


def run_search(
    overrides: Sequence[str],
    config_dir: Path | None,
    settings: Mapping[str, Any],
    folder: Path,
    launcher: "Launcher",
    plan: "Slots",
    console: Console,
) -> int:
    """Ask for trials, make their runs, tell what they came to; then the table and the pictures.

    Args:
        overrides: as on the command line, without those of the sweep itself; what holds several values is searched.
        config_dir: a folder of the user's own groups.
        settings: conf/sweeper/optuna.yaml with the user's changes, as plain containers.
        folder: of the sweep.
        launcher: starts the runs.
        plan: how many at a time, and where.
        console: to report on.

    Returns:
        0 once all trials are through, 130 if interrupted, 1 if no trial came to a value or the first failure stopped
        the others.

    Raises:
        InputError: optuna is not installed; a setting or a parameter cannot be used; the folder holds another search;
            no run logs the metric.
    """
    _need_optuna()
    from telucodec.study.jobs.queue import run_wanted
    from telucodec.study.search.conclusion import announce, conclude
    from telucodec.study.search.search import Search
    from telucodec.study.search.settings import read_settings
    from telucodec.study.search.storage import open_study

    asked = read_settings(settings)
    fixed, space = parse_space(overrides, config_dir)
    maker = Maker(fixed, space, config_dir, folder, asked.seeds)
    first = maker(0, [one.first() for one in space], 0)
    with holding(folder / ".search.lock"):
        study = open_study(folder, asked, space, maker.fixed, first.identity)
        announce(asked, space, study, folder, console)
        search = Search(study, space, asked, maker, plan.at_once)
        whole = run_wanted(search.wanted, search.ended, search.watch, launcher, plan, console)
        if search.trouble:
            raise search.trouble
        came_to = conclude(search, folder, maker.words, console)
    if whole and not search.left:
        return 0 if came_to else 1
    console.print("stopped before its end; the same command goes on from here.", highlight=False)
    return 1 if plan.fail_fast and search.crashed else 130


class Maker:
    """Makes the job of a trial and a seed.

    Args:
        fixed: the overrides that all trials share.
        space: what is searched.
        config_dir: a folder of the user's own groups.
        folder: of the sweep.
        seeds: runs a trial; the first has the configuration's seed, the others those that follow it.

    Raises:
        InputError: the first values of all parameters cannot be composed.
    """

    def __init__(
        self, fixed: Sequence[str], space: Sequence["Parameter"], config_dir: Path | None, folder: Path, seeds: int
    ) -> None:
        first = compose_config([*fixed, *(one.first() for one in space)], config_dir)
        self.fixed = [one for one in fixed if one.partition("=")[0] != "seed"]
        self.config_dir, self.folder, self.seed, self.seeds = config_dir, folder, int(first["seed"]), seeds
        self.shown = [_shown(one.key, first) for one in space] + (["seed"] if seeds > 1 else [])

    def __call__(self, number: int, chosen: Sequence[str], seed: int) -> "Job":
        """As `telucodec.study.search.search.Make`."""
        from telucodec.study.jobs.job import Job

        told = (*self.fixed, *chosen, f"seed={self.seed + seed}")
        config = compose_sensible(told, self.config_dir)[1]
        label = f"trial-{number:04}" + (f"/seed-{self.seed + seed}" if self.seeds > 1 else "")
        return Job(label, config, told, self.folder, tuple(self.shown))

    def words(self, chosen: Sequence[str]) -> list[str]:
        """The command that makes the runs of a trial again."""
        where = ["--config-dir", str(self.config_dir)] if self.config_dir else []
        seeds = ",".join(str(self.seed + number) for number in range(self.seeds))
        several = ["-m"] if self.seeds > 1 else []
        return ["telucodec", "train", *several, *where, *self.fixed, *chosen, f"seed={seeds}"]


def _shown(key: str, config: Mapping[str, Any]) -> str:
    """The key by which hparams tell trials apart: of a group, the class that it names."""
    name = key.lstrip("+~").partition("@")[0]
    node = config.get(name)
    return f"{name}._target_" if isinstance(node, Mapping) and "_target_" in node else name


def _need_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise InputError("sweeper=optuna needs the extra `search`: pip install 'telucodec[search]'.") from None
