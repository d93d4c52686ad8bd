"""Residual vector quantization."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from telucodec.errors import at_least, at_most
from telucodec.precision import in_float32
from telucodec.quantization.codebook import Codebook
from telucodec.quantization.dropout import KeepAll
from telucodec.quantization.gradient import StraightThrough
from telucodec.quantization.quantizer import Quantizer
from telucodec.records import Quantized, Stage

HOST = torch.device("cpu")


class ResidualVQ(Quantizer):
    """Each codebook quantizes what the previous ones left over. Always in float32.

    Codes are those of all codebooks, also where dropout leaves the last ones out of the latent.

    Args:
        dim: width D of the latent.
        n_q: number of codebooks K, 1 to 1024.
        codebook: builds one codebook of width D.
        gradient: how the decoder's gradient crosses to the encoder.
        dropout: how many codebooks count for each item in training, see `telucodec.quantization.dropout`.
        updates_per_step: how often the codebooks fold in one step's evidence, >= 0; 1 is once, 0 holds them still, 2
            moves as Vocos' and WavTokenizer's do, which look up twice a step.

    Shape:
        - Input: [B, D, F]. Output: `Quantized`.

    Source: Zeghidour et al. 2021, arXiv:2107.03312, algorithm 1.
    """

    def __init__(
        self,
        *,
        dim: int,
        n_q: int,
        codebook: Callable[..., Codebook],
        gradient: StraightThrough,
        dropout: KeepAll,
        updates_per_step: int,
    ) -> None:
        if n_q < 1:
            raise ValueError(f"n_q must be >= 1, got {n_q} (quantizer=none trains without a quantizer)")
        at_most(1024, n_q=n_q)
        at_least(0, updates_per_step=updates_per_step)
        books = [codebook(dim=dim) for _ in range(n_q)]
        if books[0].projected and not gradient.stepwise:
            raise ValueError(
                f"the projections of {type(books[0]).__name__} learn nothing behind {type(gradient).__name__}, which "
                "passes the gradient around all codebooks: choose gradient=chained"
            )
        super().__init__(dim=dim, n_q=n_q, codebook_size=len(books[0].counts))
        self._books, self.books = books, nn.ModuleList(books)
        self.gradient, self.dropout, self.updates_per_step = gradient, dropout, updates_per_step

    def forward(self, encoded: Tensor) -> Quantized:
        with in_float32(encoded.device):
            residual = encoded.float()
            if not self._books[0].projected:  # the numbers of a frame side by side, as those of a codeword lie
                residual = residual.transpose(1, 2).contiguous().transpose(1, 2)
            start, latent, stages = residual, torch.zeros_like(residual), []
            items, every = self._items(len(residual), residual)
            for k, book in enumerate(self._books):
                wanted = book.enter(residual)
                chosen, codes = book(wanted)
                kept = every[k]
                stages.append(Stage(wanted, chosen, codes, kept, items[k]))
                added, removed = self.gradient.step(wanted, chosen)
                given = book.leave(added)
                residual = residual - (given if removed is added else book.leave(removed))
                latent = latent + (given if kept is None else given * kept[:, None, None])
            codes = torch.stack([stage.codes for stage in stages], 1)
            return Quantized(self.gradient.finish(start, latent), codes, tuple(stages))

    def decode(self, codes: Tensor) -> Tensor:
        with in_float32(codes.device):
            pairs = zip(self._books, codes.unbind(1), strict=False)
            return torch.stack([book.leave(book.lookup(own)) for book, own in pairs]).sum(0)

    def update(self, evidence: Sequence[Quantized]) -> None:
        for k, book in enumerate(self._books):
            wanted, codes = zip(*(_counted(quantized.stages[k]) for quantized in evidence), strict=True)
            for _ in range(self.updates_per_step):
                book.update(torch.cat(wanted), torch.cat(codes))

    def _items(self, count: int, like: Tensor) -> tuple[Sequence[Tensor | None], Sequence[Tensor | None]]:
        """`Stage.items` and `Stage.kept` of each codebook, for a batch of so many items.

        Drawn on the host: which frames a codebook learns from, and so how many, is then known without a wait.
        """
        counted = self.dropout(count, self.n_q, HOST) if self.training else None
        if counted is None:
            return [None] * self.n_q, [None] * self.n_q
        items = counted > torch.arange(self.n_q)[:, None]
        return items.unbind(), items.to(like.dtype).to(like.device, non_blocking=True).unbind()


def _counted(stage: Stage) -> tuple[Tensor, Tensor]:
    """The frames of the items for which a codebook counts, and their codes: [M, d], [M]."""
    wanted, codes = stage.wanted.detach().transpose(1, 2), stage.codes
    if stage.items is None:
        return wanted.flatten(0, 1), codes.flatten()
    here = [item for item, kept in enumerate(stage.items.tolist()) if kept]
    parts = [torch.cat([each[:0].flatten(0, 1), *(each[item] for item in here)]) for each in (wanted, codes)]
    return parts[0], parts[1]
