"""The values that a claim is made of: numbers as written, ranges, points of a run, lists of names."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from telucodec.errors import InputError


class Written(float):
    """A number that remembers with how many digits it was written: 0.50 is said more precisely than 0.5.

    >>> Written("0.50") == 0.5, Written("0.50").half_unit, Written("45").half_unit
    (True, 0.005, 0.5)
    """

    half_unit: float  # half a unit of the last digit; 0 of what is not finite

    def __new__(cls, text: str) -> "Written":
        """From the text of a number."""
        made = super().__new__(cls, text)
        made.half_unit = 0.5 * 10.0 ** int(Decimal(text).as_tuple().exponent) if math.isfinite(made) else 0.0
        return made


def half_unit(number: float) -> float:
    """Half a unit of the last digit with which a number was written, or else of its shortest form.

    >>> half_unit(Written("0.60")), half_unit(0.6), half_unit(45)
    (0.005, 0.05, 0.5)
    """
    return number.half_unit if isinstance(number, Written) else Written(str(number)).half_unit


class Range(NamedTuple):
    """From a first to a last value; an open end is infinite."""

    low: float
    high: float

    @classmethod
    def parse(cls, node: Any, where: str) -> "Range":
        """From [low, high], null for an open end."""
        ends = node if isinstance(node, list) and len(node) == 2 else [None, None]
        if ends == [None, None] or not all(e is None or type(e) in (int, float, Written) for e in ends):
            raise InputError(f"{where}: must be [low, high], with null for one open end, got {node!r}.")
        low, high = (-math.inf if ends[0] is None else ends[0], math.inf if ends[1] is None else ends[1])
        if not low <= high:
            raise InputError(f"{where}: {node} is empty. Write the lower end first.")
        return cls(*(end if isinstance(end, Written) else Written(str(end)) for end in (low, high)))

    def as_meant(self) -> "Range":
        """One value alone stands for all that round to it; a range is itself.

        >>> Range.parse([12, 12], "").as_meant(), Range.parse([3, 10], "").as_meant()
        (Range(low=11.5, high=12.5), Range(low=3.0, high=10.0))
        """
        if self.low < self.high:
            return self
        return Range(self.low - half_unit(self.low), self.high + half_unit(self.high))

    def holds(self, value: float) -> bool:
        """Whether a value lies in it, to rounding; NaN does not.

        >>> Range(0.1, 0.3).holds(0.1 + 0.2), Range(0.1, 0.3).holds(float("nan"))
        (True, False)
        """
        slack = 1e-9 * max(1.0, *(abs(end) for end in self if math.isfinite(end)))
        return self.low - slack <= value <= self.high + slack

    def __str__(self) -> str:
        """As it is read aloud."""
        if self.low == self.high:
            return f"{self.low:g}"
        if math.isinf(self.low):
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if math.isinf(self.high) else f"{self.low:g} to {self.high:g}"


class When(NamedTuple):
    """At which point of a run."""

    unit: Literal["epoch", "step", "any"]
    number: float | str  # of epochs or steps; of any, which

    @classmethod
    def parse(cls, node: Any, where: str) -> "When":
        """From {epoch: n}, {step: n} or {any: which}."""
        if isinstance(node, Mapping) and len(node) == 1:
            (unit, number), = node.items()  # fmt: skip
            if unit == "any" and isinstance(number, str):
                return cls("any", number)
            if unit in ("epoch", "step") and type(number) is int and number >= 0:
                return cls(unit, number)
        raise InputError(f"{where}: must be {{epoch: n}}, {{step: n}} or {{any: which}}, got {node!r}.")

    def steps(self, per_epoch: int) -> int | None:
        """Optimizer steps until then; None where the point is not said."""
        return None if isinstance(self.number, str) else int(self.number * (per_epoch if self.unit == "epoch" else 1))

    def __str__(self) -> str:
        """As it is read aloud."""
        return str(self.number) if self.unit == "any" else f"{self.unit} {self.number}"


class Names(tuple[str, ...]):
    """One name or several."""

    __slots__ = ()

    @classmethod
    def parse(cls, node: Any, where: str) -> "Names":
        """From one string or a list of them."""
        names = [node] if isinstance(node, str) else node
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise InputError(f"{where}: must be a name or a list of names, got {node!r}.")
        return cls(names)
