"""study.yaml, read and held against itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from telucodec.errors import InputError
from telucodec.reading import read_yaml
from telucodec.study.claims.strict import read
from telucodec.study.design.arms import at_rates, null_arm, overlays_in, rate_text
from telucodec.study.design.study import Arm, Study
from telucodec.study.design.written import CHECKS, Written, WrittenArm, circles_and_strangers, strangers, unpaired

FILE = "study.yaml"


class _Loader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        line = next(key.start_mark.line for key, _ in reversed(node.value) if key.value == twice) + 1
        raise InputError(f"line {line}: '{twice}' is there twice. Give each its own name.")
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_study(folder: Path) -> Study:
    """Read the study.yaml of a folder.

    Whether its metrics, overlays and overrides exist is not looked at here.

    Raises:
        InputError: it cannot be read, a key is unknown or missing, or its parts do not go together; the message names
            the file and the part.
    """
    path = folder / FILE
    written = read(Written, read_yaml(path, _Loader, "Give the name of a study."), str(path))
    for check in CHECKS:
        for why in check(written, folder):
            raise InputError(f"{path}: {why}")
    base = Arm(written.base.name, (), says="the base")
    arms = {base.name: base, **{name: _arm(name, arm, written.arms) for name, arm in written.arms.items()}}
    for why in circles_and_strangers(arms, base.name):
        raise InputError(f"{path}: {why}")
    try:
        everywhere = _rates(written.learning_rates)
        rates = {name: _rates(each.learning_rates) or everywhere for name, each in written.arms.items()}
    except ValueError as error:
        raise InputError(f"{path}: learning_rates: {error}.") from None
    made = at_rates(arms, base.name, {base.name: everywhere, **rates})
    first = next(iter(made))
    if written.null_factor is not None:
        null = null_arm(made[first], written.null_factor)
        if null.name in made:
            raise InputError(f"{path}: arm {null.name}: is what null_factor adds. Give yours another name.")
        made[null.name] = null
    for why in (*unpaired(made), *strangers(written.highlight, made)):
        raise InputError(f"{path}: {why}")
    return Study(
        name=folder.resolve().name,
        folder=folder,
        question=written.question,
        base=written.base.overrides,
        base_name=first,
        arms=made,
        seeds=written.seeds,
        budgets=written.budgets,
        metrics=written.metrics,
        primary=written.primary,
        higher_is_better=written.better == "higher",
        claims=written.claims,
        factors=written.factors,
        highlight=written.highlight,
        front=written.front,
        hypotheses={name: each.expect for name, each in written.arms.items() if each.expect},
    )


def _arm(name: str, written: WrittenArm, arms: Mapping[str, WrittenArm]) -> Arm:
    reference = arms.get(written.against, WrittenArm())
    switches = _turned(written, reference) if written.switches is None else written.switches
    return Arm(
        name, written.overrides, written.without, written.says, switches, written.against, written.seeds, of=name
    )


def _turned(arm: WrittenArm, reference: WrittenArm) -> tuple[str, ...]:
    """The overlays that an arm turns; none where it changes anything besides: that tells nothing of a switch alone."""
    ours, theirs = (sorted(o for o in each.overrides if not o.startswith("ablation=")) for each in (arm, reference))
    if ours != theirs:
        return ()
    here, there = ([*overlays_in(each.overrides), *(f"-{o}" for o in each.without)] for each in (arm, reference))
    back = (o[1:] if o.startswith("-") else f"-{o}" for o in there if o not in here)
    return (*(o for o in here if o not in there), *back)


def _rates(written: Sequence[float | str] | None) -> list[str]:
    rates = [rate_text(rate) for rate in written or ()]
    if written is not None and len(set(rates)) < max(1, len(rates)):
        raise ValueError("must be some learning rates, each once")
    return rates
