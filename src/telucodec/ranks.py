"""The processes that make one run together. Alone, every function answers at once and changes nothing.

Whatever is decided by what one process sees (a signal, a loss that is not finite) is decided for all of them here: a
process that leaves the step alone hangs the others.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from telucodec.errors import LostError

T = TypeVar("T")
_apart = False  # whether this process does something that the others take no part in


def together() -> bool:
    """Whether there is more than one process, and they are connected."""
    return count() > 1


def count() -> int:
    """How many processes make this run."""
    return dist.get_world_size() if _connected() else 1


def own() -> int:
    """The number of this process, from 0; the first writes what a run leaves behind."""
    return dist.get_rank() if _connected() else 0


@contextmanager
def apart() -> Iterator[None]:
    """While it lasts, this process is alone: what it computes is as on one device, and it waits for no other."""
    global _apart
    before, _apart = _apart, True
    try:
        yield
    finally:
        _apart = before


def turns(things: int) -> Iterator[int | None]:
    """Which of some things fall to this process, in rounds of one each: as many rounds in all, None where none is left.

    >>> list(turns(3))
    [0, 1, 2]
    """
    for first in range(0, things, count()):
        yield first + own() if first + own() < things else None


def anywhere(flag: bool) -> bool:
    """Whether a flag is set in any process. All of them must ask."""
    if not together():
        return flag
    told = torch.tensor(float(flag), device=_device())
    dist.all_reduce(told, op=dist.ReduceOp.MAX)
    return bool(told)


def mean(values: Tensor) -> Tensor:
    """The mean over processes, of the same shape; without a graph. All of them must ask."""
    if not together():
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total / count()


def shared(values: Tensor) -> Tensor:
    """The mean over processes, with a graph to what each of them gave. All of them must ask, and go backward.

    With equal shares of a batch and gradients that are averaged over processes, a loss of such means has the gradient
    that it has on one device: that of a batch's statistics, not of each share's.
    """
    found: Tensor = _Shared.apply(values) if together() else values  # type: ignore[no-untyped-call]
    return found


def norm(own_norm: Tensor) -> Tensor:
    """The norm of what lies in all processes, from that of each one's part, as `shared`. All of them must ask."""
    return (shared(own_norm.square()) * count()).sqrt() if together() else own_norm


def gathered(value: Any) -> list[Any]:
    """One value of each process, by their numbers; anything that can be pickled. All of them must ask."""
    if not together():
        return [value]
    found: list[Any] = [None] * count()
    dist.all_gather_object(found, value)
    return found


def joined(rows: Tensor) -> Tensor:
    """The rows [M, ...] of all processes, by their numbers; they may have different M. All of them must ask."""
    if not together():
        return rows
    sizes = lengths(rows)
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])
    padded[: len(rows)] = rows.detach()
    found = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(found, padded)
    return torch.cat([part[:size] for part, size in zip(found, sizes, strict=True)])


def lengths(rows: Tensor) -> list[int]:
    """How many rows each process has. All of them must ask."""
    if not together():
        return [len(rows)]
    sizes = [torch.zeros((), dtype=torch.int64, device=_device()) for _ in range(count())]
    dist.all_gather(sizes, torch.tensor(len(rows), device=_device()))
    return [int(size) for size in sizes]


def from_first(value: Any) -> Any:
    """What the first process has. All of them must ask."""
    if not together():
        return value
    told = [value]
    dist.broadcast_object_list(told, src=0)
    return told[0]


def by_first(act: Callable[[], T]) -> T:
    """What a function gives in the first process, which alone calls it; an error there is one in all. All must ask.

    Raises:
        LostError: in the others, with the message of what the function raised in the first.
    """
    if not together():
        return act()
    found: Any = None
    error: Exception | None = None
    if own() == 0:
        try:
            found = act()
        except Exception as raised:  # told to the others before it goes on
            error = raised
    found, message = from_first((found, None if error is None else str(error)))
    if error is not None:
        raise error
    if message is not None:
        raise LostError(message)
    result: T = found
    return result


def in_turn(act: Callable[[], T]) -> T:
    """What a function gives in each process, called in the first before the others: what it makes is there for them.

    Raises:
        LostError: it raised in another process, with the message from there. What it raised here is raised as it is.
    """
    for number in range(2 if together() else 1):
        error: Exception | None = None
        if min(own(), 1) == number:
            try:
                found = act()
            except Exception as raised:
                error = raised
        messages = [message for message in gathered(None if error is None else str(error)) if message is not None]
        if error is not None:
            raise error
        if messages:
            raise LostError(messages[0])
    return found


class _Shared(torch.autograd.Function):
    """The mean over processes, and of the gradients.

    Shape:
        - Input: any. Output: the same.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return mean(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return mean(gradient)


def _connected() -> bool:
    return not _apart and dist.is_available() and dist.is_initialized()


def _device() -> torch.device:
    """Where the connection carries tensors that belong nowhere: the host, unless it knows devices alone."""
    nccl = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if nccl else torch.device("cpu")
