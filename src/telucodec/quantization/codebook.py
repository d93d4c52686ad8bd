"""One codebook, and the three ways it learns: by running means, by gradients, by both."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from telucodec.errors import at_least, inside
from telucodec.quantization.asking import how_often, overwrite
from telucodec.quantization.initial import Start, nearest, tally
from telucodec.quantization.ranks import OwnRank


class Codebook(nn.Module):
    """Codewords, how to find the nearest, and how often each is used.

    Looking up changes nothing (but for the initialisation by the first frames seen in training mode), so a step may
    look up as often as it likes.

    Args:
        codebook_size: number of codewords N.
        dim: width D of a codeword.
        decay: of the running averages, in [0, 1); 0.99 forgets within about 100 steps.
        initial: gives the first codewords, counts and sums from frames.
        restart: moves dead codewords, see `telucodec.quantization.restart`.
        ranks: what the processes of one run share.

    Shape:
        - Input: [B, D, F]. Output: codewords [B, D, F] and codes [B, F].
    """

    learned: ClassVar[bool] = False  # whether an optimizer moves the codewords
    projected: ClassVar[bool] = False  # whether `enter` and `leave` have weights, which the decoder's gradient trains
    codewords: Tensor
    counts: Tensor
    ready: Tensor
    moves: Tensor  # [N] how often a restart has moved each codeword in this process; no part of the stored state

    def __init__(
        self,
        *,
        codebook_size: int,
        dim: int,
        decay: float,
        initial: Callable[[Tensor, int], Start],
        restart: Callable[["Codebook", Tensor, float], None],
        ranks: OwnRank,
    ) -> None:
        super().__init__()
        at_least(2, codebook_size=codebook_size)
        at_least(1, dim=dim)
        inside(0, 1, decay=decay)
        self.decay, self.initial, self.restart, self.ranks = decay, initial, restart, ranks
        codewords = torch.zeros(codebook_size, dim)
        if self.learned:
            self.codewords = nn.Parameter(codewords)
        else:
            self.register_buffer("codewords", codewords)
        self.register_buffer("counts", torch.zeros(codebook_size))
        self.register_buffer("ready", torch.tensor(False))
        self.register_buffer("moves", torch.zeros(codebook_size, dtype=torch.int64), persistent=False)
        self.updates = 0  # that have folded frames into the averages, in this process
        self._initialised = False  # mirrors `ready` on the host, so that a step need not wait for the device

    def enter(self, residual: Tensor) -> Tensor:
        """What the codebook is asked for, from what previous codebooks left over."""
        return residual

    def leave(self, chosen: Tensor) -> Tensor:
        """What a codeword adds to the latent."""
        return chosen

    def forward(self, wanted: Tensor) -> tuple[Tensor, Tensor]:
        frames = wanted.detach().transpose(1, 2).flatten(0, 1)
        if self.training and not self.is_ready():
            self._initialise(frames)
        codes = self.find(frames).view(len(wanted), -1)
        return self.lookup(codes), codes

    def find(self, frames: Tensor) -> Tensor:
        """Frames [M, D] to codes [M]."""
        return nearest(frames, self.codewords.detach())

    def lookup(self, codes: Tensor) -> Tensor:
        """Codes [B, F] to codewords [B, D, F]."""
        return F.embedding(codes, self.codewords).transpose(1, 2)

    @torch.no_grad()
    def update(self, wanted: Tensor, codes: Tensor) -> None:
        """Fold one step's evidence into the averages, then move what is dead.

        Args:
            wanted: all the step's inputs of this codebook, [M, D].
            codes: what each chose, [M].
        """
        counts = how_often(codes, torch.zeros_like(self.counts))
        frames = self.ranks.pool(len(wanted), counts)
        if frames:  # else dropped in the whole step: nothing to learn, nothing to forget
            self.count(counts)
            self.restart(self, wanted.float(), frames / len(counts))
        self.ranks.agree(*self.state())  # in any case: another process may have had some

    def count(self, chosen: Tensor) -> None:
        """Fold into the averages how many frames chose each codeword, [N]."""
        self.counts.lerp_(chosen, 1 - self.decay)
        self.updates += 1

    @torch.no_grad()
    def move(self, moved: Tensor, places: Tensor) -> None:
        """Put those codewords [N] of bool that are `moved` at their places [N, D], and note it."""
        overwrite(self.codewords, moved, places)
        self.moves += moved

    @torch.no_grad()
    def place(self, moved: Tensor, places: Tensor, count: float) -> None:
        """`move` codewords [N] of bool to places [N, D], as if each had been chosen `count` times a step."""
        self.move(moved, places)
        self.counts.masked_fill_(moved, count)

    def state(self) -> tuple[Tensor, ...]:
        """What the processes of one run agree on."""
        return self.codewords, self.counts

    def is_ready(self) -> bool:
        """Whether the codewords have begun."""
        self._initialised = self._initialised or bool(self.ready)
        return self._initialised

    @torch.no_grad()
    def _initialise(self, frames: Tensor) -> None:
        begun = self.initial(self.ranks.gather(frames), len(self.counts))
        for tensor, start in zip(self.state(), begun, strict=False):
            tensor.copy_(start)
        self.ranks.agree(*self.state())
        self.ready.fill_(True)
        self._initialised = True


class GradientCodebook(Codebook):
    """Codewords as parameters that a codebook loss pulls to what chose them; averages only count.

    Args:
        codebook_size: see `Codebook`.
        dim: see `Codebook`.
        decay: see `Codebook`.
        initial: see `Codebook`.
        restart: see `Codebook`.
        ranks: see `Codebook`.

    Shape:
        - Input: [B, D, F]. Output: codewords [B, D, F] with a gradient, and codes [B, F].

    Source: van den Oord et al. 2017, arXiv:1711.00937, eq. 3, second term.
    """

    learned = True


class EMACodebook(Codebook):
    """Codewords as running means; updated by `update`, once a step, never by an optimizer.

    Counts and sums are kept together: an initialised or restarted codeword has sum = count x codeword, so that the
    next average starts from it.

    Args:
        ema_input: what is averaged, see `telucodec.quantization.evidence`.
        codebook_size: see `Codebook`.
        dim: see `Codebook`.
        decay: see `Codebook`.
        initial: see `Codebook`.
        restart: see `Codebook`.
        ranks: see `Codebook`.

    Shape:
        - Input: [B, D, F]. Output: codewords [B, D, F] and codes [B, F].

    Source: van den Oord et al. 2017, arXiv:1711.00937, appendix A.1.
    """

    sums: Tensor

    def __init__(
        self,
        *,
        ema_input: Callable[[Tensor, Tensor, Tensor], Tensor],
        codebook_size: int,
        dim: int,
        decay: float,
        initial: Callable[[Tensor, int], Start],
        restart: Callable[[Codebook, Tensor, float], None],
        ranks: OwnRank,
    ) -> None:
        super().__init__(
            codebook_size=codebook_size, dim=dim, decay=decay, initial=initial, restart=restart, ranks=ranks
        )
        self.ema_input = ema_input
        self.register_buffer("sums", torch.zeros(codebook_size, dim))

    @torch.no_grad()
    def update(self, wanted: Tensor, codes: Tensor) -> None:
        before, wanted = self.codewords.clone(), wanted.float()
        counts, sums = tally(self.ema_input(wanted, before, codes), codes, len(self.counts))
        frames = self.ranks.pool(len(wanted), counts, sums)
        if frames:  # else dropped in the whole step: nothing to learn, nothing to forget
            self.count(counts)
            self.sums.lerp_(sums, 1 - self.decay)
            self.restart(self, wanted, frames / len(counts))
            means = self.sums / self.counts.clamp(min=1e-12)[:, None]
            overwrite(means, self.counts <= 1e-12, before)
            self.codewords.copy_(means)
        self.ranks.agree(*self.state())  # in any case: another process may have had some

    @torch.no_grad()
    def place(self, moved: Tensor, places: Tensor, count: float) -> None:
        super().place(moved, places, count)
        overwrite(self.sums, moved, places * count)

    def state(self) -> tuple[Tensor, ...]:
        return self.codewords, self.counts, self.sums


class EMAGradientCodebook(EMACodebook):
    """Codewords as parameters that are also running means: an optimizer's move is where the next average starts from.

    Args:
        ema_input: see `EMACodebook`.
        codebook_size: see `Codebook`.
        dim: see `Codebook`.
        decay: see `Codebook`.
        initial: see `Codebook`.
        restart: see `Codebook`.
        ranks: see `Codebook`.

    Shape:
        - Input: [B, D, F]. Output: codewords [B, D, F] with a gradient, and codes [B, F].

    Source: ours; a codebook loss beside an EMA moves nothing where codewords are no parameters.
    """

    learned = True

    @torch.no_grad()
    def update(self, wanted: Tensor, codes: Tensor) -> None:
        self.sums.copy_(self.codewords * self.counts[:, None])
        super().update(wanted, codes)
