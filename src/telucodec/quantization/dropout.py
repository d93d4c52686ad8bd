"""Quantizer dropout: how many codebooks count for each item, in training.

Callables (items, n_q, device) -> numbers of codebooks [B], or None where all count. One model then serves many
bitrates: its first codebooks are trained to do without the others.

Where several processes share a batch, each draws for all of it and takes its own share: an item's number is the same
however many they are, and their random streams stay in step.
"""

import torch
from torch import Tensor

from telucodec.ranks import count, own


class KeepAll:
    """All codebooks count for all items."""

    def __call__(self, items: int, n_q: int, device: torch.device) -> Tensor | None:
        return None


class QuantizerDropout(KeepAll):
    """A share of a batch's items keeps only its first n codebooks, n drawn for each item from 1 ... n_q alike.

    Args:
        rate: share of the items, in [0, 1]; rounded down to whole items, which are the first of the batch.

    Source: Kumar et al. 2023, arXiv:2306.06546, section 3.3.
    """

    def __init__(self, *, rate: float) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"rate must be in [0, 1], got {rate}")
        self.rate = rate

    def __call__(self, items: int, n_q: int, device: torch.device) -> Tensor | None:
        every = items * count()
        drawn = torch.randint(1, n_q + 1, (every,), device=device)
        drawn[int(every * self.rate) :] = n_q
        return drawn[items * own() : items * (own() + 1)]


class EveryItem(KeepAll):
    """All items of a batch keep only the first n codebooks, n drawn once from 1 ... n_q alike.

    Source: Zeghidour et al. 2021, arXiv:2107.03312, section III-C; once a batch as in EnCodec, arXiv:2210.13438.
    """

    def __call__(self, items: int, n_q: int, device: torch.device) -> Tensor | None:
        return torch.randint(1, n_q + 1, (1,), device=device).expand(items)
