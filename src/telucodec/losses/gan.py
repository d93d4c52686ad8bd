"""Terms that read the adversary's verdict."""

from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from telucodec.errors import above
from telucodec.losses.term import Term
from telucodec.ranks import shared
from telucodec.records import Step, Verdict


class Generator(Protocol):
    """The codec's side of a GAN objective."""

    def generator(self, fake: Verdict) -> Tensor: ...


class Adversarial(Term):
    """What the codec pays for being found out.

    Args:
        weight: see `Term`.
        start: see `Term`.
        objective: the GAN objective that the discriminators train with; it says whether sub-discriminators are averaged
            or summed.

    Shape:
        - Reads `step.fake.logits`. Output: scalar.
    """

    judged = True

    def __init__(self, *, weight: float, start: int, objective: Generator) -> None:
        super().__init__(weight=weight, start=start)
        self.objective = objective

    def forward(self, step: Step) -> Tensor:
        return self.objective.generator(step.fake)


class FeatureMatching(Term):
    """L1 between discriminator features of decoded audio and target.

    Args:
        weight: see `Term`.
        start: see `Term`.
        reduce: mean or sum over layers and sub-discriminators; the sum grows with their number.

    Shape:
        - Reads `step.fake.features`, `step.real.features`. Output: scalar.

    Source: Kumar et al. 2019, arXiv:1910.06711, eq. 3.
    """

    judged = True

    def __init__(self, *, weight: float, start: int, reduce: Literal["mean", "sum"]) -> None:
        super().__init__(weight=weight, start=start)
        if reduce not in ("mean", "sum"):
            raise ValueError(f"reduce must be mean or sum, got {reduce!r}")
        self.reduce = reduce

    def forward(self, step: Step) -> Tensor:
        pairs = zip(step.fake.features, step.real.features, strict=True)
        distances = [self.distance(f, r.detach()) for fs, rs in pairs for f, r in zip(fs, rs, strict=True)]
        return torch.stack(distances).mean() if self.reduce == "mean" else torch.stack(distances).sum()

    def distance(self, fake: Tensor, real: Tensor) -> Tensor:
        """Of one layer's features, a scalar."""
        return F.l1_loss(fake, real)


class RelativeFeatureMatching(FeatureMatching):
    """L1 between discriminator features, each layer's divided by the mean absolute feature of the target.

    A discriminator cannot change it by scaling its features. NeMo divides each channel and frame by its own mean over
    the last axis instead.

    Args:
        weight: see `Term`.
        start: see `Term`.
        reduce: see `FeatureMatching`.
        floor: the least mean to divide by, > 0, in units of the features.

    Shape:
        - Reads `step.fake.features`, `step.real.features`. Output: scalar.

    Source: Defossez et al. 2022, arXiv:2210.13438, eq. 2.
    """

    def __init__(self, *, weight: float, start: int, reduce: Literal["mean", "sum"], floor: float) -> None:
        super().__init__(weight=weight, start=start, reduce=reduce)
        above(0, floor=floor)
        self.floor = floor

    def distance(self, fake: Tensor, real: Tensor) -> Tensor:
        """Of one layer's features, a scalar without unit."""
        return F.l1_loss(fake, real) / shared(real.abs().mean()).clamp(min=self.floor)
