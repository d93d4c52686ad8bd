"""Which arms of a study differ by a switch, and by nothing else."""

import re
from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import NamedTuple

from telucodec.study.claims.claim import Effect
from telucodec.study.design.arms import key_of
from telucodec.study.design.study import Arm, Study


class Place(NamedTuple):
    """Where an arm stands: the arm that switches alone lead back to, and how often each was turned on or off since."""

    root: str
    turned: Mapping[str, int]  # overlay -> 1 on, -1 off; those that are as at the root are left out


def place(study: Study, name: str) -> Place:
    """Follow an arm back over what it is compared with, for as long as it differs from that by switches alone.

    A switch with a minus before it is one that the arm turns off.
    An arm without any is a place of its own, whatever else it changes; so is one at another learning rate than its
    reference, or with other weights of all losses.
    """
    arm, reference = study.arms[name], study.arms[study.reference(name)]
    turned = _turned(arm)
    alone = not turned or reference is arm or arm.rate != reference.rate or arm.times != reference.times
    if alone:
        return Place(name, {})
    before = place(study, reference.name)
    summed = {key: turned.get(key, 0) + before.turned.get(key, 0) for key in (*before.turned, *turned)}
    return Place(before.root, {key: value for key, value in summed.items() if value})


def _turned(arm: Arm) -> dict[str, int]:
    off = [name[1:] for name in arm.switches if name.startswith("-")]
    return dict.fromkeys(off, -1) | {name: 1 for name in arm.switches if not name.startswith("-")}


def pairs(study: Study, effect: Effect) -> Iterator[tuple[str, str]]:
    """Arms with the switch of an effect, each with an arm that is the same without it (or with what it is against)."""
    wanted = dict.fromkeys(effect.against or (), -1) | dict.fromkeys(effect.switch, 1)
    places = {name: place(study, name) for name in study.arms}
    for one, other in permutations(study.arms, 2):
        here, there = places[one], places[other]
        if here.root == there.root:
            names = (*here.turned, *there.turned)
            differ = {key: here.turned.get(key, 0) - there.turned.get(key, 0) for key in names}
            if {key: value for key, value in differ.items() if value} == wanted:
                yield one, other


def nothing(study: Study, root: str) -> Iterator[str]:
    """Arms that are an arm with all losses times a number, which optimizers that divide by the gradient do not see.

    Those that a study makes of its base, and those made by hand: without a switch, called NAME_x10, and changing
    nothing but several weights of losses and the norm at which gradients are clipped.
    """
    for name, arm in study.arms.items():
        if study.reference(name) == root != name and (arm.times != 1 or _by_hand(arm, study.arms[root])):
            yield name


def _by_hand(arm: Arm, reference: Arm) -> bool:
    if _turned(arm) or not re.search(r"_x[\d.]+$", arm.of or arm.name):
        return False
    keys = [key_of(each) for each in arm.overrides if each not in reference.overrides]
    weights = [key for key in keys if re.fullmatch(r"loss\.\w+\.weight", key)]
    return len(weights) > 1 and all(key in weights or key.endswith(".clip_norm") for key in keys)
