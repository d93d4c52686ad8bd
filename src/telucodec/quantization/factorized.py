"""Codebooks that are looked up by direction, in a narrow space of their own."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from telucodec.errors import at_least
from telucodec.quantization.codebook import Codebook, GradientCodebook
from telucodec.quantization.initial import Start, nearest
from telucodec.quantization.ranks import OwnRank


class FactorizedCodebook(GradientCodebook):
    """Project to few dimensions, choose the codeword of the nearest direction, project back.

    Input and codewords are scaled to length 1 for the choice alone; the chosen codeword has its own length.

    Args:
        codebook_dim: width d of a codeword.
        norm: wraps the two projections (1x1 convolutions with bias).
        codebook_size: see `Codebook`.
        dim: width D of the latent.
        decay: see `Codebook`.
        initial: see `Codebook`.
        restart: see `Codebook`.
        ranks: see `Codebook`.

    Shape:
        - Input: [B, d, F], which `enter` makes of [B, D, F]. Output: codewords [B, d, F] and codes [B, F].

    Source: Yu et al. 2021, arXiv:2110.04627, section 3.2; Kumar et al. 2023, arXiv:2306.06546, section 3.2.
    """

    projected = True

    def __init__(
        self,
        *,
        codebook_dim: int,
        norm: Callable[[nn.Module], nn.Module],
        codebook_size: int,
        dim: int,
        decay: float,
        initial: Callable[[Tensor, int], Start],
        restart: Callable[[Codebook, Tensor, float], None],
        ranks: OwnRank,
    ) -> None:
        at_least(1, dim=dim, codebook_dim=codebook_dim)
        super().__init__(
            codebook_size=codebook_size, dim=codebook_dim, decay=decay, initial=initial, restart=restart, ranks=ranks
        )
        self.narrow, self.widen = norm(nn.Conv1d(dim, codebook_dim, 1)), norm(nn.Conv1d(codebook_dim, dim, 1))

    def enter(self, residual: Tensor) -> Tensor:
        narrow: Tensor = self.narrow(residual)
        return narrow

    def leave(self, chosen: Tensor) -> Tensor:
        wide: Tensor = self.widen(chosen)
        return wide

    def find(self, frames: Tensor) -> Tensor:
        return nearest(F.normalize(frames), F.normalize(self.codewords.detach()))
