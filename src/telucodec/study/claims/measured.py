"""The ledger decided: what holds before any run, and what the runs of studies add."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telucodec.study.claims.claim import Claim, StepsPerEpoch
from telucodec.study.claims.evidence import Evidence
from telucodec.study.claims.finding import Finding, Part, over_parts, over_places
from telucodec.study.claims.ledger import Ledger
from telucodec.study.claims.predicted import predicted
from telucodec.study.claims.signs import told
from telucodec.study.claims.switched import measured
from telucodec.study.claims.verdicts import Judged, judge
from telucodec.study.results.collected import Collected

FINAL = ("impossible", "unreachable", "refuted", "confirmed", "inconclusive", "untested")
# what an a-priori verdict comes to, whatever runs say; those that are left out are decided by runs
SETTLED: Mapping[str, str] = {
    "impossible": "impossible",  # no signal, or no optimizer, has these figures: a run that did would be a bug
    "unreachable": "unreachable",
    "inconsistent": "refuted",  # by what the document says elsewhere: the two together are false
    "false": "refuted",
    "partly": "refuted",  # a claim says all that it says, and a part of this is wrong
    "true": "confirmed",
    "certain": "confirmed",
}


@dataclass(frozen=True)
class Decided:
    """A claim with its final verdict, what holds before any run, and what runs found."""

    judged: Judged
    parts: tuple[Part, ...]

    @property
    def claim(self) -> Claim:
        """Whose verdict it is."""
        return self.judged.claim

    @property
    def verdict(self) -> str:
        """One of `FINAL`."""
        if self.judged.verdict in SETTLED:
            return SETTLED[self.judged.verdict]
        found = over_parts([part.verdict for part in self.parts])
        # what a document can have seen, or is possible in a part of its range, is neither right nor wrong for that
        half = self.judged.verdict == "impossible in part" or (self.judged.verdict == "consistent" and not self.parts)
        return "inconclusive" if half and found == "untested" else found

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of the part that decides first."""
        parts = sorted(self.parts, key=lambda part: part.verdict != self.verdict)
        return tuple(each for part in parts for each in part.ordered)

    @property
    def by(self) -> Evidence | Finding | None:
        """The one reason for which there is room: a rule's where it settles the claim, else what a run found."""
        rules = [each for each in self.judged.evidence if each.verdict in SETTLED or not self.findings]
        told = " ".join(part.told for part in self.parts if part.told)
        findings = [each._replace(text=f"{told} {each.text}".strip()) for each in self.findings[:1]]
        return (*rules, *findings, None)[0]

    def plain(self) -> dict[str, Any]:
        """As JSON knows it."""
        judged = self.judged.plain()
        found = [{"verdict": part.verdict, "findings": [each.plain() for each in part.findings]} for part in self.parts]
        return judged | {"verdict": self.verdict, "before_runs": self.judged.verdict, "runs": found}


def decide(ledger: Ledger, results: Sequence[Collected], per_epoch: StepsPerEpoch | None = None) -> list[Decided]:
    """Hold every claim against all rules, and against the runs of studies.

    Args:
        ledger: the claims.
        results: of studies; empty leaves what only runs decide untested.
        per_epoch: optimizer steps in an epoch, if not the ledger's.
    """
    steps = per_epoch or ledger.header.steps_per_epoch
    return [Decided(each, tuple(_parts(each.claim, steps, results))) for each in judge(ledger, steps.granted)]


def _parts(claim: Claim, per_epoch: StepsPerEpoch, results: Sequence[Collected]) -> Iterable[Part]:
    yield from predicted(claim, per_epoch, results)
    for effect in claim.effects:
        findings = tuple(measured(effect, results))
        yield Part(over_places(each.verdict for each in findings), findings)
    if claim.sign is not None:
        yield told(claim.sign, results)


def counts(decided: Iterable[Decided]) -> dict[str, int]:
    """How many claims have each final verdict, in the order of `FINAL`."""
    found = Counter(each.verdict for each in decided)
    return {verdict: found[verdict] for verdict in FINAL if found[verdict]}
