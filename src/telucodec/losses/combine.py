"""Evaluated terms -> one scalar to back-propagate."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from telucodec.losses.term import Scored
from telucodec.records import Step


class WeightedSum(nn.Module):
    """Sum of weight x value; terms of weight 0 stay out of the graph.

    Shape:
        - Input: dict of `Scored`, a `Step`. Output: scalar.
    """

    def forward(self, scored: Mapping[str, Scored], step: Step) -> Tensor:
        weighted = [s.weight * s.value for s in scored.values() if s.weight]
        assert weighted, "Terms sees to it that one starts at step 0"
        return torch.stack(weighted).sum()
