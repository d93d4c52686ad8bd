"""How far an optimizer can move a parameter, whatever the losses say (I5)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Verdict = Literal["within reach", "between", "out of reach", "never moves", "no bound"]
WORDS: dict[Verdict, str] = {
    "within reach": "within reach. Needs {steady:,} steps at lr {lr:g} under a steady gradient; {has}",
    "between": "between. Reachable by the bound (at least {least:,} steps at lr {lr:g}, {rate:.2f} x lr a step), "
    "but not under a steady gradient ({steady:,}); {has}",
    "out of reach": "out of reach. Needs at least {least:,} steps at lr {lr:g} by the bound ({rate:.2f} x lr a step, "
    "under gradients that keep growing), {lone:,} at {lone_rate:.2f} x lr, a lone gradient's step, and {steady:,} "
    "under a steady gradient; {has}",
    "never moves": "out of reach. It is not trained, and never moves",
    "no bound": "no bound. How far its optimizer moves it depends on the gradient; {has}",
}


class Reach(NamedTuple):
    """The farthest that a parameter can have moved after some steps."""

    bound: float  # that no sequence of gradients can exceed
    steady: float  # under a gradient that never changes its sign or size


def adam_step_bound(betas: tuple[float, float]) -> float:
    """Largest move of Adam in one step, in units of the learning rate: under gradients that grow by b2/b1 a step.

    Of m = (1-b1) sum b1^k g_k and v = (1-b2) sum b2^k g_k^2, the Cauchy-Schwarz inequality allows the ratio m / sqrt(v)
    at most (1-b1) / sqrt((1-b2) (1 - b1^2/b2)); the corrections for starting from zero only make it smaller. Kingma and
    Ba give its first factor, (1-b1) / sqrt(1-b2), 3.16 by default: that is a lone gradient after silence, and gradients
    that grow move Adam further. Infinite where b1^2 >= b2.

    Source: ours; compare Kingma and Ba 2014, arXiv:1412.6980, section 2.1.

    >>> round(adam_step_bound((0.9, 0.999)), 2), round(adam_step_bound((0.8, 0.99)), 2), adam_step_bound((0.0, 0.0))
    (7.27, 3.36, 1.0)
    """
    first, second = betas
    if first == 0:
        return lone_step(betas)
    return lone_step(betas) / math.sqrt(1 - first**2 / second) if first**2 < second else math.inf


def lone_step(betas: tuple[float, float]) -> float:
    """Adam's move under a lone gradient after silence, in units of the learning rate; a steady one moves it by 1.

    Source: Kingma and Ba 2014, arXiv:1412.6980, section 2.1.

    >>> round(lone_step((0.9, 0.999)), 2)
    3.16
    """
    return (1 - betas[0]) / math.sqrt(1 - betas[1])


def adam_reach(lr: float, betas: tuple[float, float], steps: int, factor: Callable[[int], float]) -> Reach:
    """How far Adam (or AdamW without its decay) moves one number in a run; the weights of losses do not matter.

    Args:
        lr: learning rate.
        betas: decay of the two averages.
        steps: optimizer steps.
        factor: of the learning rate by step, such as a schedule.

    >>> adam_reach(1e-5, (0.9, 0.999), 300, lambda step: 1.0).steady
    0.003
    """
    travelled = lr * math.fsum(factor(step) for step in range(steps))
    return Reach(travelled * adam_step_bound(betas), travelled)


@dataclass(frozen=True)
class Move:
    """A value that somebody expects a parameter to take."""

    parameter: str
    start: float
    goal: float
    along: Callable[[float], float] = float  # from the value to what the optimizer moves; math.log for logarithms

    @property
    def distance(self) -> float:
        """How far the optimizer's own number is from where it should be."""
        return abs(self.along(self.goal) - self.along(self.start))

    @property
    def homeward(self) -> float:
        """The number from which weight decay pulls towards the goal; 0 where it pulls away from it."""
        start, goal = self.along(self.start), self.along(self.goal)
        return abs(start) if start * (start - goal) > 0 else 0.0


@dataclass(frozen=True)
class Pace:
    """How an optimizer moves one parameter in a run."""

    lr: float  # before the schedule
    betas: tuple[float, float] | None  # of Adam; None: the optimizer is none, and its moves have no bound
    decay: float  # AdamW's weight decay: a step takes lr * decay * value; 0 without
    steps: int  # in which it moves
    worth: float  # sum of the schedule's factors over these steps: so many at the full learning rate


@dataclass(frozen=True)
class Outlook:
    """Whether a run can make a move at all. Steps that are needed are counted at the full learning rate."""

    move: Move
    pace: Pace | None  # None: the parameter is not trained
    verdict: Verdict
    needed_by_bound: int | None  # fewer steps cannot do it, whatever the gradients
    needed_lone: int | None  # if each step were that of a lone gradient
    needed_steady: int | None  # steps under a gradient that never changes

    def row(self) -> dict[str, str | float | None]:
        """For a record."""
        return {
            "parameter": self.move.parameter,
            "from": self.move.start,
            "to": self.move.goal,
            "needed_by_bound": self.needed_by_bound,
            "needed_lone": self.needed_lone,
            "needed_steady": self.needed_steady,
            "steps": self.pace.steps if self.pace else 0,
            "verdict": self.verdict,
        }

    def sentence(self) -> str:
        """For a reader."""
        pace = self.pace or Pace(0.0, None, 0.0, 0, 0.0)
        has = f"this run has {pace.steps:,}"
        if abs(pace.worth - pace.steps) > 0.005 * pace.steps:
            has += f", which its schedule makes worth {pace.worth:,.0f}"
        rates = {"rate": math.inf, "lone_rate": math.inf}
        if pace.betas is not None:
            rates = {"rate": adam_step_bound(pace.betas), "lone_rate": lone_step(pace.betas)}
        needed = {"least": self.needed_by_bound, "lone": self.needed_lone, "steady": self.needed_steady}
        told = WORDS[self.verdict].format(has=has, lr=pace.lr, **rates, **needed)
        return f"{self.move.parameter} {_shown(self.move.start)} -> {_shown(self.move.goal)}: {told}."


def outlook(move: Move, pace: Pace | None) -> Outlook:
    """Hold a move against what the optimizer can do in a run.

    Weight decay counts where it helps: at most with what it takes from the value at the start.

    >>> told = outlook(Move("scale", 1.0, 3.0), Pace(1e-5, (0.9, 0.999), 0.0, 300, 300.0))
    >>> told.verdict, told.needed_by_bound, told.needed_steady
    ('out of reach', 27510, 200000)
    """
    if pace is None or (pace.lr == 0 and move.distance > 0):
        return Outlook(move, pace, "never moves", None, None, None)
    bound = math.inf if pace.betas is None else adam_step_bound(pace.betas)
    if pace.betas is None or math.isinf(bound):
        return Outlook(move, pace, "no bound", None, None, None)
    pull, travelled = pace.decay * move.homeward, pace.lr * pace.worth
    needed = [_steps(move.distance, pace.lr * (rate + pull)) for rate in (bound, lone_step(pace.betas), 1.0)]
    reached = [travelled * (rate + pull) * (1 + 1e-9) >= move.distance for rate in (bound, 1.0)]
    verdict: Verdict = "within reach" if reached[1] else "between" if reached[0] else "out of reach"
    return Outlook(move, pace, verdict, *needed)


def _steps(distance: float, rate: float) -> int:
    return math.ceil(distance / rate * (1 - 1e-9)) if distance else 0


def _shown(value: float) -> str:
    return str(float(f"{value:.6g}"))
