"""study.yaml as it is written, and what must hold in it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from telucodec.build import nearest
from telucodec.study.design.arms import key_of, overlays_in
from telucodec.study.design.study import OWN, Arm, Budget

WORD = r"[A-Za-z0-9][\w.+-]*"
RESERVED = {  # what a study sets itself
    "seed": "seeds",
    "max_steps": "the steps of a budget",
    "name": "the study's folder",
    "run_root": "--run-root",
    "resume": "resuming, which it always does",
}


@dataclass(frozen=True)
class Base:
    """What every arm begins with."""

    name: str = "base"
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class WrittenArm:
    """One arm; see `telucodec.study.design.study.Arm`."""

    overrides: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    says: str = ""
    switches: tuple[str, ...] | None = None
    against: str = ""
    seeds: tuple[int, ...] = ()
    expect: str = ""
    learning_rates: tuple[float | str, ...] | None = None


@dataclass(frozen=True)
class Written:
    """The whole file; see `telucodec.study.design.study.Study`."""

    question: str
    base: Base
    seeds: tuple[int, ...]
    budgets: Mapping[str, Budget]
    metrics: tuple[str, ...]
    primary: str
    better: Literal["higher", "lower"]
    arms: Mapping[str, WrittenArm]
    claims: tuple[str, ...] = ()
    learning_rates: tuple[float | str, ...] = (OWN,)
    null_factor: float | None = None
    factors: tuple[str, ...] = ()
    highlight: tuple[str, ...] = ()
    front: tuple[str, ...] = ()


def _names(written: Written, folder: Path) -> Iterator[str]:
    names = [written.base.name, *written.arms]
    for what, name in (("the study's folder", folder.resolve().name), *(("arm", name) for name in names)):
        if not re.fullmatch(WORD, name):
            yield f"{what}: '{name}' must begin with a letter or digit and consist of them and of . _ + -."
    if written.base.name in written.arms:
        yield f"arm {written.base.name}: is what the base is called. Give one of them another name."
    folded = [name.lower() for name in names]
    twice = next((name for name in names if folded.count(name.lower()) > 1), None)
    if twice is not None:
        yield f"arm {twice}: another one differs by capital letters only. Rename one."
    if not written.arms and written.null_factor is None and len(written.learning_rates) < 2:
        yield "arms: there are none. Give what is compared with the base."


def _numbers(written: Written, folder: Path) -> Iterator[str]:
    if "full" not in written.budgets:
        yield "budgets: there is none called 'full', which is the one that answers the question."
    if not written.seeds:
        yield "seeds: is empty. Give some, three or more for a difference that counts."
    given = [("seeds", written.seeds)]
    given += [(f"arm {name}: seeds", arm.seeds) for name, arm in written.arms.items()]
    given += [(f"budget {name}: seeds", budget.seeds) for name, budget in written.budgets.items()]
    for where, seeds in given:
        if len(set(seeds)) < len(seeds) or any(seed < 0 or isinstance(seed, bool) for seed in seeds):
            yield f"{where}: must be different whole numbers >= 0, got {list(seeds)}."
    for name, budget in written.budgets.items():
        if budget.steps < 1:
            yield f"budget {name}: steps must be at least 1, got {budget.steps}."
    factor = written.null_factor
    if factor is not None and not (0 < factor < float("inf") and factor != 1):
        yield f"null_factor: must be a number above 0 other than 1, for example 10, got {factor:g}."


def _measures(written: Written, folder: Path) -> Iterator[str]:
    if written.primary not in written.metrics:
        yield f"primary: {written.primary} is none of the metrics. Add it to them."
    twice = next((name for name in written.metrics if written.metrics.count(name) > 1), None)
    if twice is not None:
        yield f"metrics: {twice} is there twice."
    if written.front and (len(set(written.front)) != 2 or not set(written.front) <= set(written.metrics)):
        yield f"front: must be two of the metrics, got {', '.join(written.front)}."
    if not written.question.strip():
        yield "question: is empty. Say what is asked."


def _overrides(written: Written, folder: Path) -> Iterator[str]:
    given = [("base", written.base.overrides)]
    given += [(f"arm {name}", arm.overrides) for name, arm in written.arms.items()]
    given += [(f"budget {name}", budget.overrides) for name, budget in written.budgets.items()]
    for where, overrides in given:
        for override in overrides:
            if (key := key_of(override)) in RESERVED:
                yield f"{where}: {override}: {RESERVED[key]} decides that. Leave it out."
            if "=" not in override and not override.startswith("~"):
                yield f"{where}: '{override}' is no override. Write key=value."
    known = overlays_in(written.base.overrides)
    for name, arm in written.arms.items():
        for overlay in arm.without:
            if overlay not in known:
                hint = nearest(overlay, known) if known else "The base has none."
                yield f"arm {name}: without: {overlay} is no overlay of the base. {hint}"


def circles_and_strangers(arms: Mapping[str, Arm], base: str) -> Iterator[str]:
    """What is wrong with whom arms are compared with."""
    for name, arm in arms.items():
        if arm.against and arm.against not in arms:
            yield f"arm {name}: against: there is no arm {arm.against}. {nearest(arm.against, list(arms))}"
    for name in arms:
        chain = [name]
        while (reference := arms[chain[-1]].against or base) != chain[-1]:
            if reference in chain:
                yield f"arm {name}: against: {' -> '.join([*chain, reference])} goes in a circle."
                return
            chain.append(reference)


def strangers(highlight: Sequence[str], arms: Mapping[str, Arm]) -> Iterator[str]:
    """What pictures should show first, and is no arm."""
    for name in highlight:
        if name not in arms:
            yield f"highlight: there is no arm {name}. {nearest(name, list(arms))}"


def unpaired(arms: Mapping[str, Arm]) -> Iterator[str]:
    """Arms at a learning rate at which what they are compared with is not."""
    for name, arm in arms.items():
        if arm.against and arm.against not in arms:
            told = f"arm {name}: would be compared with {arm.against}, which is not there"
            yield f"{told}. Give both the same learning_rates."


# each says what is wrong with what is written, in a folder
CHECKS: tuple[Callable[[Written, Path], Iterator[str]], ...] = (_names, _numbers, _measures, _overrides)
