"""Both sides of a GAN objective in one class, so that they are mixed on purpose only."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from telucodec.records import Verdict


class Objective(ABC):
    """What discriminators minimise, and what the codec minimises against them.

    Args:
        reduce: mean or sum over sub-discriminators; the sum grows with their number.
    """

    def __init__(self, *, reduce: Literal["mean", "sum"]) -> None:
        if reduce not in ("mean", "sum"):
            raise ValueError(f"reduce must be mean or sum, got {reduce!r}")
        self.reduce = reduce

    def generator(self, fake: Verdict) -> Tensor:
        """The codec's loss, a scalar."""
        return self.gather([self.fool(logits) for logits in fake.logits])

    def discriminator(self, fake: Verdict, real: Verdict) -> Tensor:
        """The discriminators' loss, a scalar."""
        return self.gather([self.judge(f, r) for f, r in zip(fake.logits, real.logits, strict=True)])

    def gather(self, losses: Sequence[Tensor]) -> Tensor:
        """Several discriminators' losses as one."""
        stacked = torch.stack(list(losses))
        return stacked.mean() if self.reduce == "mean" else stacked.sum()

    @abstractmethod
    def fool(self, fake: Tensor) -> Tensor:
        """The codec's loss for one sub-discriminator's logits, a scalar."""

    @abstractmethod
    def judge(self, fake: Tensor, real: Tensor) -> Tensor:
        """One sub-discriminator's loss, a scalar."""


class Hinge(Objective):
    """Discriminators want logits above 1 on targets and below -1 on decoded audio; the codec wants them high.

    At chance (all logits 0) the discriminators' loss is 2.

    Args:
        reduce: see `Objective`.

    Source: Lim and Ye 2017, arXiv:1705.02894.
    """

    def fool(self, fake: Tensor) -> Tensor:
        return -fake.mean()

    def judge(self, fake: Tensor, real: Tensor) -> Tensor:
        return (1 - real).relu().mean() + (1 + fake).relu().mean()


class LeastSquares(Objective):
    """Discriminators want 1 on targets and 0 on decoded audio; the codec wants 1.

    At chance (all logits 1/2) the discriminators' loss is 0.5.

    Args:
        reduce: see `Objective`.

    Source: Mao et al. 2016, arXiv:1611.04076.
    """

    def fool(self, fake: Tensor) -> Tensor:
        return (1 - fake).square().mean()

    def judge(self, fake: Tensor, real: Tensor) -> Tensor:
        return (1 - real).square().mean() + fake.square().mean()


class BinaryCrossEntropy(Objective):
    """Discriminators tell targets from decoded audio by log likelihood; the codec wants to be taken for a target.

    At chance (all logits 0) the discriminators' loss is 2 ln 2 = 1.386.

    Args:
        reduce: see `Objective`.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, section 3, with the non-saturating loss of the generator.
    """

    def fool(self, fake: Tensor) -> Tensor:
        return F.softplus(-fake).mean()

    def judge(self, fake: Tensor, real: Tensor) -> Tensor:
        return F.softplus(-real).mean() + F.softplus(fake).mean()


class Mixed(Objective):
    """The codec's side of one objective against the discriminators' side of another.

    Args:
        fooling: what the codec minimises.
        judging: what the discriminators minimise.
    """

    def __init__(self, *, fooling: Objective, judging: Objective) -> None:
        super().__init__(reduce=judging.reduce)
        self.fooling, self.judging = fooling, judging

    def generator(self, fake: Verdict) -> Tensor:
        return self.fooling.generator(fake)

    def fool(self, fake: Tensor) -> Tensor:
        return self.fooling.fool(fake)

    def judge(self, fake: Tensor, real: Tensor) -> Tensor:
        return self.judging.judge(fake, real)
