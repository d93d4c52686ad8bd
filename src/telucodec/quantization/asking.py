"""What a device would have to be asked, done without: a host that asks waits until all that was queued is computed."""

import torch
from torch import Tensor


def waits(tensor: Tensor) -> bool:
    """Whether the host would have to wait for a tensor's numbers; on a CPU they are there."""
    return tensor.device.type != "cpu"


def most(where: Tensor) -> int:
    """How many of N are true, at most: N itself, where the host would have to wait for better."""
    return len(where) if waits(where) else int(where.sum())


def overwrite(rows: Tensor, where: Tensor, by: Tensor) -> None:
    """Put rows of `by` [N, D] in place of those of `rows` [N, D] at which `where` [N] is true, as few of them are.

    >>> rows = torch.tensor([[1.0], [2.0]])
    >>> overwrite(rows, torch.tensor([False, True]), torch.tensor([[3.0], [4.0]]))
    >>> rows
    tensor([[1.],
            [4.]])
    """
    if waits(where):
        rows.copy_(torch.where(where[:, None], by, rows))
    else:  # those few alone
        rows[where] = by[where]


def how_often(codes: Tensor, zeros: Tensor) -> Tensor:
    """How often each codeword was chosen: [M] -> [N], added to zeros [N] in place; exact up to 2**24 in float32.

    No bincount: it asks the device how long its answer is to be.

    >>> how_often(torch.tensor([1, 1, 0]), torch.zeros(3))
    tensor([1., 2., 0.])
    """
    return zeros.index_add_(0, codes, zeros.new_ones(len(codes)))
