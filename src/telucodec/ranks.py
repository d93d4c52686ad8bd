"""The processes that make one run together. Alone, every function answers at once and changes nothing.

Whatever is decided by what one process sees (a signal, a loss that is not finite) is decided for all of them here: a
process that leaves the step alone hangs the others.
"""

import hashlib
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from telucodec.errors import DivergedError, InputError, LostError

T = TypeVar("T")
MOMENT = timedelta(seconds=3)  # that a process with an error looks whether the first has it too
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


def meet() -> None:
    """Wait until all processes are here."""
    anywhere(False)


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
    """What a function gives in each process; what it makes in one is there for those that come after.

    First comes the first of all, then the first of each other machine, then the rest.

    Raises:
        LostError: it raised in another process, with the message from there. What it raised here is raised as it is,
            unless a process before this one says the same.
    """
    hosts = gathered(platform.node())
    turns = [0 if rank == 0 else 1 if hosts.index(host) == rank else 2 for rank, host in enumerate(hosts)]
    for turn in sorted(set(turns)):
        error: Exception | None = None
        if turns[own()] == turn:
            try:
                found = act()
            except Exception as raised:
                error = raised
        messages = gathered(None if error is None else str(error))
        if error is not None and str(error) not in messages[: own()]:
            raise error
        if wrong := [message for message in messages if message is not None]:
            raise LostError(wrong[0])
    return found


@contextmanager
def told_once() -> Iterator[None]:
    """While it lasts, an `InputError` that the first process has too is a `LostError` in the others.

    They do not have to meet for it, for most errors are those of one: each looks for a moment whether it is so.
    """
    try:
        yield
    except (DivergedError, LostError):  # all know
        raise
    except InputError as error:
        if together() and _first_says(str(error)):
            raise LostError(str(error)) from None
        raise


def _first_says(words: str) -> bool:
    from torch.distributed.distributed_c10d import _get_default_store

    store, key = _get_default_store(), f"telucodec/said/{hashlib.sha256(words.encode()).hexdigest()}"
    if own() == 0:
        store.set(key, "")
        return False
    try:
        store.wait([key], MOMENT)
    except RuntimeError:  # it did not come, or the first process is gone
        return False
    return True


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
