"""What a user can get wrong."""

from collections.abc import Sequence
from math import isfinite


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message names the input (file, key or value) and the cure. Commands print it without a traceback and exit 2.
    """


class DivergedError(InputError):
    """A run's losses are not finite any more: its configuration is a finding, and repeating it finds the same."""


class BusyError(InputError):
    """Another process holds what is wanted: it may be free later."""


class LostError(InputError):
    """This process cannot go on because another one of its run did not; that one says why."""


def at_least(least: float, **values: float | Sequence[float]) -> None:
    """Refuse values, or lists with values, that are below a bound or not finite.

    Raises:
        ValueError: the message names the value and the bound.

    >>> at_least(1, dim=8, strides=[2, 4])
    """
    for name, value in values.items():
        numbers = value if isinstance(value, Sequence) else [value]
        if not numbers:
            raise ValueError(f"{name} must not be empty")
        if not all(isfinite(number) and number >= least for number in numbers):
            raise ValueError(f"{name} must be >= {least}, got {value}")


def at_most(most: float, **values: float) -> None:
    """Refuse values that are above a bound: what is made by the thousand takes all time and memory.

    Raises:
        ValueError: the message names the value and the bound.

    >>> at_most(1024, n_q=8)
    """
    for name, value in values.items():
        if not value <= most:
            raise ValueError(f"{name} must be <= {most}, got {value}")


def above(bound: float, **values: float) -> None:
    """Refuse values that are not above a bound or not finite.

    Raises:
        ValueError: the message names the value and the bound.

    >>> above(0, floor=1e-5)
    """
    for name, value in values.items():
        if not (isfinite(value) and value > bound):
            raise ValueError(f"{name} must be > {bound}, got {value}")


def inside(low: float, high: float, **values: float) -> None:
    """Refuse values outside [low, high), NaN among them.

    Raises:
        ValueError: the message names the value and the range.

    >>> inside(0, 1, decay=0.99)
    """
    for name, value in values.items():
        if not low <= value < high:
            raise ValueError(f"{name} must be in [{low}, {high}), got {value}")
