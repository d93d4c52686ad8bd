"""What every quantizer does."""

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from telucodec.records import Quantized


@runtime_checkable
class Beginning(Protocol):
    """What starts from the first frames that it sees in training mode."""

    def is_ready(self) -> bool: ...


class Quantizer(nn.Module):
    """Latent to codes and back.

    Looking up changes nothing (but for the first initialisation, in training mode), so a step may look up as often as
    it likes; `update` is called once a step, with what each of its micro-batches gave.

    Args:
        dim: width D of the latent; None takes any.
        n_q: number of codebooks K.
        codebook_size: codewords in each.

    Shape:
        - Input: [B, D, F]. Output: `Quantized` with codes [B, K, F].
    """

    def __init__(self, *, dim: int | None, n_q: int, codebook_size: int) -> None:
        super().__init__()
        self.dim, self.n_q, self.codebook_size = dim, n_q, codebook_size

    @property
    def bits_per_frame(self) -> float:
        """Bits that the codes of one frame take at a fixed length each."""
        return self.n_q * math.log2(self.codebook_size)

    @property
    def begun(self) -> bool:
        """Whether its codebooks have their first codewords; what has none always has."""
        return all(book.is_ready() for book in self.modules() if isinstance(book, Beginning))

    @property
    def has_semantic(self) -> bool:
        """Whether `Quantized.semantic` is there for a teacher."""
        return False

    @property
    def stage_count(self) -> int:
        """How many stages `Quantized.stages` has: one a codebook, or none where there is nothing to commit to."""
        return self.n_q

    def forward(self, encoded: Tensor) -> Quantized:
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, k, F] of the first k codebooks to the latent [B, D, F], k <= K."""
        raise NotImplementedError

    def update(self, evidence: Sequence[Quantized]) -> None:
        """Let the codebooks learn from all that one step saw."""
