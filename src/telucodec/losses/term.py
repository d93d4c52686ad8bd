"""What a loss is here: a named, weighted scalar that knows through which tensor the codec reaches it."""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from telucodec.build import nearest
from telucodec.errors import above, at_least
from telucodec.ranks import shared
from telucodec.records import Step

Through = Literal["audio", "encoded", "codebook"]


class Scored(NamedTuple):
    """One evaluated term."""

    value: Tensor  # scalar, unweighted
    weight: float
    through: Through


class Term(nn.Module):
    """One named scalar that the generator minimises.

    Args:
        weight: multiplier in the objective, >= 0; 0 means computed and logged, never optimised.
        start: the step at which the term begins to be computed, >= 0.

    Shape:
        - Input: a `Step`. Output: scalar.
    """

    through: ClassVar[Through] = "audio"  # the only tensor through which the codec reaches this term
    judged: ClassVar[bool] = False  # whether it reads the adversary's verdicts
    reads_semantic: ClassVar[bool] = False  # whether it reads the part of the latent that a teacher may teach

    def __init__(self, *, weight: float, start: int) -> None:
        super().__init__()
        at_least(0, weight=weight, start=start)
        self.weight, self.start = float(weight), start

    def forward(self, step: Step) -> Tensor:
        raise NotImplementedError


class Terms(nn.Module):
    """The objective, as data: name -> term, in the order of the configuration.

    Args:
        terms: name -> term; at least one of weight > 0 starts at step 0.
        ceilings: name -> the value, > 0, above which a chosen term is cut off, and below 0 too; where it is cut off its
            gradient is exactly 0, so it stops teaching when it is largest. Empty: no term is.

    Shape:
        - Input: a `Step`. Output: dict of `Scored`, of the terms that have started.
    """

    def __init__(self, *, terms: Mapping[str, Term], ceilings: Mapping[str, float]) -> None:
        super().__init__()
        if not terms:
            raise ValueError("no loss is selected: choose at least one, for example loss=[l1,commitment]")
        if not any(term.weight and term.start == 0 for term in terms.values()):
            raise ValueError("no loss of weight > 0 starts at step 0: there is nothing to learn from")
        for name, ceiling in ceilings.items():
            if name not in terms:
                raise ValueError(f"ceilings.{name}: no such loss is chosen. {nearest(name, list(terms))}")
            above(0, **{f"ceilings.{name}": ceiling})
        self.terms = nn.ModuleDict(terms)
        self.ceilings = dict(ceilings)
        self._typed = dict(terms)

    @property
    def judged(self) -> list[str]:
        """Names of the terms that read the adversary's verdicts."""
        return [name for name, term in self._typed.items() if term.judged]

    @property
    def taught(self) -> list[str]:
        """Names of the terms that read the semantic part of the latent."""
        return [name for name, term in self._typed.items() if term.reads_semantic]

    def started(self, index: int) -> list[str]:
        """Names of the terms that are computed in step `index`."""
        return [name for name, term in self._typed.items() if index >= term.start]

    def forward(self, step: Step) -> dict[str, Scored]:
        return self.among(self.started(step.index), step)

    def among(self, names: Iterable[str], step: Step) -> dict[str, Scored]:
        """The terms of these names, whether they have started or not."""
        chosen = {name: self._typed[name] for name in names}
        return {name: Scored(self._value(name, step), term.weight, term.through) for name, term in chosen.items()}

    def _value(self, name: str, step: Step) -> Tensor:
        value: Tensor = self._typed[name](step)
        return shared(value).clamp(0, self.ceilings[name]) if name in self.ceilings else value
