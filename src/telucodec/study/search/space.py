"""What a search may choose: each parameter with its bounds or values, and the override that sets it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol

from telucodec.errors import InputError

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

DIGITS = 6  # of a value, so that it can be typed again


class Parameter(Protocol):
    """A key of the configuration that a search sets."""

    @property
    def key(self) -> str:
        """As an override names it."""
        ...

    def suggest(self, trial: "BaseTrial") -> str:
        """The trial's value as an override; asked again, the same."""
        ...

    def first(self) -> str:
        """One value as an override, for checks before anything runs."""
        ...

    def told(self) -> str:
        """What it is chosen from, in words."""
        ...


@dataclass(frozen=True)
class Interval:
    """Real numbers, or whole ones, between two bounds."""

    key: str
    low: float
    high: float
    log: bool = False  # equal ratios are equally likely, not equal differences
    whole: bool = False
    step: float | None = None  # only low, low + step, ...

    def __post_init__(self) -> None:
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise InputError(
                f"{self.key}: the interval from {self.low:g} to {self.high:g} is empty. Give low, then high."
            )
        if self.log and self.low <= 0:
            raise InputError(f"{self.key}: an interval in equal ratios begins above 0, not at {self.low:g}.")
        if self.log and self.step is not None:
            raise InputError(f"{self.key}: a range has equal steps, so it cannot have equal ratios. Use interval(...).")

    def suggest(self, trial: "BaseTrial") -> str:
        if self.whole:
            step = int(self.step or 1)
            return f"{self.key}={trial.suggest_int(self.key, int(self.low), int(self.high), step=step, log=self.log)}"
        return self._typed(trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log))

    def first(self) -> str:
        return f"{self.key}={int(self.low)}" if self.whole else self._typed(self.low)

    def told(self) -> str:
        kind = "whole numbers" if self.whole else "numbers"
        steps = f", in steps of {self.step:g}" if self.step not in (None, 1) else ""
        return f"{kind} from {self.low:g} to {self.high:g}{steps}{', equal ratios' if self.log else ''}"

    def _typed(self, value: float) -> str:
        short = float(f"{value:.{DIGITS}g}")
        return f"{self.key}={min(max(short, self.low), self.high)!r}"


@dataclass(frozen=True)
class Choice:
    """Some values, none nearer to another than to a third."""

    key: str
    values: tuple[str, ...]  # as they are typed

    def __post_init__(self) -> None:
        if len(set(self.values)) < len(self.values):
            raise InputError(f"{self.key}: a value is given twice: {', '.join(self.values)}.")

    def suggest(self, trial: "BaseTrial") -> str:
        return f"{self.key}={trial.suggest_categorical(self.key, self.values)}"

    def first(self) -> str:
        return f"{self.key}={self.values[0]}"

    def told(self) -> str:
        return ", ".join(self.values)


def describe(space: Sequence[Parameter]) -> dict[str, dict[str, Any]]:
    """A search space as plain containers, to be kept beside its trials."""
    return {one.key: {"kind": type(one).__name__.lower(), **asdict(one)} for one in space}  # type: ignore[call-overload]


def differences(before: Mapping[str, Any], now: Mapping[str, Any], where: str = "") -> list[str]:
    """What differs between two descriptions, a line each.

    >>> differences({"a": {"low": 1}, "b": 2}, {"a": {"low": 3}, "c": 2})
    ['a.low: 1 before, 3 now', 'b: 2 before, nothing now', 'c: nothing before, 2 now']
    """
    told = []
    for key in [*before, *(key for key in now if key not in before)]:
        old, new = before.get(key, "nothing"), now.get(key, "nothing")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            told += differences(old, new, f"{where}{key}.")
        elif old != new:
            told.append(f"{where}{key}: {old} before, {new} now")
    return told
