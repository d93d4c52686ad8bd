"""Choices that do not go together: which of the overlays and presets are to blame."""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from telucodec.build import check
from telucodec.cli.compose import compose_checked, compose_config, conf_dir, leaves
from telucodec.errors import InputError
from telucodec.study.overlays import read_overlay

Flat = dict[str, Any]
# what a run is made of: the other keys are read through these
READ = (
    "training", "loader", "level", "evaluator", "trainer", "callback", "max_steps", "resume", "init_from", "seed",
)  # fmt: skip


def refuse_contradictions(overrides: Sequence[str], config_dir: Path | None) -> None:
    """Refuse overlays that do not do what they say: beside each other, or in the chosen preset.

    Raises:
        InputError: two overlays undo each other, or one changes more than it declares or nothing at all; the message
            names both sides and the key.
    """
    chosen, rest = chosen_overlays(overrides), without(overrides)
    if not chosen:
        return
    base = _flat(rest, config_dir)
    alone = {name: _changes(base, _flat([*rest, f"ablation=[{name}]"], config_dir)) for name in chosen}
    for name, changes in alone.items():
        _hold_to_its_word(name, changes, rest, config_dir)
    for pair in combinations(chosen, 2):
        try:
            both = _flat([*rest, f"ablation=[{','.join(pair)}]"], config_dir)
        except InputError as error:  # Hydra refuses two values of one group
            key = re.search(r"Multiple values for ([\w@./]+?)\.? ", str(error))
            raise _contradiction(pair, key[1].rpartition("@")[2] if key else str(error)) from None
        for name in pair:
            lost = next((key for key, value in alone[name].items() if both.get(key) != value), None)
            if lost is not None:
                raise _contradiction(pair, lost)


def compose_sensible(overrides: Sequence[str], config_dir: Path | None) -> tuple[Flat, dict[str, Any]]:
    """Compose a configuration once, and refuse what `refuse_contradictions` does.

    Returns:
        Its leaves by their whole keys, with references as they are written; and all of it, plain and resolved. Neither
        is to be changed.

    Raises:
        InputError: as `compose_config` and `refuse_contradictions`.
    """
    refuse_contradictions(overrides, config_dir)
    chosen = chosen_overlays(overrides)
    return _composed((*without(overrides), *([f"ablation=[{','.join(chosen)}]"] if chosen else [])), config_dir)


def _hold_to_its_word(name: str, changes: Flat, rest: Sequence[str], config_dir: Path | None) -> None:
    homes = [conf_dir(), *([config_dir] if config_dir else [])]
    path = next(path for home in homes if (path := home / "ablation" / f"{name}.yaml").exists())
    declared = read_overlay(path).changes
    more = [key for key in changes if not any(key == c or key.startswith(f"{c}.") for c in declared)]
    beside = _company(rest)
    if more:
        raise InputError(
            f"ablation={name} does not fit {beside}: it is made for the default's lists, and here it would also change "
            f"{more[0]}. Set what it is about yourself ({', '.join(declared)}), see `telucodec train --cfg`."
        )
    read = [_composed((*rest, *arm), config_dir)[1] for arm in ((), (f"ablation=[{name}]",))]
    if all(read[0][key] == read[1][key] for key in READ):
        raise InputError(f"ablation={name} changes nothing beside {beside}: it would be the same run twice.")


def _company(rest: Sequence[str]) -> str:
    return " ".join(o for o in rest if not o.startswith(("seed=", "name=", "run_root="))) or "the defaults"


def blame(error: InputError, overrides: Sequence[str], config_dir: Path | None) -> InputError:
    """The error, with the names of the overlay and the preset without which there would be none."""
    preset = next((o.partition("=")[2] for o in overrides if o.startswith("experiment=")), "")
    base = f"experiment={preset}" if preset not in ("", "null") else "the other choices"
    if _builds(overrides, config_dir):
        return error  # something else is wrong
    chosen = chosen_overlays(overrides)
    for name in chosen:
        rest = [other for other in chosen if other != name]
        if _builds([*without(overrides), *([f"ablation=[{','.join(rest)}]"] if rest else [])], config_dir):
            company = f" with ablation={','.join(rest)}" if rest else ""
            return InputError(f"ablation={name} does not fit {base}{company}: {error}")
    others = [o for o in overrides if not o.startswith(("experiment=", "ablation="))]
    if not chosen and preset and others and _builds([f"experiment={preset}"], config_dir):
        return InputError(f"experiment={preset} and {' '.join(others)} do not go together: {error}")
    return error


def chosen_overlays(overrides: Sequence[str]) -> list[str]:
    """The ablations that a command line picks.

    >>> chosen_overlays(["seed=1", "ablation=[tanh,snake]"]), chosen_overlays(["ablation=tanh"])
    (['tanh', 'snake'], ['tanh'])
    """
    for override in OverridesParser.create().parse_overrides([o for o in overrides if o.startswith("ablation=")]):
        value = override.value()
        return [str(name) for name in value] if isinstance(value, list) else [] if value is None else [str(value)]
    return []


def without(overrides: Sequence[str]) -> list[str]:
    """The overrides but for the choice of ablations."""
    return [override for override in overrides if not override.startswith("ablation=")]


@lru_cache(maxsize=8)
def compose_once(overrides: tuple[str, ...], config_dir: Path | None) -> DictConfig:
    """As `compose_checked`, for one of a few that were asked for last: not to be changed.

    Raises:
        InputError: as `compose_checked`.
    """
    return compose_checked(overrides, config_dir)


def _flat(overrides: Sequence[str], config_dir: Path | None) -> Flat:
    return _composed(tuple(overrides), config_dir)[0]


@lru_cache(maxsize=256)
def _composed(overrides: tuple[str, ...], config_dir: Path | None) -> tuple[Flat, dict[str, Any]]:
    """A configuration as leaves with references as they are written, and resolved."""
    written = compose_once(overrides, config_dir)
    flat = leaves(OmegaConf.to_container(written, resolve=False))
    try:
        resolved: Any = OmegaConf.to_container(written, resolve=True)
    except OmegaConfBaseException as error:
        raise InputError(" ".join(str(error).split())) from None
    return {key: value for key, value in flat if not isinstance(value, dict) or not value}, resolved


def _changes(base: Flat, arm: Flat) -> Flat:
    return {key: arm.get(key) for key in dict.fromkeys([*base, *arm]) if base.get(key) != arm.get(key)}


def _contradiction(pair: tuple[str, str], key: str) -> InputError:
    told = f"ablation: '{pair[0]}' and '{pair[1]}' contradict each other: both change {key}"
    return InputError(f"{told}. Leave one of them out.")


def _builds(overrides: Sequence[str], config_dir: Path | None) -> bool:
    from telucodec.build import build

    try:
        training = compose_config(overrides, config_dir)["training"]
        check(training, "training")
        build(training, "training").configure_optimizers()
    except InputError:
        return False
    return True
