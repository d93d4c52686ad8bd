"""Both sides of a GAN objective in one class, so that they cannot be mixed by accident."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from telucodec.records import Verdict


class Objective(ABC):
    """What discriminators minimise, and what the codec minimises against them: means over sub-discriminators."""

    def generator(self, fake: Verdict) -> Tensor:
        """The codec's loss, a scalar."""
        return torch.stack([self.fool(logits) for logits in fake.logits]).mean()

    def discriminator(self, fake: Verdict, real: Verdict) -> Tensor:
        """The discriminators' loss, a scalar."""
        pairs = zip(fake.logits, real.logits, strict=True)
        return torch.stack([self.judge(f, r) for f, r in pairs]).mean()

    @abstractmethod
    def fool(self, fake: Tensor) -> Tensor:
        """The codec's loss for one sub-discriminator's logits, a scalar."""

    @abstractmethod
    def judge(self, fake: Tensor, real: Tensor) -> Tensor:
        """One sub-discriminator's loss, a scalar."""


class Hinge(Objective):
    """Discriminators want logits above 1 on targets and below -1 on decoded audio; the codec wants them high.

    At chance (all logits 0) the discriminators' loss is 2.

    Source: Lim and Ye 2017, arXiv:1705.02894.
    """

    def fool(self, fake: Tensor) -> Tensor:
        return -fake.mean()

    def judge(self, fake: Tensor, real: Tensor) -> Tensor:
        return (1 - real).relu().mean() + (1 + fake).relu().mean()


class LeastSquares(Objective):
    """Discriminators want 1 on targets and 0 on decoded audio; the codec wants 1.

    At chance (all logits 1/2) the discriminators' loss is 0.5.

    Source: Mao et al. 2016, arXiv:1611.04076.
    """

    def fool(self, fake: Tensor) -> Tensor:
        return (1 - fake).square().mean()

    def judge(self, fake: Tensor, real: Tensor) -> Tensor:
        return (1 - real).square().mean() + fake.square().mean()
