"""How long the steps of a study's base take: some are tried."""

import json
import tempfile
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from telucodec.cli.compose import compose_config
from telucodec.disk import write_text
from telucodec.errors import InputError
from telucodec.study.design.arms import joined
from telucodec.study.design.plan import Measured
from telucodec.study.jobs.choose import choose_launcher
from telucodec.study.jobs.job import Job
from telucodec.study.jobs.queue import Slots, run_all
from telucodec.training.record import read_rows
from telucodec.training.version import code_version

if TYPE_CHECKING:
    from telucodec.cli.studies.asked import Asked

FILE = "timing.json"
HALF = 10  # steps of a trial before its discriminators play, and after


def measure(asked: "Asked") -> Measured:
    """Make a few steps of the base, without and then with its discriminators, and two validations.

    Raises:
        InputError: the base does not run, or logs nothing.
    """
    config = asked.base.config
    if not {"logging", "validation"} <= set(config["callback"]):
        raise InputError("--measure: the base has no callback=[logging,validation], so that nothing can be read off.")
    values = {"max_steps": 2 * HALF, "adversary.start": HALF, "adversary.heard": HALF}
    values |= {"callback.logging.every": 1, "callback.validation.every": HALF}
    seed = f"seed={asked.whole.seeds[0]}"
    overrides = joined(asked.base.overrides, [f"{key}={value}" for key, value in values.items()], [seed])
    with tempfile.TemporaryDirectory() as folder:
        composed = compose_config(overrides, asked.options.config_dir)
        job = Job(f"{2 * HALF} steps of {asked.base.arm.name}", composed, tuple(overrides), Path(folder))
        (outcome,) = run_all([job], choose_launcher(asked.settings["launcher"]), Slots(1), asked.console)
        if outcome.status != "finished":
            raise InputError(f"--measure: the base does not run ({outcome.status}): {outcome.message}")
        rows = read_rows(job.folder / "metrics.jsonl")
    found = read_off([(int(row["step"]), row["seconds"]) for row in rows], outcome.seconds)
    write_text(asked.root / FILE, json.dumps(asdict(found) | {"code": code_version()}, indent=1) + "\n")
    return found


def read_off(rows: list[tuple[int, float]], seconds: float) -> Measured:
    """What the parts of a trial took.

    Args:
        rows: (step, seconds since its beginning) of whatever was logged.
        seconds: all that it took, the start of its process included.

    >>> rows = [(step, 1.0 * step + 2.0 * (step > 10) * (step - 10) + 5.0 * (step > 10)) for step in range(1, 21)]
    >>> read_off(rows, 100.0)
    Measured(start=50.0, step=1.0, played=3.0, validation=5.0)
    """
    first: dict[int, float] = {}
    for number, at in rows:
        first.setdefault(number, at)
    taken = {after: first[after] - first[before] for before, after in pairwise(first) if after == before + 1}
    step = median(taken[n] for n in range(2, HALF + 1))
    played = median(taken[n] for n in range(HALF + 2, 2 * HALF + 1))
    validation = max(0.0, taken[HALF + 1] - played)
    return Measured(max(0.0, seconds - HALF * (step + played) - 2 * validation), step, played, validation)


def read_measured(root: Path) -> Measured | None:
    """What was measured with this code before."""
    try:
        told = json.loads((root / FILE).read_text(encoding="utf-8"))
        return Measured(**told) if told.pop("code") == code_version() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
