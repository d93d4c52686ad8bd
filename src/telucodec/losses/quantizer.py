"""Terms that read what the codebooks saw and chose."""

import torch
from torch import Tensor
from torch.nn import functional as F

from telucodec.losses.term import Term
from telucodec.records import Step


class Commitment(Term):
    """Pull each codebook input towards its codeword; the codeword does not move.

    Without a quantizer there is nothing to commit to, and the value is 0.

    Args:
        weight: see `Term`.
        start: see `Term`.

    Shape:
        - Reads `step.quantized.stages`. Output: scalar, mean over codebooks.

    Source: van den Oord et al. 2017, arXiv:1711.00937, eq. 3, third term.
    """

    through = "encoded"

    def forward(self, step: Step) -> Tensor:
        stages = step.quantized.stages
        if not stages:
            return step.encoded.new_zeros(())
        return torch.stack([F.mse_loss(stage.wanted, stage.chosen.detach()) for stage in stages]).mean()
