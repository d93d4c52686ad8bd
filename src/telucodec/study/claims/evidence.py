"""What a rule gives: a verdict with the identity, the formula and the number that it rests on."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from telucodec.study.claims.claim import Claim, Header, Prediction
from telucodec.study.claims.values import Range, When

# the strongest first: it is the verdict of a claim with evidence for several
VERDICTS = (
    "impossible", "unreachable", "inconsistent", "exclusive", "impossible in part",
    "false", "partly", "true", "certain", "consistent", "open",
)  # fmt: skip
SNRS, RATIOS = ("val/snr", "val/snr_pooled"), ("val/rms_ratio", "val/rms_ratio_pooled")


class Evidence(NamedTuple):
    """One reason. A verdict of `open` decides nothing: it only says what follows."""

    verdict: str
    identity: str  # I1 to I10 of telucodec.diagnosis.identities, rate, or what else decides
    formula: str
    number: float | None
    text: str


class Told(NamedTuple):
    """A prediction, and whose."""

    id: str
    prediction: Prediction

    @property
    def range(self) -> Range:
        """The values that are stated."""
        return self.prediction.range


@dataclass(frozen=True)
class Case:
    """A claim before its judges."""

    claim: Claim
    header: Header
    others: Mapping[str, Claim]  # by id: all claims of the ledger, or those that can exclude this one
    granted: int  # optimizer steps in an epoch

    @property
    def joined(self) -> tuple[Claim, ...]:
        """The claims that were made together with this one."""
        return tuple(self.others[name] for name in self.claim.with_)

    def speaks(self, *told: Told) -> bool:
        """Whether any of this was said by the claim itself."""
        return any(each.id == self.claim.id for each in told)

    @cached_property
    def moments(self) -> dict[When, dict[str, Told]]:
        """Every point of a run that this claim speaks of: key of the log -> what is said of it, others' words too."""
        found: dict[When, dict[str, Told]] = {}
        for claim in (self.claim, *self.joined):
            for prediction in claim.predicts:
                if claim is self.claim or prediction.at in found:
                    found.setdefault(prediction.at, {}).setdefault(prediction.metric, Told(claim.id, prediction))
        return found


Rule = Callable[[Case], Iterator[Evidence]]


def first(told: Mapping[str, Told], metrics: tuple[str, ...]) -> Told | None:
    """What is said of the first of these keys that anything is said of."""
    return next((told[metric] for metric in metrics if metric in told), None)


def beside(case: Case, *told: Told) -> str:
    """Which other claims take part, for a text.

    >>> beside(Case(None, None, {}, 1))
    ''
    """
    others = dict.fromkeys(each.id for each in told if each.id != case.claim.id)
    return f" (with {', '.join(others)})" if others else ""
