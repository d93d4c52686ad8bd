"""Residual vector quantization."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from telucodec.precision import in_float32
from telucodec.quantization.codebook import EMACodebook
from telucodec.quantization.gradient import StraightThrough
from telucodec.records import Quantized, Stage


class ResidualVQ(nn.Module):
    """Each codebook quantizes what the previous ones left over. Always in float32.

    Args:
        dim: width D of the latent.
        n_q: number of codebooks K.
        codebook: builds one codebook of width D.
        gradient: how the decoder's gradient crosses to the encoder.

    Shape:
        - Input: [B, D, F]. Output: `Quantized`.

    Source: Zeghidour et al. 2021, arXiv:2107.03312, algorithm 1.
    """

    def __init__(self, *, dim: int, n_q: int, codebook: Callable[..., EMACodebook], gradient: StraightThrough) -> None:
        super().__init__()
        if n_q < 1:
            raise ValueError(f"n_q must be >= 1, got {n_q} (quantizer=none trains without a quantizer)")
        self._books = [codebook(dim=dim) for _ in range(n_q)]
        self.books = nn.ModuleList(self._books)
        self.dim, self.gradient = dim, gradient

    @property
    def n_q(self) -> int:
        """Number of codebooks."""
        return len(self._books)

    @property
    def codebook_size(self) -> int:
        """Codewords in each codebook."""
        return len(self._books[0].counts)

    @property
    def bits_per_frame(self) -> float:
        """Bits that the codes of one frame take at a fixed length each."""
        return self.n_q * math.log2(self.codebook_size)

    def forward(self, encoded: Tensor) -> Quantized:
        with in_float32(encoded.device):
            residual = encoded.float()
            start, latent, stages = residual, torch.zeros_like(residual), []
            for book in self._books:
                chosen, codes = book(residual)
                stages.append(Stage(residual, chosen, codes))
                added, removed = self.gradient.step(residual, chosen)
                residual, latent = residual - removed, latent + added
            codes = torch.stack([stage.codes for stage in stages], 1)
            return Quantized(self.gradient.finish(start, latent), codes, tuple(stages))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, k, F] of the first k codebooks to the latent [B, D, F], k <= K."""
        return torch.stack([book.lookup(codes[:, k]) for k, book in enumerate(self._books[: codes.shape[1]])]).sum(0)

    def update(self, evidence: Sequence[Quantized]) -> None:
        """Let the codebooks learn from all that one step saw."""
        for k, book in enumerate(self._books):
            stages = [quantized.stages[k] for quantized in evidence]
            wanted = torch.cat([stage.wanted.detach().transpose(1, 2).flatten(0, 1) for stage in stages])
            book.update(wanted, torch.cat([stage.codes.flatten() for stage in stages]))
