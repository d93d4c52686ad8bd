"""The arms of a study, composed: one job an (arm, seed)."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from telucodec.build import check, nearest
from telucodec.cli.compose import leaves, members, own_names
from telucodec.cli.contradictions import READ, compose_once, refuse_contradictions
from telucodec.cli.studies.kept import Kept
from telucodec.errors import InputError
from telucodec.study.claims.vocabulary import Vocabulary
from telucodec.study.design.arms import joined, without
from telucodec.study.design.study import OWN, Arm, Study
from telucodec.study.jobs.job import Job

KEPT_BACK = "subset.test_utterances=0"  # choices between arms are made on the validation split
SEED = 2**31 - 101  # stands for the seed: resolving references takes longer than composing many seeds would
SET = ("name", "run_root", "resume", "max_steps", "version")  # alike in all arms
Said = Callable[[str], None]


@dataclass(frozen=True)
class Composed:
    """An arm as a configuration, for any seed."""

    arm: Arm
    overrides: tuple[str, ...]  # all of them, the seed left out
    config: Mapping[str, Any]  # plain and resolved, with SEED where the seed belongs
    flat: Mapping[str, Any]  # its leaves by key, with references as they are written: what repeats a group is one

    def at(self, seed: int) -> dict[str, Any]:
        """The configuration at one seed."""
        plain: dict[str, Any] = _put(self.config, seed)
        return plain


def check_vocabulary(study: Study, names: Vocabulary, config_dir: Path | None) -> None:
    """Hold the metrics and overlays that a study names against those that exist.

    Raises:
        InputError: there is no such metric or overlay; the message names the nearest.
    """
    for metric in study.metrics:
        if not names.knows(metric):
            near = [each for each in names.metrics if each.partition("/")[0] == metric.partition("/")[0]]
            raise InputError(
                f"{study.name}: no run has the metric {metric}. {nearest(metric, near or [*names.metrics])}"
            )
    overlays = members("ablation", config_dir)
    for arm in study.arms.values():
        for switch in arm.switches:
            if switch.lstrip("-") not in overlays:
                raise InputError(f"arm {arm.name}: there is no overlay {switch}. {nearest(switch, overlays)}")


def compose_arms(study: Study, config_dir: Path | None, kept: Kept, said: Said = lambda _: None) -> dict[str, Composed]:
    """Compose every arm of a study with its budget "full", and refuse what makes no sense.

    Args:
        study: cut down to what is wanted (`Study.within`).
        config_dir: a folder of configuration groups of the user's own.
        kept: what was composed before.
        said: told each arm's name before it is composed.

    Raises:
        InputError: an arm cannot be composed, two of its overlays contradict each other, or two arms are the same; the
            message names the arms.
    """
    made = {}
    for name, arm in study.arms.items():
        said(name)
        try:
            made[name] = _compose(study, arm, config_dir, kept)
        except InputError as error:
            raise InputError(f"arm {name}: {own_names(str(error))}") from None
    _refuse_equal(made)
    kept.write()
    return made


def jobs_of(study: Study, composed: Mapping[str, Composed], root: Path) -> dict[tuple[str, int], Job]:
    """The job of every (arm, seed), seed by seed, each with the first weights of the arm that its chain ends at.

    Copies of one arm at different learning rates that come to the same configuration share a job.
    """
    shown = shown_keys(list(composed.values()))
    shown += ["seed"] if len({seed for _, seed in study.wanted()}) > 1 else []
    plain: dict[tuple[str, int], dict[str, Any]] = {}
    jobs: dict[tuple[str, int], Job] = {}
    for name, seed in study.wanted():
        for each in (name, study.root(name)):
            plain.setdefault((each, seed), composed[each].at(seed))
        config, base = plain[name, seed], plain[study.root(name), seed]
        overrides = (*composed[name].overrides, f"seed={seed}")
        jobs[name, seed] = Job(f"{name} s{seed}", config, overrides, root, tuple(shown), base)
    return jobs


def shown_keys(composed: Sequence[Composed]) -> list[str]:
    """Keys in which arms differ; for what only some of them have, the group that it is picked from.

    A value that only some arms have, and not all of these alike, has its own key too.
    """
    flats = [{k: v for k, v in each.flat.items() if not k.endswith("_partial_")} for each in composed]
    found: dict[str, None] = {}
    for key in dict.fromkeys(key for flat in flats for key in flat):
        values = {json.dumps(flat[key], default=str) for flat in flats if key in flat}
        group = key.partition(".")[0]
        if group in (*SET, "seed"):
            continue
        if any(key not in flat for flat in flats) and not any(f"{group}._target_" in flat for flat in flats):
            found[group] = None
        if len(values) > 1:
            found[key] = None
    return list(found)


def _compose(study: Study, arm: Arm, config_dir: Path | None, kept: Kept) -> Composed:
    budget = study.budgets["full"]
    common = without(joined([KEPT_BACK], study.base, budget.overrides), arm.without)
    overrides = tuple(joined(common, arm.overrides))
    what = [overrides, arm.rate, arm.times, study.name, budget.steps]
    if (before := kept.find(what)) is not None:
        return Composed(arm, tuple(before["overrides"]), before["config"], before["flat"])
    refuse_contradictions(overrides, config_dir)
    written = deepcopy(compose_once(overrides, config_dir))
    values = {"name": study.name, "max_steps": budget.steps}
    values |= dict(_at_rate(arm.rate, written)) | dict(_times(arm.times, written))
    for key, value in values.items():
        OmegaConf.update(written, key, value)
    every = leaves(OmegaConf.to_container(written, resolve=False))
    flat = {key: value for key, value in every if not isinstance(value, dict) or not value}
    written.seed = SEED
    config: Any = OmegaConf.to_container(written, resolve=True)
    check(config["training"], "training")
    typed = (*overrides, *(f"{key}={value}" for key, value in values.items()))
    kept.keep(what, {"overrides": typed, "config": config, "flat": flat})
    return Composed(arm, typed, config, flat)


def _put(node: Any, seed: int) -> Any:
    if isinstance(node, Mapping):
        return {key: _put(value, seed) for key, value in node.items()}
    if isinstance(node, list):
        return [_put(value, seed) for value in node]
    return seed if type(node) is int and node == SEED else node


def _at_rate(rate: str, written: DictConfig) -> Iterator[tuple[str, float]]:
    if rate != OWN:
        players = ("optimizer", "adversary_optimizer") if written.discriminator else ("optimizer",)
        yield from ((f"{player}.lr", float(rate)) for player in players)


def _times(factor: float, written: DictConfig) -> Iterator[tuple[str, float]]:
    if factor == 1:
        return
    for name, term in written.loss.items():
        yield f"loss.{name}.weight", term.weight * factor
    clip = written.training.players.codec.clip_norm
    if clip is not None:  # or it would cut off what the factor does to the gradient, and that is no null
        yield "training.players.codec.clip_norm", clip * factor


def _refuse_equal(composed: Mapping[str, Composed]) -> None:
    alike = defaultdict[str, list[Composed]](list)
    for each in composed.values():
        alike[json.dumps([_plain(each.config[key]) for key in READ], sort_keys=True)].append(each)
    for same in alike.values():
        first = same[0].arm
        for other in same[1:]:
            if other.arm.of != first.of or not first.of:
                names = f"arms {first.name} and {other.arm.name}"
                raise InputError(
                    f"{names} are the same run: their overrides come to one configuration. Drop one of them."
                )


def _plain(node: Any) -> Any:
    """A copy in which 3 and 3.0 are the same."""
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return float(node) if type(node) is int else node
