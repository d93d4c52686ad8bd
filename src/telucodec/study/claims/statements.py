"""Verdicts from what a document says elsewhere, from arithmetic, and from reading what it cites."""

from collections.abc import Iterator
from itertools import product

from telucodec.study.claims.arithmetic import evaluate
from telucodec.study.claims.claim import Claim
from telucodec.study.claims.evidence import Case, Evidence, Rule
from telucodec.study.claims.values import half_unit

OPPOSITE = {"up": "down", "down": "up", "with": "without", "without": "with"}


def arithmetic(case: Case) -> Iterator[Evidence]:
    """Sums done again, to half a unit of the last digit that is stated."""
    found = [(equation, evaluate(equation.expression, {})) for equation in case.claim.arithmetic]
    right = [abs(value - equation.stated) <= half_unit(equation.stated) + 1e-12 for equation, value in found]
    verdict = "true" if all(right) else "partly" if any(right) else "false"
    for (equation, value), holds in zip(found, right, strict=True):
        text = f"{equation.expression} = {value:.4g}, stated as {equation.stated}: {'right' if holds else 'wrong'}."
        yield Evidence(verdict, "arithmetic", equation.expression, value, text)


def gain(case: Case) -> Iterator[Evidence]:
    """A factor on a signal multiplies its level, and nothing else."""
    if case.claim.gain is None:
        return
    factor, before, (low, high) = case.claim.gain.factor, case.claim.gain.before, case.claim.gain.after
    after = factor * before
    holds = low - 1e-9 <= after <= high + 1e-9
    named = f" (with {', '.join(case.claim.with_)})" if case.claim.with_ else ""
    text = f"{before:g} times {factor:g} is {after:.3g}, and is said to be {case.claim.gain.after}{named}."
    yield Evidence("certain" if holds else "inconsistent", "I1", "RMS(s x) = s RMS(x)", after, text)


def moments(case: Case) -> Iterator[Evidence]:
    """An RMS below the absolute mean of the same signal, which no signal has."""
    told = [(claim, claim.moments) for claim in (case.claim, *case.joined) if claim.moments is not None]
    for (one, a), (other, b) in product(told, told):
        if a.rms is None or b.mean is None or case.claim not in (one, other) or a.rms >= abs(b.mean):
            continue
        named = "" if one is other else f" (with {(other if one is case.claim else one).id})"
        text = f"An RMS of {a.rms:g} and a mean of {b.mean:g}{named}: the mean alone has an RMS of {abs(b.mean):g}."
        verdict = "impossible" if one is other else "inconsistent"
        yield Evidence(verdict, "I1", "RMS >= |mean|", abs(b.mean), text)


def states(case: Case) -> Iterator[Evidence]:
    """One thing that a document gives different values."""
    if case.claim.states is None:
        return
    said = ", ".join(f"{each.value} (line {each.line})" for each in case.claim.states.values)
    values = {each.value for each in case.claim.states.values}
    verdict = "inconsistent" if len(values) > 1 else "consistent"
    text = f"{case.claim.states.what}: {said}."
    yield Evidence(verdict, "same thing", f"{len(values)} value{'s' if len(values) > 1 else ''}", None, text)


def laws(case: Case) -> Iterator[Evidence]:
    """Claims that answer the same question in opposite ways: one of them at most is right.

    Not one of `RULES`: the case holds only those claims that no other rule found impossible.
    """
    law = case.claim.law
    if law is None:
        return
    others = [claim.id for claim in case.others.values() if _opposes(claim, law.name, OPPOSITE[law.direction])]
    if others:
        text = f"{law.name}: {law.direction} here, {OPPOSITE[law.direction]} in {', '.join(others)}."
        yield Evidence("exclusive", "law", f"not with {', '.join(others)}", None, text)


def _opposes(claim: Claim, name: str, direction: str) -> bool:
    return claim.law is not None and claim.law.name == name and claim.law.direction == direction


def checked(case: Case) -> Iterator[Evidence]:
    """Statements about other people's work, as recorded with what was read."""
    found = case.claim.checked
    if found is not None:
        verdict = found.finding if isinstance(found.finding, str) else str(found.finding).lower()
        yield Evidence(verdict, "source", found.by, None, found.why)


RULES: tuple[Rule, ...] = (arithmetic, gain, moments, states, checked)
