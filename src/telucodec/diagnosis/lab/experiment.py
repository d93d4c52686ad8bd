"""What an experiment finds: predictions held against measurements."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Relation = Literal["=", "<=", ">="]


@dataclass(frozen=True)
class Check:
    """A prediction held against a measurement."""

    what: str
    predicted: float
    measured: float
    tolerance: float
    relation: Relation = "="  # of the measurement to the prediction

    @property
    def difference(self) -> float:
        """How far the measurement is from the prediction, or on the wrong side of it."""
        beyond = self.measured - self.predicted
        right = (self.relation == "<=" and beyond <= 0) or (self.relation == ">=" and beyond >= 0)
        return 0.0 if right else abs(beyond)

    @property
    def holds(self) -> bool:
        """Whether the difference is within the tolerance; never for a NaN."""
        return self.difference <= self.tolerance

    @property
    def strain(self) -> float:
        """The difference in tolerances; infinite where it does not hold."""
        if not self.holds:
            return math.inf
        return self.difference / self.tolerance if self.tolerance else 0.0


@dataclass(frozen=True)
class Experiment:
    """What came of holding one identity against the project's own classes."""

    key: str  # i1 ... i10, rate
    title: str
    formula: str
    checks: tuple[Check, ...]
    data: Mapping[str, Any] = field(default_factory=dict)  # every number that its picture shows; lists and floats

    @property
    def worst(self) -> Check:
        """The check that fails, or comes nearest to it."""
        return max(self.checks, key=lambda check: check.strain)

    @property
    def holds(self) -> bool:
        """Whether all checks hold."""
        return all(check.holds for check in self.checks)

    def plain(self) -> dict[str, Any]:
        """As it is written to files."""
        checks = [asdict(c) | {"difference": c.difference, "holds": c.holds} for c in self.checks]
        told = {"title": self.title, "formula": self.formula, "holds": self.holds, "checks": checks}
        return told | {"data": dict(self.data)}


def compare(
    what: str,
    predicted: Sequence[float],
    measured: Sequence[float],
    tolerance: float,
    relation: Relation = "=",
) -> Check:
    """The check of many values at once: the pair of them that fails, or comes nearest to it.

    >>> compare("powers", [1.0, 4.0], [1.1, 4.5], 0.2).measured
    4.5
    """
    checks = [Check(what, p, m, tolerance, relation) for p, m in zip(predicted, measured, strict=True)]
    sign = -1 if relation == ">=" else 1
    return max(reversed(checks), key=lambda check: (check.strain, sign * (check.measured - check.predicted)))
