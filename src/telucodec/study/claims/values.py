"""The values that a claim is made of: ranges, points of a run, lists of names."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from telucodec.errors import InputError


class Range(NamedTuple):
    """From a first to a last value; an open end is infinite."""

    low: float
    high: float

    @classmethod
    def parse(cls, node: Any, where: str) -> "Range":
        """From [low, high], null for an open end."""
        ends = node if isinstance(node, list) and len(node) == 2 else [None, None]
        if ends == [None, None] or not all(e is None or type(e) in (int, float) for e in ends):
            raise InputError(f"{where}: must be [low, high], with null for one open end, got {node!r}.")
        low, high = (-math.inf if ends[0] is None else ends[0], math.inf if ends[1] is None else ends[1])
        if not low <= high:
            raise InputError(f"{where}: {node} is empty. Write the lower end first.")
        return cls(float(low), float(high))

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
