"""Every combination of a sweep's values, composed, checked and named."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from telucodec.cli.checked import check_values
from telucodec.cli.contradictions import compose_sensible
from telucodec.errors import InputError
from telucodec.study.jobs.job import ASIDE, Job

APART = 24  # from so many jobs on it is quicker to start more processes


@dataclass(frozen=True)
class Composed:
    """One job's configuration."""

    overrides: tuple[str, ...]
    written: Mapping[str, Any]  # its leaves by key, with references as they are written
    config: dict[str, Any]  # plain and resolved


def compose_all(lists: Sequence[Sequence[str]], config_dir: Path | None, console: Console) -> list[Composed]:
    """Compose and check each job once; many of them in as many processes as there are processors.

    Raises:
        InputError: some make no sense; the message names all of them.
    """
    make = partial(_compose, config_dir=config_dir)
    # those that choose the same parts follow each other: what choices come to is kept for a while
    order = sorted(range(len(lists)), key=lambda n: [o for o in lists[n] if "." not in o.partition("=")[0]])
    ready = [lists[n] for n in order]
    if len(lists) < APART:
        made = list(track(map(make, ready), "checking", len(lists), console=console, transient=True))
    else:
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            found = pool.map(make, ready, chunksize=4)
            made = list(track(found, "checking", len(lists), console=console, transient=True))
    by_place = dict(zip(order, made, strict=True))
    made = [by_place[n] for n in range(len(lists))]
    refused = [each for each in made if isinstance(each, str)]
    if refused:
        many = f"{len(refused)} of {len(lists)} jobs make no sense:\n  " if len(lists) > 1 else ""
        raise InputError(many + "\n  ".join(dict.fromkeys(refused)))
    return [each for each in made if isinstance(each, Composed)]


def _compose(overrides: Sequence[str], config_dir: Path | None) -> Composed | str:
    try:
        written, config = compose_sensible(overrides, config_dir)
        check_values(config)
    except InputError as error:
        return str(error)
    return Composed(tuple(overrides), written, config)


def name_jobs(composed: Sequence[Composed], root: Path) -> list[Job]:
    """Jobs called after the overrides in which they differ, which show the values in which they do."""
    places = range(len(composed[0].overrides))
    varying = [at for at in places if len({each.overrides[at] for each in composed}) > 1]
    first = [composed[0].overrides[at].lstrip("+~").partition("=")[0] for at in varying]
    shown = shown_keys([each.written for each in composed], first)
    jobs = []
    for each in composed:
        label = " ".join(each.overrides[at] for at in varying) or root.name
        jobs.append(Job(label, each.config, each.overrides, root, shown))
    return jobs


def merge_equal(jobs: Sequence[Job], console: Console) -> list[Job]:
    """Jobs without those that are the same run as one before, which is said."""
    found: dict[str, Job] = {}
    for job in jobs:
        if (same := found.setdefault(job.identity, job)) is not job:
            console.print(
                f"{job.label} is the same run as {same.label}: it is made once.", highlight=False, markup=False
            )
    return list(found.values())


def shown_keys(written: Sequence[Mapping[str, Any]], first: Sequence[str]) -> tuple[str, ...]:
    """Keys whose values are not the same in all configurations; what merely repeats another key is left out.

    Args:
        written: leaves by key, with references as they are written.
        first: keys, or groups of them, that come before the others.

    >>> shown_keys([{"seed": 0, "loss.mel.weight": 1, "a": 2}, {"seed": 1, "loss.mel.weight": 3, "a": 2}], ["loss"])
    ('loss.mel.weight', 'seed')
    """
    keys = dict.fromkeys(key for each in written for key in each if key not in ASIDE and not key.endswith("_partial_"))
    values = {key: {json.dumps(each[key], default=str) if key in each else None for each in written} for key in keys}
    differ = [key for key in keys if len(values[key]) > 1]
    return tuple(sorted(differ, key=lambda key: not any(key == f or key.startswith(f"{f}.") for f in first)))
