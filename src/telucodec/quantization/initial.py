"""Where codewords start: callables (frames [M, D], codebook_size) -> codewords [N, D], counts [N], sums [N, D].

Counts and sums are the averages that an EMA codebook goes on from; sums / counts are the codewords it moves to.
"""

import math

import torch
from torch import Tensor

from telucodec.errors import above, at_least
from telucodec.quantization.asking import how_often

Start = tuple[Tensor, Tensor, Tensor]


class KMeans:
    """Codewords from Lloyd's algorithm on the first batch; each counts as often as frames chose it.

    With fewer frames than codewords, the rest are copies of random frames with a count of zero.

    Args:
        iterations: of Lloyd's algorithm, >= 0; 0 means codewords are random frames.

    Source: Zeghidour et al. 2021, arXiv:2107.03312, section III-C.
    """

    def __init__(self, *, iterations: int) -> None:
        at_least(0, iterations=iterations)
        self.iterations = iterations

    def __call__(self, frames: Tensor, codebook_size: int) -> Start:
        order = torch.randperm(len(frames), device=frames.device)
        extra = torch.randint(len(frames), (max(0, codebook_size - len(frames)),), device=frames.device)
        centres = frames[torch.cat([order[:codebook_size], extra])].clone()
        for _ in range(self.iterations):
            counts, sums = tally(frames, nearest(frames, centres), codebook_size)
            centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres)
        counts, _ = tally(frames, nearest(frames, centres), codebook_size)
        return centres, counts, centres * counts[:, None]


class KMeansUnweighted(KMeans):
    """`KMeans` whose sums are the codewords themselves, as if each had been chosen once.

    The counts are those of the frames, so that the first average divides by far more than was summed, and codewords
    shrink towards zero.

    Args:
        iterations: see `KMeans`.

    Source: EnCodec's reference code, core_vq.py, `init_embed_`, and its descendants (audiocraft, NeMo, WavTokenizer).
    """

    def __call__(self, frames: Tensor, codebook_size: int) -> Start:
        codewords, counts, _ = super().__call__(frames, codebook_size)
        return codewords, counts, codewords


class Normal:
    """Codewords drawn from a normal distribution, whatever the encoder says; each counts as unused.

    Args:
        std: standard deviation of each component, > 0.
    """

    def __init__(self, *, std: float) -> None:
        above(0, std=std)
        self.std = std

    def __call__(self, frames: Tensor, codebook_size: int) -> Start:
        return _unused(torch.randn(codebook_size, frames.shape[1], device=frames.device) * self.std)


class KaimingUniform:
    """Codewords drawn uniformly from +-sqrt(6 / D), whatever the encoder says; each counts as unused.

    Source: He et al. 2015, arXiv:1502.01852, as EnCodec does without k-means.
    """

    def __call__(self, frames: Tensor, codebook_size: int) -> Start:
        width = frames.shape[1]
        uniform = torch.rand(codebook_size, width, device=frames.device) * 2 - 1
        return _unused(uniform * math.sqrt(6 / width))


class Zeros:
    """All codewords zero, so that every frame chooses the first; each counts as unused.

    Source: NeMo's `EuclideanCodebook` (encodec_modules.py), where k-means is switched off.
    """

    def __call__(self, frames: Tensor, codebook_size: int) -> Start:
        return _unused(torch.zeros(codebook_size, frames.shape[1], device=frames.device))


def nearest(frames: Tensor, codewords: Tensor) -> Tensor:
    """Index of the codeword nearest to each frame: [M, D], [N, D] -> [M].

    Minimising |x - e|^2 is maximising x.e - |e|^2 / 2, one matrix product.

    >>> nearest(torch.tensor([[0.9, 0.0], [0.1, 0.2]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    tensor([1, 0])
    """
    scores = torch.addmm(codewords.square().sum(1) * -0.5, frames, codewords.t())
    return scores.max(1).indices  # the first of equals, as argmax, which takes longer


def tally(frames: Tensor, codes: Tensor, codebook_size: int) -> tuple[Tensor, Tensor]:
    """How many frames chose each codeword and their sum: [M, D], [M] -> [N], [N, D].

    >>> tally(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1, 1, 0]), 3)
    (tensor([1., 2., 0.]), tensor([[4.],
            [3.],
            [0.]]))
    """
    sums = frames.new_zeros(codebook_size, frames.shape[1]).index_add_(0, codes, frames)
    return how_often(codes, frames.new_zeros(codebook_size)), sums


def _unused(codewords: Tensor) -> Start:
    return codewords, codewords.new_zeros(len(codewords)), torch.zeros_like(codewords)
