"""No quantizer."""

import math

from torch import Tensor

from telucodec.quantization.quantizer import Quantizer
from telucodec.records import Quantized


class Identity(Quantizer):
    """Pass the latent through: what encoder and decoder could do at an unlimited rate.

    Shape:
        - Input: [B, D, F]. Output: `Quantized` with K = 0.
    """

    def __init__(self) -> None:
        super().__init__(dim=None, n_q=0, codebook_size=0)

    @property
    def bits_per_frame(self) -> float:
        """Infinitely many."""
        return math.inf

    def forward(self, encoded: Tensor) -> Quantized:
        return Quantized(encoded, encoded.new_zeros(len(encoded), 0, encoded.shape[-1], dtype=encoded.dtype).long())

    def decode(self, codes: Tensor) -> Tensor:
        """There is nothing to decode from.

        Raises:
            ValueError: always.
        """
        raise ValueError("quantizer=none has no codes to decode")
