"""Whether figures of several runs may stand side by side, and if not, what differs."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from telucodec.study.results.run import Ran


def unlike_evaluators(runs: Sequence[Ran]) -> list[str]:
    """What decides the figures and is not the same in all runs: one sentence a field, empty where all are alike.

    A run that has not finished has recorded no evaluator; its configuration tells as much as was chosen.
    """
    recorded = [(run, _flat(run.evaluator)) for run in runs]
    chosen = [(run, _flat(run.config.get("evaluator") or {}, "evaluator.")) for run in runs]
    return [*_differences(recorded), *_differences(chosen)]


def unlike_steps(runs: Sequence[Ran]) -> list[str]:
    """Runs that were last validated at another step than the longest, one sentence each.

    One that diverged or failed is left out: it has no end to compare.
    """
    ends = [(run, run.validations[-1]) for run in runs if run.validations and not run.endless]
    longest = max((end for _, end in ends), default=0)
    last = next((run.folder for run, end in ends if end == longest), None)
    return [
        f"{run.folder} was last validated at step {end}, {last} at {longest}." for run, end in ends if end != longest
    ]


def unlike_utterances(runs: Sequence[Ran]) -> list[str]:
    """Runs that heard another validation set than the first one, one sentence each."""
    sets = [(run, frozenset(heard.file for heard in run.heard)) for run in runs]
    sets = [(run, files) for run, files in sets if files]
    return [
        f"{run.folder} heard other utterances than {sets[0][0].folder}: "
        f"{len(files - sets[0][1])} that it lacks, and not {len(sets[0][1] - files)} that it has."
        for run, files in sets[1:]
        if files != sets[0][1]
    ]


def common_steps(runs: Sequence[Ran]) -> list[int]:
    """Steps at which every run was validated that was validated at all, in order."""
    steps = [set(run.validations) for run in runs if run.validations and not run.endless]
    return sorted(set.intersection(*steps)) if steps else []


def _differences(told: Sequence[tuple[Ran, Mapping[str, Any]]]) -> list[str]:
    having = [(run, fields) for run, fields in told if fields]
    if not having:
        return []
    first, reference = having[0]
    found: dict[str, str] = {}
    for run, fields in having[1:]:
        for key in [*reference, *fields]:
            here, there = fields.get(key, "nothing"), reference.get(key, "nothing")
            if here != there and not (here is math.nan and there is math.nan):
                found.setdefault(key, f"{key} is {there} in {first.folder} and {here} in {run.folder}.")
    return list(found.values())


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    return dict(_leaves(node, prefix))


def _leaves(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
