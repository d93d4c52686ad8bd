"""One codebook whose codewords follow an exponential moving average of what chose them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from telucodec.errors import at_least, inside
from telucodec.quantization.initial import nearest, tally
from telucodec.quantization.restart import Restart


class EMACodebook(nn.Module):
    """Codewords as running means; updated by `update`, once a step, never by an optimizer.

    Looking up changes nothing (but for the initialisation by the first frames seen in training mode), so a step may
    look up as often as it likes. Counts and sums are kept together: an initialised or restarted codeword has
    sum = count x codeword, so that the next average starts from it.

    Args:
        codebook_size: number of codewords N.
        dim: width D of a codeword.
        decay: of the running averages, in [0, 1); 0.99 forgets within about 100 steps.
        initial: gives the first codewords and counts from frames.
        restart: revives dead codewords; None leaves them dead.

    Shape:
        - Input: [B, D, F]. Output: codewords [B, D, F] and codes [B, F].

    Source: van den Oord et al. 2017, arXiv:1711.00937, appendix A.1.
    """

    codewords: Tensor
    counts: Tensor
    sums: Tensor
    ready: Tensor

    def __init__(
        self,
        *,
        codebook_size: int,
        dim: int,
        decay: float,
        initial: Callable[[Tensor, int], tuple[Tensor, Tensor]],
        restart: Restart | None,
    ) -> None:
        super().__init__()
        at_least(2, codebook_size=codebook_size)
        at_least(1, dim=dim)
        inside(0, 1, decay=decay)
        self.decay, self.initial, self.restart = decay, initial, restart
        self.register_buffer("codewords", torch.zeros(codebook_size, dim))
        self.register_buffer("counts", torch.zeros(codebook_size))
        self.register_buffer("sums", torch.zeros(codebook_size, dim))
        self.register_buffer("ready", torch.tensor(False))
        self._initialised = False  # mirrors `ready` on the host, so that a step need not wait for the device

    def forward(self, wanted: Tensor) -> tuple[Tensor, Tensor]:
        frames = wanted.detach().transpose(1, 2).flatten(0, 1)
        if self.training and not self._is_ready():
            self._initialise(frames)
        codes = nearest(frames, self.codewords).view(len(wanted), -1)
        return self.lookup(codes), codes

    def lookup(self, codes: Tensor) -> Tensor:
        """Codes [B, F] to codewords [B, D, F]."""
        return self.codewords[codes].transpose(1, 2)

    @torch.no_grad()
    def update(self, wanted: Tensor, codes: Tensor) -> None:
        """Fold one step's evidence into the averages, then revive what is dead.

        Args:
            wanted: all the step's inputs of this codebook, [M, D].
            codes: what each chose, [M].
        """
        frames = wanted.float()
        counts, sums = tally(frames, codes, len(self.counts))
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        if self.restart is not None:
            moved, places, count = self.restart(self.counts, frames)
            self.counts[moved] = count
            self.sums[moved] = places * count
        means = self.sums / self.counts.clamp(min=1e-12)[:, None]
        self.codewords.copy_(torch.where(self.counts[:, None] > 1e-12, means, self.codewords))

    def _is_ready(self) -> bool:
        self._initialised = self._initialised or bool(self.ready)
        return self._initialised

    @torch.no_grad()
    def _initialise(self, frames: Tensor) -> None:
        codewords, counts = self.initial(frames, len(self.counts))
        self.codewords.copy_(codewords)
        self.counts.copy_(counts)
        self.sums.copy_(codewords * counts[:, None])
        self.ready.fill_(True)
