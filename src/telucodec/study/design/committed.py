"""What stands beside collected results: which base and code they are of."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from telucodec.disk import write_text
from telucodec.errors import InputError
from telucodec.reading import held, read_yaml

STATE, RESULTS, RUNS = "collected.yaml", "results.csv", "runs.csv"
SHOWN = 6  # changed keys that are told


@dataclass(frozen=True)
class State:
    """Of what results are."""

    code: str  # version of the code that trained
    base: Mapping[str, Any]  # leaves of the base's configuration, by key

    def write(self, folder: Path) -> None:
        """Put it beside the results."""
        text = yaml.safe_dump({"code": self.code, "base": dict(self.base)}, sort_keys=False, allow_unicode=True)
        head = "# Of which code and base the results beside this file are; written by `telucodec study collect`.\n"
        write_text(folder / STATE, head + text)


def read_state(folder: Path) -> State | None:
    """What the results in a folder are of; None if there are none.

    Raises:
        InputError: the file cannot be read; the message names it.
    """
    path = folder / STATE
    if not path.exists():
        return None
    told = held(read_yaml(path), {"code": (str, int), "base": Mapping}, str(path))
    return State(str(told["code"]), dict(told["base"]))


def changes(before: State, now: State) -> list[str]:
    """What was changed, a line each, in words.

    >>> changes(State("a", {"seed": 0, "lr": 1}), State("b", {"lr": 2}))
    ['seed: 0 -> -', 'lr: 1 -> 2', 'code: a -> b']
    """
    keys = dict.fromkeys([*before.base, *now.base])
    told = [
        f"{key}: {before.base.get(key, '-')} -> {now.base.get(key, '-')}"
        for key in keys
        if before.base.get(key, "-") != now.base.get(key, "-")
    ]
    return told + ([f"code: {before.code} -> {now.code}"] if before.code != now.code else [])


def told_changes(folder: Path, now: State) -> Iterator[str]:
    """What to say to a person whose results are of an older base or of other code."""
    before = read_state(folder)
    found = changes(before, now) if before else []
    if found:
        more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        yield f"{folder / RESULTS} is of another base or code ({'; '.join(found[:SHOWN])}{more})."
        yield "New results will be kept apart from it: `telucodec study collect` moves the old ones aside."


def move_aside(folder: Path, before: State) -> Path:
    """Move results, and what says of what they are, into a folder of their own."""
    number = 1
    while (aside := folder / f"older_{before.code}_{number}").exists():
        number += 1
    aside.mkdir()
    for path in [folder / STATE, *folder.glob("results.*"), folder / RUNS]:
        if path.exists():
            path.rename(aside / path.name)
    return aside


def lost(folder: Path, over: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """The (arm, seed) of collected results that came to their end, and are not among those that there are now.

    Raises:
        InputError: runs.csv cannot be read.
    """
    path = folder / RUNS
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(row["arm"], int(row["seed"])) for row in csv.DictReader(file) if row["status"] in OVER]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}). Restore it, or delete it to collect anew.") from None
    return [key for key in rows if key not in over]


OVER = ("finished", "diverged")
