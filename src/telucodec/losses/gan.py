"""Terms that read the adversary's verdict."""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from telucodec.losses.term import Term
from telucodec.records import Step, Verdict


class Generator(Protocol):
    """The codec's side of a GAN objective."""

    def generator(self, fake: Verdict) -> Tensor: ...


class Adversarial(Term):
    """What the codec pays for being found out.

    Args:
        weight: see `Term`.
        start: see `Term`.
        objective: the GAN objective that the discriminators train with.

    Shape:
        - Reads `step.fake.logits`. Output: scalar, mean over sub-discriminators.
    """

    judged = True

    def __init__(self, *, weight: float, start: int, objective: Generator) -> None:
        super().__init__(weight=weight, start=start)
        self.objective = objective

    def forward(self, step: Step) -> Tensor:
        return self.objective.generator(step.fake)


class FeatureMatching(Term):
    """L1 between discriminator features of decoded audio and target, mean over layers and sub-discriminators.

    Args:
        weight: see `Term`.
        start: see `Term`.

    Shape:
        - Reads `step.fake.features`, `step.real.features`. Output: scalar.

    Source: Kumar et al. 2019, arXiv:1910.06711, eq. 3.
    """

    judged = True

    def forward(self, step: Step) -> Tensor:
        pairs = zip(step.fake.features, step.real.features, strict=True)
        return torch.stack([F.l1_loss(f, r.detach()) for fs, rs in pairs for f, r in zip(fs, rs, strict=True)]).mean()
