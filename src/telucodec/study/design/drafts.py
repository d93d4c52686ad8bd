"""Designs as study.yaml: one at a time, leave one out, pairwise, factorial."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import yaml

from telucodec.study.design.factorial import Factorial

LONGEST = 40  # characters of an arm's name; a longer one becomes the number of its row
Arms = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Draft:
    """What a design needs to know."""

    name: str  # of the base, as an arm
    base: tuple[str, ...]  # overrides
    switches: tuple[str, ...]  # overlays of conf/ablation
    seeds: tuple[int, ...]
    steps: int
    metrics: tuple[str, ...]  # the primary one first
    better: str


def one_at_a_time(switches: Sequence[str]) -> Arms:
    """The base with each switch alone.

    >>> one_at_a_time(["tanh"])
    {'tanh': {'overrides': ['ablation=[tanh]'], 'says': 'tanh'}}
    """
    return {name: _on([name]) for name in switches}


def leave_one_out(switches: Sequence[str]) -> Arms:
    """All switches but one; the base has them all.

    >>> leave_one_out(["tanh", "snake"])["without_tanh"]
    {'without': ['tanh'], 'says': 'all but tanh'}
    """
    return {f"without_{name}": {"without": [name], "says": f"all but {name}"} for name in switches}


def pairwise(switches: Sequence[str], together: Callable[[str, str], bool]) -> Arms:
    """Each switch alone, and each two that go together.

    Args:
        switches: overlays.
        together: whether two do.
    """
    pairs = [pair for pair in combinations(switches, 2) if together(*pair)]
    return one_at_a_time(switches) | {"+".join(pair): _on(pair) for pair in pairs}


def rows_of(design: Factorial) -> Arms:
    """Each row of a factorial design but that of the base."""
    named = ("+".join(on) for on in design.rows)
    return {
        name if len(name) <= LONGEST else f"row_{number:03}": _on(on)
        for number, (name, on) in enumerate(zip(named, design.rows, strict=True))
        if on
    }


def text_of(question: str, draft: Draft, arms: Arms, extra: Mapping[str, Any], head: Sequence[str]) -> str:
    """A study.yaml.

    Args:
        question: that it asks.
        draft: its base and its budget.
        arms: of the design.
        extra: keys of its own.
        head: lines of comment for its beginning.
    """
    tiny = {"steps": min(4, draft.steps), "seeds": list(draft.seeds[:2])}
    content = {
        "question": question,
        "base": {"name": draft.name, "overrides": list(draft.base)},
        "seeds": list(draft.seeds),
        "budgets": {"full": {"steps": draft.steps}, "tiny": tiny},
        "metrics": list(draft.metrics),
        "primary": draft.metrics[0],
        "better": draft.better,
        **extra,
        "arms": arms,
    }
    comment = "".join(f"# {line}\n" for line in head)
    return comment + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)


def told_aliases(design: Factorial) -> list[str]:
    """What a factorial design cannot tell apart, a line each.

    >>> from telucodec.study.design.factorial import factorial
    >>> told_aliases(factorial(["a", "b", "c"], 2))[1:]
    ['defining relation: a b c', 'a is confused with - b c', 'b is confused with - a c', 'c is confused with - a b']
    """
    count = len(design.rows)
    if not design.words:
        return [f"All {count} combinations of {len(design.switches)} switches: nothing is confused."]
    lines = [f"{count} of {2 ** len(design.switches)} combinations, resolution {design.resolution}."]
    lines.append("defining relation: " + ", ".join(" ".join(_sorted(word, design)) for word in design.words))
    for switch in design.switches:
        pairs = [_signed(design, (switch,), other) for other in design.aliases([switch])]
        lines += [f"{switch} is confused with {', '.join(pairs)}"] if pairs else []
    told = set[tuple[str, ...]]()
    for pair in combinations(design.switches, 2):
        others = [other for other in design.aliases(pair) if len(other) == 2]
        if others and pair not in told:
            lines.append(f"{' '.join(pair)} is confused with {', '.join(_signed(design, pair, o) for o in others)}")
        told |= {pair, *others}
    return lines


def _signed(design: Factorial, effect: Sequence[str], other: Sequence[str]) -> str:
    return ("" if design.sign(effect, other) > 0 else "- ") + " ".join(other)


def _sorted(word: frozenset[str], design: Factorial) -> list[str]:
    return sorted(word, key=design.switches.index)


def _on(switches: Sequence[str]) -> dict[str, Any]:
    return {"overrides": [f"ablation=[{','.join(switches)}]"], "says": " and ".join(switches)}
