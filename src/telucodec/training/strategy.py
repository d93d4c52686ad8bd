"""How the devices of a run work together, and why some ways that Lightning knows cannot train two players."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import lightning.pytorch.strategies
import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

from telucodec.errors import InputError, LostError, above
from telucodec.training.processes import MET, Place

OURS = "Use trainer=ddp (GPUs) or trainer=ddp_cpu (processes on a CPU)"
# the beginning of a name in Lightning -> why it cannot work here
REFUSED = {
    "ddp_find_unused_parameters_true": "overwrites buffers before each forward pass, and with them what an update did",
    "ddp_find_unused": "waits in each player's step for the gradients of the other one, which never come",
    "ddp_static": "takes every backward pass to use the same parameters, but the two players' do not",
    "static": "takes every backward pass to use the same parameters, but the two players' do not",
    "ddp_": "starts its processes by copying or pickling this one; `telucodec train` starts them itself",
    "ddp": "waits in each player's step for the gradients of the other one, which never come, and overwrites buffers",
    "deepspeed": "takes a single optimizer (its own check says so), and there are two players",
    "fsdp": (
        "cuts each weight into pieces: clip_norm, which needs the whole gradient, would see one process's pieces, and "
        "checkpoints go past the writer that makes them safe; Lightning also refuses it on a CPU"
    ),
    "model_parallel": "cuts weights into pieces, which clip_norm, averages and checkpoints take to be whole",
}


class Single:
    """One process on one device."""


class DataParallel:
    """One process for each device, each with the whole codec and an equal share of every batch.

    It is Lightning's DDPStrategy, told that parameters may go unused in a backward pass (those of the other player, and
    those of the adversary before it starts), and to leave buffers alone: codebooks and running statistics agree by
    themselves, and a broadcast before each forward pass would undo what an update did.

    Args:
        timeout_minutes: after so long a process no longer waits for the others and fails, > 0.
    """

    def __init__(self, *, timeout_minutes: float) -> None:
        above(0, timeout_minutes=timeout_minutes)
        self.timeout = timedelta(minutes=timeout_minutes)

    def lightning(self) -> lightning.pytorch.strategies.DDPStrategy:
        """What Lightning's Trainer is told."""
        return lightning.pytorch.strategies.DDPStrategy(
            find_unused_parameters=True, broadcast_buffers=False, timeout=self.timeout
        )

    @contextmanager
    def connected(self, place: Place, on_gpu: bool) -> Iterator[None]:
        """Meet the other processes, before Lightning would: they decide together where the run lives.

        What belongs to no device (a flag, a path) goes over the host, so that no step waits for a GPU to ask for it.

        Raises:
            InputError: they do not meet, or, as `LostError`, another one is gone.
        """
        if on_gpu:
            torch.cuda.set_device(place.local_rank)
        try:
            store = (
                dist.TCPStore(place.address, place.port, timeout=self.timeout)  # type: ignore[attr-defined]
                if place.led
                else None
            )
            os.environ |= {"MASTER_ADDR": place.address, "MASTER_PORT": str(place.port)}  # where it is not led
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
                store=store,
                rank=place.rank,
                world_size=place.count,
                timeout=self.timeout,
            )
            if store is not None:
                store.set(MET, "")
        except RuntimeError as error:
            raise InputError(f"no meeting with the other processes at {place.address}:{place.port}: {error}") from None
        try:
            yield
        except RuntimeError as error:
            if not _lost(error):
                raise
            raise LostError("another process of this run is gone; it has said why, or was killed.") from error
        dist.destroy_process_group()  # not after an error: it would wait for processes that are gone


class Joined(ClusterEnvironment):
    """Tells Lightning where a process stands that has met the others already.

    Args:
        place: of the process.
    """

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self.place.address

    @property
    def main_port(self) -> int:
        return self.place.port

    @staticmethod
    def detect() -> bool:
        """Never by itself."""
        return False

    def world_size(self) -> int:
        return self.place.count

    def set_world_size(self, size: int) -> None:
        assert size == self.place.count

    def global_rank(self) -> int:
        return self.place.rank

    def set_global_rank(self, rank: int) -> None:
        """It is known."""

    def local_rank(self) -> int:
        return self.place.local_rank

    def node_rank(self) -> int:
        return self.place.rank // self.place.local_count


def refuse(name: str) -> ValueError:
    """Why a strategy of this name is not one of ours.

    >>> str(refuse("deepspeed_stage_2"))[:60]
    'strategy deepspeed_stage_2 takes a single optimizer (its own'
    """
    reason = next((why for start, why in REFUSED.items() if name.startswith(start)), "is none of ours")
    return ValueError(f"strategy {name} {reason}. {OURS}")


def _lost(error: RuntimeError) -> bool:
    """Whether an error says no more than that another process is gone."""
    told = str(error).lower()
    signs = ("closed by peer", "connection reset", "broken pipe", "gloo/transport", "nccl communicator was aborted")
    return isinstance(error, dist.DistNetworkError) or any(sign in told for sign in signs)
