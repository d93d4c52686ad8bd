"""What is asked of `telucodec study`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from telucodec.cli.studies.arms import Composed
from telucodec.errors import InputError
from telucodec.study.design.made import Made
from telucodec.study.design.study import Study
from telucodec.study.jobs.job import Job

if TYPE_CHECKING:
    from telucodec.study.jobs.queue import Slots


@dataclass(frozen=True)
class Asked:
    """A study cut down to what is wanted, with its jobs and what was made of them."""

    options: argparse.Namespace
    console: Console
    study: Study
    jobs: dict[tuple[str, int], Job]
    whole: Study  # not cut down but to its budget
    every: dict[tuple[str, int], Job]
    base: Composed
    there: Sequence[Made]
    root: Path  # of its runs

    @cached_property
    def settings(self) -> dict[str, Any]:
        """conf/sweep.yaml with what was asked for."""
        from telucodec.cli.checked import of_sweep
        from telucodec.cli.compose import compose_config

        given = self.options
        strange = [word for word in given.settings if not of_sweep(word)]
        if strange:
            told = "what runs are made of stands in study.yaml; only launcher and sweep are chosen here"
            raise InputError(f"{strange[0]}: {told}.")
        jobs = [] if given.jobs is None else [f"sweep.jobs={given.jobs}"]
        return compose_config([*given.settings, *jobs], None, "sweep")

    @property
    def slots(self) -> "Slots":
        """How many runs at a time, and on what."""
        from telucodec.cli.sweep import SweepSettings
        from telucodec.study.claims.strict import read

        about: SweepSettings = read(SweepSettings, self.settings["sweep"], "sweep")
        return about.slots
