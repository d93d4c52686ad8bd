"""Claims that one figure tells what another is, held against every arm in which the first one stands there."""

from collections.abc import Iterator, Sequence

from telucodec.study.claims.claim import Sign
from telucodec.study.claims.finding import Finding, Measured, Part, Runs, bounds, over_parts
from telucodec.study.claims.switched import figures
from telucodec.study.results.collected import Collected
from telucodec.study.results.statistics import arm_interval


def told(sign: Sign, results: Sequence[Collected]) -> Part:
    """Whether the other figure is where it must be, at the end of every run in which the first one is a sign of it.

    One arm with two seeds or more in which it never is refutes the claim: a sign that misleads is none.
    """
    findings = tuple(each for collected in results for each in _of_study(sign, collected))
    return Part(over_parts([each.verdict for each in findings if each.verdict != "untested"]), findings)


def _of_study(sign: Sign, collected: Collected) -> Iterator[Finding]:
    for arm in collected.arms:
        first, other = (figures(collected.runs, arm, metric) for metric in (sign.metric, sign.of))
        shown = [seed for seed, value in first.items() if sign.range.holds(value.get("", float("nan")))]
        values = {seed: other[seed] for seed in shown if "" in other.get(seed, {})}
        if values and collected.study is not None:
            holding = sum(sign.is_.holds(value[""]) for value in values.values())
            verdict: Measured = "confirmed" if holding == len(values) else "inconclusive" if holding else "refuted"
            found = arm_interval(values)
            text = (
                f"{sign.metric} ends at {sign.range} with {len(values)} seed{'s' if len(values) > 1 else ''}; "
                f"{sign.of} is {found.mean:.3g} there{bounds(found.low, found.high)}, and {sign.is_} with {holding} of "
                "them."
            )
            last = max(run.steps for run in collected.runs if run.arm == arm and run.seed in values)
            runs = Runs(collected.study.name, (arm,), tuple(sorted(values)), last)
            about = f"{sign.metric} {sign.range} tells {sign.of} {sign.is_}"
            told = verdict if len(values) > 1 else "untested"
            yield Finding(told, about, found.mean, found.low, found.high, runs, text)
