"""What happens to codewords that nothing chooses: callables (codebook, frames [M, D], uniform) that move them in place.

`uniform` is the count that each codeword would have in this step if all were used alike; `frames` is what the codebook
saw in it, in this process; the codebook's `ranks` says what else there is to choose from.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from telucodec.errors import above, inside
from telucodec.quantization.codebook import Codebook
from telucodec.quantization.ranks import OwnRank


class NoRestart:
    """Dead codewords stay where they are."""

    def __call__(self, book: Codebook, frames: Tensor, uniform: float) -> None:
        """Move nothing."""


class Restart:
    """Move dead codewords onto random frames of the current step.

    A codeword is dead when its average count falls below `threshold` of the count it would have if all were used
    alike. A moved codeword starts with that mean count, so it lives long enough to find frames of its own.

    Args:
        threshold: fraction of the uniform count, in [0, 1).

    Source: Dhariwal et al. 2020, arXiv:2005.00341, section 3.1 ("random restarts"); the relative threshold as in Mimi.
    """

    def __init__(self, *, threshold: float) -> None:
        inside(0, 1, threshold=threshold)
        self.threshold = threshold

    def __call__(self, book: Codebook, frames: Tensor, uniform: float) -> None:
        revive(book.counts < self.threshold * uniform, frames, book.ranks, partial(book.place, count=uniform))


class AbsoluteRestart:
    """`Restart` below a fixed count, whatever the sizes of batch and codebook; a moved codeword starts with it.

    Args:
        threshold: average count below which a codeword is dead, frames a step, > 0.

    Source: EnCodec's `threshold_ema_dead_code`; the starting count as in vector-quantize-pytorch.
    """

    def __init__(self, *, threshold: float) -> None:
        above(0, threshold=threshold)
        self.threshold = threshold

    def __call__(self, book: Codebook, frames: Tensor, uniform: float) -> None:
        revive(book.counts < self.threshold, frames, book.ranks, partial(book.place, count=self.threshold))


class OverwrittenRestart(AbsoluteRestart):
    """`AbsoluteRestart` that moves codewords alone; an EMA codebook's averages put them back where they were.

    Args:
        threshold: see `AbsoluteRestart`.

    Source: EnCodec's reference code, core_vq.py, `expire_codes_`, and its descendants (audiocraft, NeMo, WavTokenizer).
    """

    def __call__(self, book: Codebook, frames: Tensor, uniform: float) -> None:
        revive(book.counts < self.threshold, frames, book.ranks, book.move)


def revive(dead: Tensor, frames: Tensor, ranks: OwnRank, put: Callable[[Tensor, Tensor], None]) -> None:
    """Put each dead codeword onto a random frame of its own, as far as there are: [N] of bool, [M, D].

    `put` is told which codewords move, [N] of bool, and where to, [N, D]; the places of the others mean nothing.

    >>> import torch
    >>> revive(torch.tensor([False, True, True]), torch.tensor([[3.0]]), OwnRank(), lambda *told: print(told[0]))
    tensor([False,  True, False])
    """
    drawn = ranks.draw(frames, dead)
    if len(drawn):
        turn = dead.cumsum(0) - 1  # the first that is dead gets the first frame
        put(dead & (turn < len(drawn)), drawn.index_select(0, turn.clamp(0, len(drawn) - 1)))
