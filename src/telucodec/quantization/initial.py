"""Where codewords start: callables (frames [M, D], codebook_size) -> codewords [N, D], counts [N]."""

import torch
from torch import Tensor

from telucodec.errors import above, at_least


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

    def __call__(self, frames: Tensor, codebook_size: int) -> tuple[Tensor, Tensor]:
        order = torch.randperm(len(frames), device=frames.device)
        extra = torch.randint(len(frames), (max(0, codebook_size - len(frames)),), device=frames.device)
        centres = frames[torch.cat([order[:codebook_size], extra])].clone()
        for _ in range(self.iterations):
            counts, sums = tally(frames, nearest(frames, centres), codebook_size)
            centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres)
        counts, _ = tally(frames, nearest(frames, centres), codebook_size)
        return centres, counts


class Normal:
    """Codewords drawn from a normal distribution, whatever the encoder says; each counts as unused.

    Args:
        std: standard deviation of each component, > 0.
    """

    def __init__(self, *, std: float) -> None:
        above(0, std=std)
        self.std = std

    def __call__(self, frames: Tensor, codebook_size: int) -> tuple[Tensor, Tensor]:
        codewords = torch.randn(codebook_size, frames.shape[1], device=frames.device) * self.std
        return codewords, torch.zeros(codebook_size, device=frames.device)


def nearest(frames: Tensor, codewords: Tensor) -> Tensor:
    """Index of the codeword nearest to each frame: [M, D], [N, D] -> [M].

    Minimising |x - e|^2 is maximising x.e - |e|^2 / 2, one matrix product.

    >>> nearest(torch.tensor([[0.9, 0.0], [0.1, 0.2]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    tensor([1, 0])
    """
    return torch.addmm(codewords.square().sum(1) * -0.5, frames, codewords.t()).argmax(1)


def tally(frames: Tensor, codes: Tensor, codebook_size: int) -> tuple[Tensor, Tensor]:
    """How many frames chose each codeword and their sum: [M, D], [M] -> [N], [N, D].

    >>> tally(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1, 1, 0]), 3)
    (tensor([1., 2., 0.]), tensor([[4.],
            [3.],
            [0.]]))
    """
    counts = torch.bincount(codes, minlength=codebook_size).to(frames.dtype)
    return counts, frames.new_zeros(codebook_size, frames.shape[1]).index_add_(0, codes, frames)
