"""Terms that read what the codebooks saw and chose."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from telucodec.losses.term import Term
from telucodec.records import Step


class Commitment(Term):
    """Pull each codebook input towards its codeword; the codeword does not move.

    Without a quantizer there is nothing to commit to, and the value is 0. Where quantizer dropout leaves a codebook
    out of an item, the item counts as 0.

    Args:
        weight: see `Term`.
        start: see `Term`.
        reduce: over codebooks: mean, or sum, which grows with their number.

    Shape:
        - Reads `step.quantized.stages`. Output: scalar, mean over items, components and frames.

    Source: van den Oord et al. 2017, arXiv:1711.00937, eq. 3, third term.
    """

    through = "encoded"

    def __init__(self, *, weight: float, start: int, reduce: Literal["mean", "sum"]) -> None:
        super().__init__(weight=weight, start=start)
        self.reduce = reduce

    def forward(self, step: Step) -> Tensor:
        stages = step.quantized.stages
        errors = [distance(stage.wanted, stage.chosen.detach(), stage.kept) for stage in stages]
        return over_codebooks(errors, self.reduce, step)


class CodebookLoss(Term):
    """Pull each codeword towards the inputs that chose it; the input does not move.

    Codewords that are running means are no parameters: the loss has a value there and no gradient. Neither encoder nor
    decoder ever gets one.

    Args:
        weight: see `Term`.
        start: see `Term`.
        reduce: see `Commitment`.

    Shape:
        - Reads `step.quantized.stages`. Output: scalar, mean over items, components and frames.

    Source: van den Oord et al. 2017, arXiv:1711.00937, eq. 3, second term.
    """

    through = "codebook"

    def __init__(self, *, weight: float, start: int, reduce: Literal["mean", "sum"]) -> None:
        super().__init__(weight=weight, start=start)
        self.reduce = reduce

    def forward(self, step: Step) -> Tensor:
        stages = step.quantized.stages
        errors = [distance(stage.chosen, stage.wanted.detach(), stage.kept) for stage in stages]
        return over_codebooks(errors, self.reduce, step)


def distance(a: Tensor, b: Tensor, kept: Tensor | None) -> Tensor:
    """Mean squared error of [B, d, F]; an item that is not kept counts as 0.

    >>> a, b = torch.tensor([[[3.0]], [[1.0]]]), torch.zeros(2, 1, 1)
    >>> distance(a, b, None), distance(a, b, torch.tensor([1.0, 0.0]))
    (tensor(5.), tensor(4.5000))
    """
    if kept is None:
        return F.mse_loss(a, b)
    return ((a - b).square().mean((1, 2)) * kept).mean()


def over_codebooks(errors: list[Tensor], reduce: Literal["mean", "sum"], step: Step) -> Tensor:
    """One value from those of all codebooks; 0 from none."""
    if not errors:
        return step.encoded.new_zeros(())
    stacked = torch.stack(errors)
    return stacked.mean() if reduce == "mean" else stacked.sum()
