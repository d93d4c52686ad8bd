"""A verdict for each claim: the strongest that any rule has evidence for."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from telucodec.study.claims import levels, losses, statements, training
from telucodec.study.claims.claim import Claim
from telucodec.study.claims.evidence import VERDICTS, Case, Evidence
from telucodec.study.claims.ledger import Ledger

RULES = (*levels.RULES, *losses.RULES, *training.RULES, *statements.RULES)


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict and all reasons, the strongest first."""

    claim: Claim
    evidence: tuple[Evidence, ...]

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`; open without evidence."""
        return self.evidence[0].verdict if self.evidence else "open"

    def plain(self) -> dict[str, Any]:
        """As JSON knows it; numbers that are not finite become null."""
        source = [{"file": source.file, "lines": [str(line) for line in source.lines]} for source in self.claim.source]
        evidence = [
            each._asdict() | {"number": each.number if each.number is not None and math.isfinite(each.number) else None}
            for each in self.evidence
        ]
        about = {"id": self.claim.id, "verdict": self.verdict, "kind": self.claim.kind, "says": self.claim.says}
        return about | {"preset": self.claim.preset, "source": source, "evidence": evidence}


def judge(ledger: Ledger, granted: int) -> list[Judged]:
    """Hold every claim against every rule.

    Args:
        ledger: the claims.
        granted: optimizer steps in an epoch that are granted before a parameter's move is called unreachable.
    """
    alone = [_judge(Case(claim, ledger.header, ledger.claims, granted)) for claim in ledger.claims.values()]
    left = {each.claim.id: each.claim for each in alone if each.verdict != "impossible"}  # who can exclude another
    return [_beside(each, Case(each.claim, ledger.header, left, granted)) for each in alone]


def _judge(case: Case) -> Judged:
    return _sorted(case.claim, [each for rule in RULES for each in rule(case)])


def _beside(judged: Judged, case: Case) -> Judged:
    """With what rivals say."""
    return _sorted(judged.claim, [*judged.evidence, *statements.laws(case)])


def _sorted(claim: Claim, evidence: Iterable[Evidence]) -> Judged:
    return Judged(claim, tuple(sorted(evidence, key=lambda each: VERDICTS.index(each.verdict))))


def counts(judged: Iterable[Judged]) -> dict[str, int]:
    """How many claims have each verdict, the strongest verdict first."""
    found = Counter(each.verdict for each in judged)
    return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}
