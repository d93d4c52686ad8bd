"""Any runs as arms: those that are alike but for the seed belong together, and are called by what they switch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from telucodec.study.design.arms import key_of
from telucodec.study.results.run import Ran

ASIDE = ("seed", "loader.seed", "name", "run_root", "resume")  # what an arm's runs may differ in
MOST = 4  # values in a name


def as_arms(
    runs: Sequence[Ran], flat: Callable[[dict[str, Any]], Mapping[str, Any]]
) -> tuple[list[Ran], list[str], dict[str, dict[str, str]]]:
    """Name the arm of each run.

    Args:
        runs: of any configurations, the one to compare with first.
        flat: the leaves of a configuration by their keys.

    Returns:
        The runs with their arms' names, arms in the order of their first runs, one run a seed; a note on each run that
        was left out since another of its arm has its seed; and arm -> key -> value of what differs between arms. Runs
        of different code are different arms.
    """
    told = [_essence(run, flat) for run in runs]
    kinds = list({frozenset(leaves.items()): leaves for leaves in told}.values())
    differing = [key for key in dict.fromkeys(key for leaves in kinds for key in leaves) if _varies(key, kinds)]
    numbers = [kinds.index(leaves) for leaves in told]
    firsts = [runs[numbers.index(number)] for number in range(len(kinds))]
    names = _names(firsts, kinds, differing)
    order = sorted(range(len(runs)), key=lambda index: (numbers[index], runs[index].seed))
    kept, notes = _once([replace(runs[index], arm=names[numbers[index]]) for index in order])
    return kept, notes, {n: {k: kind.get(k, "-") for k in differing} for n, kind in zip(names, kinds, strict=True)}


def _essence(run: Ran, flat: Callable[[dict[str, Any]], Mapping[str, Any]]) -> dict[str, str]:
    leaves = {key: str(value) for key, value in flat(dict(run.config)).items() if key not in ASIDE}
    return leaves | {"code": run.code or "unknown"}


def _varies(key: str, kinds: Sequence[Mapping[str, str]]) -> bool:
    return len({kind.get(key) for kind in kinds}) > 1


def _names(firsts: Sequence[Ran], kinds: Sequence[Mapping[str, str]], differing: Sequence[str]) -> list[str]:
    """By overrides; where these do not tell, by values; where these are too many, by folders."""
    common = set.intersection(*(set(run.overrides) for run in firsts))
    typed = [[o for o in run.overrides if o not in common and key_of(o) not in ASIDE] for run in firsts]
    by_overrides = [", ".join(own) or "base" for own in typed]
    by_values = [", ".join(f"{key}={kind.get(key, '-')}" for key in differing) for kind in kinds]
    if len(set(by_overrides)) == len(firsts):
        return by_overrides
    return by_values if len(differing) <= MOST else [str(run.folder) for run in firsts]


def _once(runs: Sequence[Ran]) -> tuple[list[Ran], list[str]]:
    """One run an arm and seed: a finished one if there is one, then the one that started last."""
    kept, notes = [], []
    for (arm, seed), group in groupby(runs, key=lambda run: (run.arm, run.seed)):
        *rest, best = sorted(group, key=lambda run: (run.status == "finished", run.started))
        kept.append(best)
        notes += [f"{run.folder} is seed {seed} of {arm} again: {best.folder} counts." for run in rest]
    return kept, notes
