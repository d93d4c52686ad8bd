"""The verdict of a study in three sentences, made from its figures."""

import math
from collections import Counter
from collections.abc import Sequence

from telucodec.study.report.arms import Row
from telucodec.study.report.measures import Measure
from telucodec.study.report.options import Claimed
from telucodec.study.results.statistics import Difference

NAMED = 5  # arms that a sentence names; the table has all
ALPHA = 0.05
SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def verdict(rows: Sequence[Row], primary: Measure, higher: bool, claims: Sequence[Claimed]) -> list[str]:
    """Which arms differ, which do not, which did not come to their end; and what claims came to, if any were decided.

    Args:
        rows: the table of arms.
        primary: what the study is decided by.
        higher: whether more of it is better.
        claims: none: a study that decides no claims.
    """
    compared = [(row, row.difference) for row in rows if row.difference is not None]
    told = [_differing(compared, primary, higher), _alike(compared, primary), _ended(rows)]
    return [*told, _decided(claims)] if claims else told


def number(count: int) -> str:
    """A count in words up to twelve.

    >>> number(3), number(40)
    ('three', '40')
    """
    return SMALL[count] if count < len(SMALL) else str(count)


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """Names in one clause.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], 1)
    ('a, b and c', 'a and two more')
    """
    shown = [*names[:most], *([f"{number(len(names) - most)} more"] if len(names) > most else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _differing(compared: Sequence[tuple[Row, Difference]], primary: Measure, higher: bool) -> str:
    clear = [(row, one) for row, one in compared if one.clear]
    if not any(math.isfinite(one.low) for _, one in compared):
        return f"Nothing can be compared in {primary.label} yet."
    if not clear:
        return f"No arm differs from its reference in {primary.label}: every 95 % interval holds zero."
    sign = 1 if higher else -1
    ordered = sorted(clear, key=lambda pair: -sign * pair[1].mean)
    better = [_told(row, one, primary) for row, one in ordered if sign * one.mean > 0]
    worse = [_told(row, one, primary) for row, one in reversed(ordered) if sign * one.mean < 0]
    words = [f"{name}: {listed(group)}" for name, group in (("better", better), ("worse", worse)) if group]
    held = sum(one.p_holm < ALPHA for _, one in clear)
    still = "all of them" if held == len(clear) else number(held)
    differ = "differs from its reference" if len(clear) == 1 else "differ from their reference"
    return (
        f"{number(len(clear)).capitalize()} of {number(len(compared))} {'arm' if len(compared) == 1 else 'arms'} "
        f"{differ} in {primary.label} by an interval without zero ({'; '.join(words)}); "
        f"{still} still after correction for the number of arms."
    )


def _told(row: Row, one: Difference, primary: Measure) -> str:
    unit = f" {primary.unit}" if primary.unit else ""
    bounds = f"{primary.written(one.low, signed=True)} to {primary.written(one.high, signed=True)}"
    return f"{row.name} by {primary.written(one.mean, signed=True)}{unit} [{bounds}]"


def _alike(compared: Sequence[tuple[Row, Difference]], primary: Measure) -> str:
    alike = [(row.name, one) for row, one in compared if math.isfinite(one.low) and not one.clear]
    single = [row.name for row, one in compared if not math.isfinite(one.low)]
    parts = []
    if alike:
        least = [one.detectable for _, one in alike if math.isfinite(one.detectable)]
        seen = (
            f", where a shift of {primary.written(min(least))} to {primary.written(max(least))}"
            f"{f' {primary.unit}' if primary.unit else ''} would have shown in four of five such studies"
            if least
            else ""
        )
        parts.append(f"no difference shows for {listed([name for name, _ in alike])}{seen}")
    if single:
        parts.append(f"too few seeds compare {listed(single)}: fewer than two have a figure beside the reference")
    if not parts:
        return "There is no arm for which a difference does not show." if compared else "There is one arm only."
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _ended(rows: Sequence[Row]) -> str:
    troubled = [row for row in rows if not row.whole]
    if not troubled:
        return f"All {sum(len(row.seeds) for row in rows)} runs came to their end."
    kinds: Counter[str] = Counter()
    for row in troubled:
        kinds.update({status: count for status, count in row.status if status != "finished"})
    counts = ", ".join(f"{count} {status}" for status, count in kinds.most_common())
    names = [
        f"{row.name} ({', '.join(f'{count} {status}' for status, count in row.status if status != 'finished')})"
        for row in troubled
    ]
    return f"Not every run came to its end ({counts}): {listed(names)}."


def _decided(claims: Sequence[Claimed]) -> str:
    counts = Counter(claim.verdict for claim in claims)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    return f"Of the {number(len(claims))} claims that it can speak to: {told}."
