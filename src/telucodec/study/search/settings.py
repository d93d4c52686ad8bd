"""How a search goes about it: conf/sweeper/optuna.yaml as a record, and the sampler and pruner that it names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from telucodec.errors import at_least
from telucodec.study.claims.strict import read

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler


@dataclass(frozen=True)
class Settings:
    """What conf/sweeper/optuna.yaml says, checked."""

    metric: str  # key of the log; a trial comes to its value at the last step
    direction: Literal["maximize", "minimize"]
    n_trials: int  # in all, those of earlier starts included
    seeds: int  # runs a trial
    sampler: Literal["tpe", "random"]
    sampler_seed: int
    startup: int  # trials drawn at random before the sampler learns
    pruner: Literal["median", "halving", "none"]
    prune_after: int  # trials made to their end before any is stopped
    warmup_steps: int  # no run is stopped before this step

    def __post_init__(self) -> None:
        at_least(1, n_trials=self.n_trials, seeds=self.seeds)
        at_least(0, sampler_seed=self.sampler_seed, startup=self.startup)
        at_least(0, prune_after=self.prune_after, warmup_steps=self.warmup_steps)


def read_settings(node: Mapping[str, Any]) -> Settings:
    """The settings of a search.

    Args:
        node: conf/sweeper/optuna.yaml with the user's changes, as plain containers.

    Raises:
        InputError: a key is unknown or missing, or a value out of its range; the message names it.
    """
    settings: Settings = read(Settings, {key: value for key, value in node.items() if key != "kind"}, "sweeper")
    return settings


def sampler_for(settings: Settings, number: int, at_once: int) -> "BaseSampler":
    """What proposes the values of one trial.

    Its random numbers are those of the trial, not of the process: a search that was killed goes on as it would have.

    Args:
        settings: which one.
        number: of the trial.
        at_once: trials that are under way together; with several, TPE takes the others for bad ones, and looks
            elsewhere.
    """
    from numpy.random import SeedSequence
    from optuna.samplers import RandomSampler, TPESampler

    seed = int(SeedSequence([settings.sampler_seed, number]).generate_state(1)[0])
    if settings.sampler == "random":
        return RandomSampler(seed)
    return TPESampler(seed=seed, n_startup_trials=settings.startup, constant_liar=at_once > 1)


def pruner_for(settings: Settings) -> "BasePruner":
    """What says which runs are not worth their end."""
    from optuna.pruners import MedianPruner, NopPruner, SuccessiveHalvingPruner

    if settings.pruner == "none":
        return NopPruner()
    if settings.pruner == "median":
        return MedianPruner(n_startup_trials=settings.prune_after, n_warmup_steps=settings.warmup_steps)
    return SuccessiveHalvingPruner(min_resource=settings.warmup_steps or "auto")
