"""Finite scalar quantization: every component is rounded to a few levels, and no codebook is learned."""

from math import prod

import torch
from torch import Tensor

from telucodec.errors import at_least
from telucodec.precision import in_float32
from telucodec.quantization.quantizer import Quantizer
from telucodec.records import Quantized


class FSQ(Quantizer):
    """Bound each component by tanh and round it to its levels, in one or more groups. Always in float32.

    The latent lies in [-1, 1]; the gradient passes the rounding straight through, and no loss is needed. A prefix of k
    groups decodes to a latent whose other groups are 0.

    Args:
        levels: number of levels of each component of a group, each >= 3.
        groups: number of groups, each with one code, >= 1.

    Shape:
        - Input: [B, len(levels) * groups, F]. Output: `Quantized` with codes [B, groups, F] and no stages.

    Source: Mentzer et al. 2023, arXiv:2309.15505, section 3.1; the shift of even levels by atanh, so that 0 encodes to
    0, as in vector-quantize-pytorch.
    """

    levels: Tensor
    places: Tensor

    def __init__(self, *, levels: list[int], groups: int) -> None:
        at_least(3, levels=levels)
        at_least(1, groups=groups)
        super().__init__(dim=len(levels) * groups, n_q=groups, codebook_size=prod(levels))
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("places", place_values(levels), persistent=False)

    @property
    def stage_count(self) -> int:
        """There is nothing to commit to."""
        return 0

    def forward(self, encoded: Tensor) -> Quantized:
        with in_float32(encoded.device):
            x = encoded.float().reshape(len(encoded), self.n_q, len(self.levels), -1).movedim(2, -1)  # [B, K, F, d]
            half = (self.levels - 1) * (1.001 / 2)  # a little more than the outermost level, so that it is reached
            offset = 0.5 * (self.levels % 2 == 0)
            bounded = torch.tanh(x + torch.atanh(offset / half)) * half - offset
            rounded = bounded + (bounded.round() - bounded).detach()
            codes = ((rounded.detach().round().long() + self.levels // 2) * self.places).sum(-1)
            return Quantized(_joined(rounded / (self.levels // 2)), codes)

    def decode(self, codes: Tensor) -> Tensor:
        digits = codes[..., None] // self.places % self.levels
        latent = _joined((digits - self.levels // 2) / (self.levels // 2))
        return torch.nn.functional.pad(latent, (0, 0, 0, len(self.levels) * self.n_q - latent.shape[1]))


class ResidualFSQ(Quantizer):
    """Round to levels evenly spaced over [-1, 1], then what is left over to levels as many times finer, and so on.

    The input is bounded by tanh to the outer edges of the outermost levels. The gradient passes straight through, once
    around all stages. Always in float32.

    Args:
        levels: number of levels of each component, each >= 2.
        n_q: number of stages K, each with one code, >= 1.

    Shape:
        - Input: [B, len(levels), F]. Output: `Quantized` with codes [B, K, F] and no stages.

    Source: Mentzer et al. 2023, arXiv:2309.15505, made residual as in vector-quantize-pytorch; symmetric levels from
    Parker et al. 2024, arXiv:2411.19842, section 3.2.
    """

    levels: Tensor
    places: Tensor

    def __init__(self, *, levels: list[int], n_q: int) -> None:
        at_least(2, levels=levels)
        at_least(1, n_q=n_q)
        super().__init__(dim=len(levels), n_q=n_q, codebook_size=prod(levels))
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("places", place_values(levels), persistent=False)

    @property
    def stage_count(self) -> int:
        """There is nothing to commit to."""
        return 0

    def forward(self, encoded: Tensor) -> Quantized:
        with in_float32(encoded.device):
            edge = self.levels / (self.levels - 1)
            x = edge * torch.tanh(encoded.float().transpose(1, 2) / edge)  # [B, F, d]
            residual, latent, codes = x.detach(), torch.zeros_like(x), []
            for k in range(self.n_q):
                step = (residual * self.levels.float() ** k + 1) * (self.levels - 1) / 2
                digits = (step + 0.5).floor().clamp(min=0).minimum(self.levels - 1).long()
                level = self._level(digits, k)
                residual, latent = residual - level, latent + level
                codes.append((digits * self.places).sum(-1))
            return Quantized((x + (latent - x).detach()).transpose(1, 2), torch.stack(codes, 1))

    def decode(self, codes: Tensor) -> Tensor:
        digits = codes[..., None] // self.places % self.levels  # [B, k, F, d]
        return torch.stack([self._level(own, k) for k, own in enumerate(digits.unbind(1))]).sum(0).transpose(1, 2)

    def _level(self, digits: Tensor, k: int) -> Tensor:
        return (digits * 2 / (self.levels - 1) - 1) / self.levels.float() ** k


def place_values(levels: list[int]) -> Tensor:
    """What one step of each digit adds to a code of mixed radix, the first digit least.

    >>> place_values([8, 5, 5])
    tensor([ 1,  8, 40])
    """
    return torch.tensor([prod(levels[:i]) for i in range(len(levels))])


def _joined(grouped: Tensor) -> Tensor:
    """[B, K, F, d] to [B, K * d, F]."""
    return grouped.movedim(-1, 2).flatten(1, 2)
