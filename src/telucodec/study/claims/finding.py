"""What runs say of one part of a claim, in one place; and what several findings come to."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

Measured = Literal["confirmed", "refuted", "inconclusive", "untested"]


class Runs(NamedTuple):
    """The runs that a finding rests on."""

    study: str
    arms: tuple[str, ...]  # the one that is asked first, then what it is held against
    seeds: tuple[int, ...]
    step: int | None  # at which the figure was taken; None: there is no figure

    def __str__(self) -> str:
        """As it is read aloud.

        >>> str(Runs("fixes", ("tanh", "base"), (0, 1), 300))
        'fixes: tanh against base, seeds 0 1, step 300'
        """
        seeds = f"seed{'s' if len(self.seeds) > 1 else ''} {' '.join(map(str, self.seeds))}" if self.seeds else "no run"
        step = "" if self.step is None else f", step {self.step}"
        return f"{self.study}: {' against '.join(self.arms)}, {seeds}{step}"


class Finding(NamedTuple):
    """A figure with its interval over seeds, and what it says of a claim."""

    verdict: Measured
    about: str  # which part of the claim
    figure: float  # NaN: there is none
    low: float  # 95 % interval; NaN: fewer than two seeds
    high: float
    runs: Runs
    text: str

    def plain(self) -> dict[str, Any]:
        """As JSON knows it; numbers that are not finite become null."""
        told = {"figure": self.figure, "low": self.low, "high": self.high}
        numbers = {key: value if math.isfinite(value) else None for key, value in told.items()}
        return self._asdict() | numbers | {"runs": self.runs._asdict()}


class Part(NamedTuple):
    """One thing that a claim says, with everything that was found of it."""

    verdict: Measured
    findings: tuple[Finding, ...]

    @property
    def told(self) -> str:
        """In one sentence where it holds and where not, if it is inconclusive for that; else empty."""
        places: dict[str, list[Measured]] = {}
        many = len({each.runs.study for each in self.findings}) > 1
        for each in self.findings:
            arms = " against ".join(each.runs.arms)
            places.setdefault(f"{each.runs.study}: {arms}" if many else arms, []).append(each.verdict)
        words = {"confirmed": "holds in", "inconclusive": "may hold in", "refuted": "does not hold in"}
        by_verdict = {word: [p for p, found in places.items() if over_parts(found) == v] for v, word in words.items()}
        said = [f"{word} {', '.join(names)}" for word, names in by_verdict.items() if names]
        return f"It {'; '.join(said)}." if self.verdict == "inconclusive" and len(said) > 1 else ""

    @property
    def ordered(self) -> list[Finding]:
        """Those that speak for the verdict first; of an inconclusive one as they come."""
        decided = self.verdict in ("confirmed", "refuted")
        return sorted(self.findings, key=lambda each: decided and each.verdict != self.verdict)


def bounds(low: float, high: float) -> str:
    """An interval as it follows a figure; nothing where one seed has none.

    >>> bounds(1.0, 2.5), bounds(math.nan, math.nan)
    (' (1 to 2.5)', '')
    """
    return f" ({low:.3g} to {high:.3g})" if math.isfinite(low) and math.isfinite(high) else ""


def over_places(verdicts: Iterable[Measured]) -> Measured:
    """What one part of a claim comes to where several pairs of arms were asked.

    Who cannot tell abstains; who disagree leave it open.

    >>> over_places(["confirmed", "inconclusive"]), over_places(["confirmed", "refuted"]), over_places([])
    ('confirmed', 'inconclusive', 'untested')
    """
    found = set(verdicts) - {"untested"}
    decided = found - {"inconclusive"}
    if len(decided) == 1:
        return decided.pop()
    return "inconclusive" if found else "untested"


def over_parts(verdicts: Sequence[Measured]) -> Measured:
    """What a claim comes to: it holds if all its parts do, and falls with any.

    >>> over_parts(["confirmed", "refuted"]), over_parts(["confirmed", "untested"]), over_parts(["confirmed"])
    ('refuted', 'inconclusive', 'confirmed')
    """
    found = set(verdicts)
    if "refuted" in found:
        return "refuted"
    if len(found) == 1:
        return found.pop()
    return "inconclusive" if found else "untested"
