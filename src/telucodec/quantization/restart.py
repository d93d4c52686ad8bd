"""What happens to codewords that nothing chooses."""

import torch
from torch import Tensor

from telucodec.errors import inside


class Restart:
    """Move dead codewords onto random frames of the current step.

    A codeword is dead when its average count falls below `threshold` of the count it would have if all were used
    alike. A moved codeword starts with the mean count, so it lives long enough to find frames of its own.

    Args:
        threshold: fraction of the uniform count, in [0, 1).

    Source: Dhariwal et al. 2020, arXiv:2005.00341, section 3.1 ("random restarts"); the relative threshold is ours.
    """

    def __init__(self, *, threshold: float) -> None:
        inside(0, 1, threshold=threshold)
        self.threshold = threshold

    def __call__(self, counts: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, float]:
        """Pick codewords to move.

        Args:
            counts: average use of each codeword a step, [N].
            frames: what this codebook saw in this step, [M, D].

        Returns:
            Indices of the moved codewords [R], their new places [R, D], the count to give each.
        """
        uniform = len(frames) / len(counts)
        dead = torch.nonzero(counts < self.threshold * uniform).flatten()
        picked = torch.randperm(len(frames), device=frames.device)[: len(dead)]
        return dead[: len(picked)], frames[picked], uniform
