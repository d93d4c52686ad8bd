"""Learning-rate factors as pure functions of the step: no state, so a resumed run cannot drift."""

import math

from telucodec.errors import at_least


class Constant:
    """1 after a linear warm-up.

    Args:
        warmup_steps: steps over which the factor rises to 1, >= 0.

    >>> [Constant(warmup_steps=4)(step) for step in (0, 1, 3, 100)]
    [0.25, 0.5, 1.0, 1.0]
    """

    def __init__(self, *, warmup_steps: int) -> None:
        at_least(0, warmup_steps=warmup_steps)
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        """The factor on the learning rate in step `step` (from 0)."""
        return min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0


class Cosine(Constant):
    """A warm-up, then half a cosine from 1 to `final_factor` at `total_steps`.

    Args:
        warmup_steps: steps over which the factor rises to 1, >= 0.
        total_steps: where the cosine ends; after it the factor stays.
        final_factor: in [0, 1].

    Source: Loshchilov and Hutter 2016, arXiv:1608.03983, eq. 5, one period.

    >>> [round(Cosine(warmup_steps=0, total_steps=4, final_factor=0.0)(step), 4) for step in (0, 2, 4, 9)]
    [1.0, 0.5, 0.0, 0.0]
    """

    def __init__(self, *, warmup_steps: int, total_steps: int, final_factor: float) -> None:
        super().__init__(warmup_steps=warmup_steps)
        if not 0 <= final_factor <= 1:
            raise ValueError(f"final_factor must be in [0, 1], got {final_factor}")
        at_least(1, total_steps=total_steps)
        self.total_steps, self.final_factor = total_steps, final_factor

    def __call__(self, step: int) -> float:
        done = min(1.0, max(0, step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))
        fall = self.final_factor + (1 - self.final_factor) * (1 + math.cos(math.pi * done)) / 2
        return super().__call__(step) * fall


class Exponential(Constant):
    """A warm-up, and gamma ** step.

    Args:
        warmup_steps: steps over which the factor rises to 1, >= 0.
        gamma: factor a step, in (0, 1].

    >>> round(Exponential(warmup_steps=0, gamma=0.999996)(400_000), 3)
    0.202
    """

    def __init__(self, *, warmup_steps: int, gamma: float) -> None:
        super().__init__(warmup_steps=warmup_steps)
        if not 0 < gamma <= 1:
            raise ValueError(f"gamma must be in (0, 1], got {gamma}")
        self.gamma = gamma

    def __call__(self, step: int) -> float:
        return super().__call__(step) * self.gamma**step


class Linear(Constant):
    """A straight line from `first_factor` to 1 over the warm-up, then one from 1 to `final_factor` at `total_steps`.

    Args:
        warmup_steps: steps over which the factor rises to 1, >= 1.
        first_factor: factor of the first step, in [0, 1].
        total_steps: where the fall ends; after it the factor stays.
        final_factor: in [0, 1].

    Source: Xin et al. 2024, arXiv:2409.05377, published code.

    >>> line = Linear(warmup_steps=4, first_factor=0.2, total_steps=8, final_factor=0.5)
    >>> [round(line(step), 3) for step in (0, 2, 4, 6, 8, 99)]
    [0.2, 0.6, 1.0, 0.75, 0.5, 0.5]
    """

    def __init__(self, *, warmup_steps: int, first_factor: float, total_steps: int, final_factor: float) -> None:
        super().__init__(warmup_steps=warmup_steps)
        at_least(1, warmup_steps=warmup_steps, total_steps=total_steps)
        if not (0 <= first_factor <= 1 and 0 <= final_factor <= 1):
            raise ValueError(f"first_factor and final_factor must be in [0, 1], got {first_factor} and {final_factor}")
        if total_steps <= warmup_steps:
            raise ValueError(f"total_steps {total_steps} must be more than warmup_steps {warmup_steps}")
        self.first_factor, self.total_steps, self.final_factor = first_factor, total_steps, final_factor

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.first_factor + (1 - self.first_factor) * step / self.warmup_steps
        done = min(1.0, (step - self.warmup_steps) / (self.total_steps - self.warmup_steps))
        return 1 + (self.final_factor - 1) * done
