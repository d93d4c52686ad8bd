"""Arms as the page counts them: their figures with intervals, their labels, how they differ and what they change."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telucodec.study.design.study import OWN, Arm
from telucodec.study.report.measures import Measure
from telucodec.study.report.origin import troubles
from telucodec.study.results.collected import Collected
from telucodec.study.results.intervals import Interval
from telucodec.study.results.run import Ran
from telucodec.study.results.statistics import Difference, arm_interval, difference, differences, values

REPEATED = ("training", "codec", "evaluator")  # parts of a configuration that repeat its groups
COLOURED = 8  # arms in colour when the page opens
ASIDE = ("name", "run_root", "resume", "seed")


@dataclass(frozen=True)
class Row:
    """One arm in the table."""

    number: int  # in the study's order
    name: str
    reference: str  # whom it is compared with; "" for one that is a reference itself
    seeds: tuple[int, ...]  # that began
    figures: Mapping[str, Interval]  # key -> mean and interval at the end
    difference: Difference | None  # to its reference in the primary metric
    labels: tuple[tuple[str, int], ...]  # of its runs' ends, the most frequent first
    status: tuple[tuple[str, int], ...]  # how its runs stand, and how many are missing

    @property
    def whole(self) -> bool:
        """Whether every run of it that is wanted came to its end."""
        return {status for status, _ in self.status} <= {"finished"}


def by_arm(collected: Collected) -> dict[str, list[Ran]]:
    """The runs of each arm, in the study's order, those of arms without any run too."""
    return {arm: [ran for ran in collected.runs if ran.arm == arm] for arm in collected.arms}


def rows(collected: Collected, primary: str, columns: Sequence[Measure]) -> list[Row]:
    """The table of arms."""
    found = differences(collected, primary)
    unfinished = troubles(collected)
    table = []
    for number, (name, runs) in enumerate(by_arm(collected).items()):
        reference = collected.reference(name)
        labels = Counter(ran.label for ran in runs if ran.label)
        status = Counter(ran.status for ran in runs if ran.status == "finished")
        status.update(one.status for one in unfinished if one.arm == name)
        table.append(
            Row(
                number,
                name,
                "" if reference == name else reference,
                tuple(ran.seed for ran in runs),
                {each.key: arm_interval(values(collected.runs, name, each.key)) for each in columns},
                found.get(name),
                tuple(labels.most_common()),
                tuple(status.items()),
            )
        )
    return table


def forest(collected: Collected, measures: Sequence[Measure]) -> dict[str, list[dict[str, Any]]]:
    """Key -> the paired differences of all arms, as the page draws them; keys in which none can be compared are out."""
    numbers = {name: number for number, name in enumerate(collected.arms)}
    drawn = {}
    for each in measures:
        found = differences(collected, each.key)
        listed = [_drawn(numbers[arm], collected.reference(arm), one) for arm, one in found.items()]
        if any(one["mean"] is not None for one in listed):
            drawn[each.key] = listed
    return drawn


def chosen(table: Sequence[Row], highlight: Sequence[str]) -> list[int]:
    """Numbers of the arms that are in colour at first.

    Those that the study names itself, references, the arms that are above and below theirs by most, in turn, and then
    whichever are left.
    """
    references = {row.reference for row in table}
    first = [row.number for name in highlight for row in table if row.name == name]
    first += [row.number for row in table if row.name in references][:3]
    means = {row.number: row.difference.mean for row in table if row.difference}
    ordered = sorted((number for number, mean in means.items() if math.isfinite(mean)), key=lambda n: means[n])
    ends = [number for pair in zip(ordered, reversed(ordered), strict=True) for number in pair]
    return sorted(list(dict.fromkeys([*first, *ends, *(row.number for row in table)]))[:COLOURED])


def overridden(arm: Arm) -> list[str]:
    """What an arm changes, as it is written in the study."""
    without = [f"without {name}" for name in arm.without]
    rate = [f"learning rate {arm.rate}"] if arm.rate != OWN else []
    times = [f"every loss weight of the codec times {arm.times:g}"] if arm.times != 1 else []
    return [*arm.overrides, *without, *rate, *times]


def changed(runs: Sequence[Ran], base: Sequence[Ran]) -> list[tuple[str, str, str]]:
    """(key, the base's value, this arm's) where the composed configurations differ; none where they are not at hand."""
    ours, theirs = (next((ran.config for ran in each if ran.config), None) for each in (runs, base))
    if ours is None or theirs is None:
        return []
    mine, others = _flat(ours), _flat(theirs)
    keys = [key for key in dict.fromkeys([*others, *mine]) if mine.get(key) != others.get(key)]
    return [(key, others.get(key, "absent"), mine.get(key, "absent")) for key in keys]


def seedwise(collected: Collected, metric: str, arm: str) -> dict[int, float]:
    """An arm's difference to its reference in each seed on its own, for what is drawn beside the mean."""
    mine, base = (values(collected.runs, name, metric) for name in (arm, collected.reference(arm)))
    each = {seed: difference({seed: mine[seed]}, {seed: base[seed]}).mean for seed in mine if seed in base}
    return {seed: mean for seed, mean in each.items() if math.isfinite(mean)}


def _drawn(number: int, reference: str, one: Difference) -> dict[str, Any]:
    told = {key: value if math.isfinite(value) else None for key, value in one._asdict().items()}
    return {"arm": number, "reference": reference, "clear": one.clear} | told


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in config.items():
        if not prefix and key in (*REPEATED, *ASIDE):
            continue
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        elif key != "_partial_":
            flat[f"{prefix}{key}"] = "none" if value is None else str(value)
    return flat
