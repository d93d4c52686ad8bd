"""How much of the codebooks is used."""

import torch
from torch import Tensor


class CodebookUse:
    """Histograms of codes, and what they say.

    Args:
        n_q: number of codebooks K.
        codebook_size: codewords in each.
    """

    def __init__(self, n_q: int, codebook_size: int) -> None:
        self.counts = torch.zeros(n_q, codebook_size, dtype=torch.float64)

    def add(self, codes: Tensor) -> None:
        """Count codes [B, K, F]."""
        for k, row in enumerate(codes.transpose(0, 1).flatten(1).cpu()):
            self.counts[k] += torch.bincount(row, minlength=self.counts.shape[1])

    def include(self, other: "CodebookUse") -> None:
        """Count what another has counted."""
        self.counts = self.counts + other.counts

    def figures(self) -> dict[str, float]:
        """Usage and perplexity of each codebook, the smallest of each, and the share of all bits that is used.

        `codebook/<k>/usage` is the share of codewords that occur at all, `codebook/<k>/perplexity` is 2 to the entropy
        in bits: codebook_size when all occur alike, 1 when a single one does. `codebook/bits_share` is the entropy of
        all codebooks over the largest that so many frames can have; absent where that is 0.

        >>> use = CodebookUse(1, 4)
        >>> use.add(torch.tensor([[[0, 0, 3, 3]]]))
        >>> use.figures()["codebook/0/usage"], use.figures()["codebook/perplexity_min"]
        (0.5, 2.0)
        >>> use.figures()["codebook/bits_share"]
        0.5
        """
        if not self.counts.numel() or not self.counts.sum():
            return {}
        share = self.counts / self.counts.sum(1, keepdim=True)
        entropy = -(share * share.clamp(min=1e-300).log2()).sum(1)
        usage, perplexity = (self.counts > 0).double().mean(1).tolist(), entropy.exp2().tolist()
        each = {f"codebook/{k}/usage": u for k, u in enumerate(usage)}
        each |= {f"codebook/{k}/perplexity": p for k, p in enumerate(perplexity)}
        each |= {"codebook/usage_min": min(usage), "codebook/perplexity_min": min(perplexity)}
        most = self.counts.sum(1).clamp(max=self.counts.shape[1]).log2().sum()
        return each | ({"codebook/bits_share": float(entropy.sum() / most)} if most > 0 else {})
