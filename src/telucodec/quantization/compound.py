"""Quantizers made of quantizers."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from telucodec.errors import at_least
from telucodec.precision import in_float32
from telucodec.quantization.quantizer import Quantizer
from telucodec.records import Quantized


class Projected(Quantizer):
    """A quantizer of another width than the encoder's, between two 1x1 convolutions without bias.

    Args:
        dim: width D of the latent outside.
        inner: the quantizer; its own width is inside.

    Shape:
        - Input: [B, D, F]. Output: `Quantized` with latent [B, D, F] and the inner quantizer's stages.

    Source: Defossez et al. 2024, arXiv:2410.00037 (Mimi), section 3.3.
    """

    def __init__(self, *, dim: int, inner: Quantizer) -> None:
        at_least(1, dim=dim)
        if inner.dim is None:
            raise ValueError(f"{type(inner).__name__} takes any width: use it without Projected")
        super().__init__(dim=dim, n_q=inner.n_q, codebook_size=inner.codebook_size)
        self.enter, self.inner = nn.Conv1d(dim, inner.dim, 1, bias=False), inner
        self.leave = nn.Conv1d(inner.dim, dim, 1, bias=False)

    @property
    def stage_count(self) -> int:
        """The inner quantizer's."""
        return self.inner.stage_count

    def forward(self, encoded: Tensor) -> Quantized:
        with in_float32(encoded.device):
            coded: Quantized = self.inner(self.enter(encoded.float()))
            semantic = None if coded.semantic is None else self.leave(coded.semantic)
            return replace(coded, latent=self.leave(coded.latent), semantic=semantic)

    def decode(self, codes: Tensor) -> Tensor:
        with in_float32(codes.device):
            latent: Tensor = self.leave(self.inner.decode(codes))
            return latent

    def update(self, evidence: Sequence[Quantized]) -> None:
        self.inner.update(evidence)


class SplitRVQ(Quantizer):
    """Two quantizers of the same input, whose latents are added: one may be taught meaning, the other is free of it.

    Codes come semantic first. Each part passes the decoder's gradient on by itself: between projections that is a
    sum, between none it is twice the gradient.

    Args:
        semantic: the part whose latent is `Quantized.semantic`.
        acoustic: the part that adds the rest; of the same width and codebook size.

    Shape:
        - Input: [B, D, F]. Output: `Quantized` with codes [B, K1 + K2, F].

    Source: Defossez et al. 2024, arXiv:2410.00037 (Mimi), section 3.3.
    """

    def __init__(self, *, semantic: Quantizer, acoustic: Quantizer) -> None:
        for name in ("dim", "codebook_size"):
            first, second = getattr(semantic, name), getattr(acoustic, name)
            if first != second:
                raise ValueError(f"{name} is {first} in the semantic part and {second} in the acoustic part: set alike")
        n_q = semantic.n_q + acoustic.n_q
        super().__init__(dim=semantic.dim, n_q=n_q, codebook_size=semantic.codebook_size)
        self.semantic, self.acoustic = semantic, acoustic

    @property
    def has_semantic(self) -> bool:
        """The first part is."""
        return True

    @property
    def stage_count(self) -> int:
        """Those of both parts."""
        return self.semantic.stage_count + self.acoustic.stage_count

    def forward(self, encoded: Tensor) -> Quantized:
        first, second = self.semantic(encoded), self.acoustic(encoded)
        return Quantized(
            latent=first.latent + second.latent,
            codes=torch.cat([first.codes, second.codes], 1),
            stages=first.stages + second.stages,
            semantic=first.latent,
        )

    def decode(self, codes: Tensor) -> Tensor:
        first, second = codes[:, : self.semantic.n_q], codes[:, self.semantic.n_q :]
        latent = self.semantic.decode(first)
        return latent + self.acoustic.decode(second) if second.shape[1] else latent

    def update(self, evidence: Sequence[Quantized]) -> None:
        place = self.semantic.stage_count
        self.semantic.update([replace(quantized, stages=quantized.stages[:place]) for quantized in evidence])
        self.acoustic.update([replace(quantized, stages=quantized.stages[place:]) for quantized in evidence])
