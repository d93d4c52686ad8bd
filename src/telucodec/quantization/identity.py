"""No quantizer."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from telucodec.records import Quantized


class Identity(nn.Module):
    """Pass the latent through: what encoder and decoder could do at an unlimited rate.

    Shape:
        - Input: [B, D, F]. Output: `Quantized` with K = 0.
    """

    n_q = 0
    codebook_size = 0
    bits_per_frame = math.inf

    def forward(self, encoded: Tensor) -> Quantized:
        return Quantized(encoded, encoded.new_zeros(len(encoded), 0, encoded.shape[-1], dtype=encoded.dtype).long())

    def decode(self, codes: Tensor) -> Tensor:
        """There is nothing to decode from.

        Raises:
            ValueError: always.
        """
        raise ValueError("quantizer=none has no codes to decode")

    def update(self, evidence: Sequence[Quantized]) -> None:
        """Nothing to learn."""
