"""A study: a question, the arms that answer it, and what is measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

OWN = "own"  # the learning rate that an arm's own configuration has


@dataclass(frozen=True)
class Arm:
    """One configuration of a study."""

    name: str  # a word; sorts as written in study.yaml
    overrides: tuple[str, ...]  # on top of the base's and the budget's; overlays of conf/ablation add up
    without: tuple[str, ...] = ()  # overlays of the base that it leaves out
    says: str = ""  # what it tries, in words
    switches: tuple[str, ...] = ()  # overlays of conf/ablation that it turns, for claims; -tanh: it turns tanh back
    against: str = ""  # the arm that it is paired with; "" is the study's base; its own name: none
    seeds: tuple[int, ...] = ()  # its own, if not the study's
    rate: str = OWN  # learning rate of both players, as it is typed
    of: str = ""  # the arm whose copy at another learning rate it is; else its own name
    times: float = 1.0  # every loss weight of the codec is multiplied by it


@dataclass(frozen=True)
class Budget:
    """How much a run may cost; a study may offer several by name."""

    steps: int
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()  # none: the study's and the arms' own
    arms: tuple[str, ...] = ()  # names, or patterns like s00?@*, that it is for, the base always among them; none: all


@dataclass(frozen=True)
class Study:
    """What a study.yaml says, checked."""

    name: str  # of its folder
    folder: Path  # experiments/NAME
    question: str
    base: tuple[str, ...]  # overrides that every arm begins with
    base_name: str  # what the base is called as an arm
    arms: Mapping[str, Arm]  # the base first, then the others in order
    seeds: tuple[int, ...]
    budgets: Mapping[str, Budget]  # "full" is the one that the verdicts are for
    metrics: tuple[str, ...]  # keys of the log that results hold, the primary one among them
    primary: str
    higher_is_better: bool
    claims: tuple[str, ...]  # ids of claims that it can decide; empty: whichever it can
    hypotheses: Mapping[str, str]  # arm -> what is expected of it, in words
    factors: tuple[str, ...] = ()  # switches of which the arms are a factorial design; their effects are worth a table
    highlight: tuple[str, ...] = ()  # arms that pictures name and colour before all others
    front: tuple[str, ...] = ()  # two of the metrics, one bought with the other, for a picture

    def reference(self, arm: str) -> str:
        """The arm that another is compared with; itself if it is compared with none, as the base."""
        return self.arms[arm].against or self.base_name

    def root(self, arm: str) -> str:
        """The arm whose first weights it takes over: the last of the chain of references."""
        while (reference := self.reference(arm)) != arm:
            arm = reference
        return arm

    def seeds_of(self, arm: str, budget: str = "full") -> tuple[int, ...]:
        """The seeds of an arm: its own, and those of every arm that is compared with it."""
        own, given = self.arms[arm], self.budgets[budget].seeds
        if given:
            return given
        found = dict.fromkeys(own.seeds or self.seeds)
        for other in self.arms:
            if other != arm and self.reference(other) == arm:
                found |= dict.fromkeys(self.seeds_of(other, budget))
        return tuple(found)

    def arms_of(self, budget: str = "full") -> list[str]:
        """The arms that a budget is for, in order, each with the arms that it is compared with."""
        wanted = self.budgets[budget].arms
        chosen = {name for name in self.arms if not wanted or any(fnmatchcase(name, each) for each in wanted)}
        return [name for name in self.arms if any(name in self.chain(each) for each in (*chosen, self.base_name))]

    def chain(self, arm: str) -> list[str]:
        """An arm, the arm that it is compared with, and so on."""
        chain = [arm]
        while (reference := self.reference(chain[-1])) != chain[-1]:
            chain.append(reference)
        return chain

    def within(self, budget: str = "full", arms: Sequence[str] = (), seeds: Sequence[int] = ()) -> "Study":
        """The part of a study that one budget is for, with its steps, overrides and seeds under the name "full".

        Args:
            budget: its name.
            arms: names or patterns like tanh* of the only ones that are wanted; none: all of the budget's.
            seeds: the only ones that are wanted; none: all.
        """
        cut = replace(self.budgets[budget], arms=tuple(arms) or self.budgets[budget].arms)
        chosen = replace(self, budgets={**self.budgets, budget: cut})
        kept = {name: self.arms[name] for name in chosen.arms_of(budget)}
        kept = {
            name: replace(arm, seeds=tuple(s for s in self.seeds_of(name, budget) if not seeds or s in seeds))
            for name, arm in kept.items()
        }
        return replace(self, arms=kept, budgets={"full": replace(cut, arms=(), seeds=())})

    def wanted(self, budget: str = "full") -> Iterator[tuple[str, int]]:
        """Every (arm, seed) of a budget, seed by seed: whoever stops early has whole pairs."""
        arms = self.arms_of(budget)
        for seed in dict.fromkeys(seed for arm in arms for seed in self.seeds_of(arm, budget)):
            yield from ((arm, seed) for arm in arms if seed in self.seeds_of(arm, budget))
