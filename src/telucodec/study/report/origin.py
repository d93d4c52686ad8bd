"""Where a study's figures come from and what they cost: runs that did not end, hours, versions, commands."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from telucodec.errors import InputError
from telucodec.reading import read_json
from telucodec.study.results.collected import Collected
from telucodec.study.results.run import Ran

PARTS = ("data", "versions", "git")  # of run.json, which are mappings


class Trouble(NamedTuple):
    """A run that is not there, or did not come to its end."""

    arm: str
    seed: int
    status: str
    why: str  # its last words


class Cost(NamedTuple):
    """What one arm took."""

    arm: str
    runs: int
    steps: int
    seconds: float
    hours: float  # of audio heard
    devices: str


def troubles(collected: Collected) -> list[Trouble]:
    """Failed and diverged runs with their log line, interrupted and running ones, and missing ones."""
    status = {(ran.arm, ran.seed): ran.status for ran in collected.runs}
    told = {(arm, seed): why for arm, seed, why in collected.failed}
    unfinished = {key: "" for key, state in status.items() if state != "finished"}
    began = [Trouble(*key, status.get(key) or why.partition(" ")[0], why) for key, why in (unfinished | told).items()]
    return [*began, *(Trouble(arm, seed, "missing", "never began") for arm, seed in collected.missing)]


def costs(by_arm: Mapping[str, Sequence[Ran]]) -> list[Cost]:
    """What each arm took, those without runs left out."""
    return [
        Cost(
            arm,
            len(runs),
            sum(ran.steps for ran in runs),
            sum(ran.seconds for ran in runs),
            sum(ran.audio_hours for ran in runs),
            ", ".join(dict.fromkeys(ran.device for ran in runs if ran.device)),
        )
        for arm, runs in by_arm.items()
        if runs
    ]


def duration(seconds: float) -> str:
    """A span in words.

    >>> duration(14.2), duration(620.0), duration(7300.0)
    ('14 s', '10 min 20 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def facts(runs: Sequence[Ran]) -> list[tuple[str, str]]:
    """Code, hardware, seeds, data, versions: (name, value), each with how many runs say so where they do not agree."""
    records = [_record(ran) for ran in runs]
    found = {
        "code that trained": [ran.code for ran in runs],
        "commit": [_commit(record.get("git")) for record in records],
        "hardware": [ran.device for ran in runs],
        "platform": [str(record.get("platform") or "") for record in records],
        "data, sha256 of its manifest": [str((record.get("data") or {}).get("sha256", "")) for record in records],
        "utterances": [str((record.get("data") or {}).get("utterances", "")) for record in records],
        "evaluator": [_inline(ran.evaluator) for ran in runs],
        "versions": [_inline(record.get("versions") or {}) for record in records],
    }
    listed = [(name, _agreed([value for value in values if value])) for name, values in found.items()]
    seeds = ", ".join(map(str, sorted({ran.seed for ran in runs})))
    started = sorted(ran.started for ran in runs if ran.started)
    dates = [("started", f"{started[0]} to {started[-1]}")] if started else []
    return [("seeds", seeds), *dates, *((name, value) for name, value in listed if value)]


def commands(collected: Collected) -> list[tuple[str, str]]:
    """(what for, what to type): the whole study, this page, and one run of each arm."""
    assert collected.study
    name = collected.study.name
    told = [
        ("see what it costs", f"telucodec study plan {name}"),
        ("run it, or go on where it was", f"telucodec study run {name}"),
        ("write the tables", f"telucodec study collect {name}"),
        ("write this page", f"telucodec study report {name}"),
    ]
    firsts = {ran.arm: ran for ran in reversed(collected.runs) if ran.overrides}
    each = (
        (arm, shlex.join(["telucodec", "train", *firsts[arm].overrides])) for arm in collected.arms if arm in firsts
    )
    study = collected.study
    paired = {arm: ", with first weights of its own" if study.root(arm) != arm else "" for arm in collected.arms}
    return [*told, *((f"one run of {arm}{paired[arm]}", command) for arm, command in each)]


def _record(ran: Ran) -> Mapping[str, Any]:
    path = ran.folder / "run.json"
    try:
        told = read_json(path)
    except InputError:  # committed tables come without the folders of their runs
        return {}
    if not isinstance(told, Mapping):
        return {}
    return {key: value for key, value in told.items() if key not in PARTS or isinstance(value, Mapping)}


def _commit(git: Any) -> str:
    if not isinstance(git, Mapping) or not git.get("commit"):
        return ""
    return f"{git['commit']}{' with changes' if git.get('changed') else ''}"


def _inline(node: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in node.items())


def _agreed(values: Sequence[str]) -> str:
    counts = Counter(values)
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{value} ({count} runs)" for value, count in counts.most_common())
