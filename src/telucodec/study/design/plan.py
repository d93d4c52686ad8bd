"""What a study will cost, before it starts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from statistics import fmean

from telucodec.errors import InputError
from telucodec.study.design.made import Made, how
from telucodec.study.jobs.job import Job

ALIKE = 2.0  # runs whose numbers of steps differ by more than this factor say little about each other's time


@dataclass(frozen=True)
class Cost:
    """What one run takes."""

    seconds: float  # NaN: nobody knows
    source: str  # how that is known


@dataclass(frozen=True)
class Line:
    """One arm in a plan."""

    arm: str
    jobs: int
    over: int  # finished or diverged
    shared: int  # that are also another arm's, and are counted there
    steps: int  # of each run
    cost: Cost  # of each run

    @property
    def to_make(self) -> int:
        """Runs that are to be made."""
        return self.jobs - self.over - self.shared

    @property
    def seconds(self) -> float:
        """Computing that is left."""
        return self.to_make * self.cost.seconds if self.to_make else 0.0


@dataclass(frozen=True)
class Measured:
    """What the steps of a base took when it was tried."""

    start: float  # seconds from starting a process to its first step, and from the last one to its end
    step: float  # seconds a step, while the discriminators wait
    played: float  # seconds a step once they learn
    validation: float  # seconds

    def seconds(self, steps: int, start: int, every: int) -> float:
        """What a run takes.

        Args:
            steps: of it.
            start: the step at which the discriminators begin to learn.
            every: steps between two validations.

        >>> Measured(10.0, 0.1, 0.5, 2.0).seconds(100, 80, 50)
        32.0
        """
        alone = min(steps, start)
        validations = -(-steps // every)
        return self.start + alone * self.step + (steps - alone) * self.played + validations * self.validation


def plan(jobs: Mapping[tuple[str, int], Job], there: Sequence[Made], measured: Measured | None) -> list[Line]:
    """One line an arm, in order.

    Args:
        jobs: (arm, seed) -> job.
        there: what the study's folder holds: what was made says what a run takes.
        measured: what is known of the base if nothing was made yet.
    """
    lines, counted = [], set[str]()
    for arm in dict.fromkeys(arm for arm, _ in jobs):
        own = [job for (name, _), job in jobs.items() if name == arm]
        new = [job for job in own if job.identity not in counted]
        counted |= {job.identity for job in new}
        over = sum(how(job.folder).over for job in new)
        steps = int(own[0].config["max_steps"])
        cost = cost_of(arm, own[0], there, measured)
        lines.append(Line(arm, len(own), over, len(own) - len(new), steps, cost))
    return lines


def cost_of(arm: str, job: Job, there: Sequence[Made], measured: Measured | None) -> Cost:
    """What a run takes: as finished runs of its arm did a step, else of any arm, else as was measured."""
    steps = int(job.config["max_steps"])
    near = [each for each in there if each.state.status == "finished" and each.state.steps > 0]
    near = [each for each in near if 1 / ALIKE <= each.state.steps / steps <= ALIKE]
    for known, source in (
        ([each for each in near if each.arm == arm], "its runs"),
        ([each for each in near if each.arm.partition("@")[0] == arm.partition("@")[0]], "its other rates"),
        (near, "other arms"),
    ):
        if known:
            return Cost(fmean(each.seconds / each.state.steps for each in known) * steps, source)
    if measured is None:
        return Cost(nan, "unknown")
    player = job.config["adversary"]["start"] if job.config["discriminator"] else steps
    every = job.config["callback"].get("validation", {}).get("every", steps)
    return Cost(measured.seconds(steps, player, every), "the base, tried")


def total(lines: Sequence[Line]) -> float:
    """Seconds of computing that are left; NaN if nobody knows."""
    return sum(line.seconds for line in lines)


def money(seconds: float, at_once: int, price: float) -> float:
    """What a machine costs that makes some runs at a time.

    Args:
        seconds: of computing.
        at_once: runs at a time.
        price: of an hour of the machine.

    >>> money(7200.0, 2, 2.5)
    2.5
    """
    return seconds / at_once / 3600 * price


def hours(seconds: float) -> str:
    """A time that a person can read.

    >>> hours(59.4), hours(3000), hours(9000), hours(float("nan"))
    ('59 s', '50 min', '2.5 h', 'unknown')
    """
    if isnan(seconds):
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def price_of(text: str) -> float | None:
    """The price of an hour: 2.5, or 2.5/h.

    Raises:
        InputError: it is no number of at least 0.
    """
    if not text:
        return None
    told = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/h)?", text.strip())
    if not told:
        raise InputError(f"--price {text}: must be the price of an hour, for example 2.5 or 2.5/h.")
    return float(told[1])
