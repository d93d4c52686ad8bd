"""Whether a long run is well: what it waits for, what it fills, and when it will be done."""

import resource
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch.optim import Optimizer

from telucodec import ranks
from telucodec.data.workers import default_workers
from telucodec.errors import InputError, at_least, inside
from telucodec.training.callbacks.saving import Saving
from telucodec.training.checkpoint import saved
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining

GIB = 2**30


class Health(Callback):
    """Logs the share of time spent waiting for data, memory, and the hours that are left; looks at the disk beforehand.

    Nothing waits for a device. Of several processes these are the first one's figures. The first interval counts for
    nothing but memory: loaders start in it, and kernels are chosen.

    Args:
        every: steps between rows, >= 1.
        waiting: share of the time, in [0, 1), above which waiting for data is told once, with what helps.
        spare: GiB that must be free beside what the checkpoints will take, >= 0.
        run: what the callbacks share.
    """

    def __init__(self, *, every: int, waiting: float, spare: float, run: Run) -> None:
        at_least(1, every=every)
        inside(0, 1, waiting=waiting)
        at_least(0, spare=spare)
        self.every, self.waiting, self.spare, self.run = every, waiting, spare, run
        self.waited, self.busy = 0.0, 0.0  # seconds of this interval: for data; with steps, waiting included
        self.first, self.begun = 0, 0.0  # the step after which time is counted, and when that was
        self.told = self.metered = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        ranks.by_first(lambda: self._check_disk(trainer, pl_module))
        if pl_module.device.type == "cuda" and trainer.is_global_zero:
            self.metered = find_spec("pynvml") is not None
            if not self.metered:
                told = "GPU utilisation is not recorded: `pip install nvidia-ml-py` brings what reads it."
                self.run.console.print(told, highlight=False, markup=False, soft_wrap=True)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        if pl_module.idle_since:
            self.waited += self.run.data.arrived - pl_module.idle_since

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        now, step = time.monotonic(), trainer.global_step
        if pl_module.idle_since:
            self.busy += now - pl_module.idle_since
        if step % self.every or not trainer.is_global_zero:
            return
        figures = memory(pl_module.device) | self._utilisation(pl_module.device)
        if self.begun:
            figures["health/data_wait"] = share = self.waited / max(self.busy, 1e-9)
            left = (self.run.max_steps - step) * (now - self.begun) / (step - self.first)
            figures["health/hours_left"] = left / 3600
            if share > self.waiting and not self.told:
                self._tell(step, share)
        else:
            self.first, self.begun = step, now
        for logger in trainer.loggers:
            logger.log_metrics(figures, step)
        self.waited = self.busy = 0.0

    def _check_disk(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Hold what the run will write against what is free.

        Raises:
            InputError: there is too little; the message names the folder, both numbers and the cure.
        """
        assert isinstance(module, CodecTraining)
        saving = next((each for each in trainer.callbacks if isinstance(each, Saving)), None)  # type: ignore[attr-defined]
        one = checkpoint_bytes(module, trainer.optimizers)
        kept = saving.keep + bool(saving.key) + 1 if saving else 0  # one more while the newest is being written
        there = sum(path.stat().st_size for path in saved(self.run.folder).values())  # their place will be taken
        need = kept * one + 2 * _bytes(module.codec.state_dict()) - there + self.spare * GIB
        free = shutil.disk_usage(self.run.folder).free
        if need > free:
            raise InputError(
                f"{self.run.folder}: the run needs {need / GIB:.2f} GiB of disk, and {free / GIB:.2f} GiB are free: "
                f"{kept} checkpoints of {one / GIB:.2f} GiB, and {self.spare:g} GiB for the rest. Free some space, "
                "choose another run_root, or lower callback.saving.keep or callback.health.spare."
            )

    def _utilisation(self, device: torch.device) -> dict[str, float]:
        if not self.metered:
            return {}
        try:
            return {"health/gpu_utilisation": torch.cuda.utilization(device) / 100}
        except Exception as error:  # whatever the driver's library says of itself
            self.metered = False
            told = f"GPU utilisation is not recorded: {error}"
            self.run.console.print(told, highlight=False, markup=False, soft_wrap=True)
            return {}

    def _tell(self, step: int, share: float) -> None:
        self.told = True
        workers, cores = self.run.data.workers, default_workers()
        more = f"loader.workers={min(max(2 * workers, 2), cores)}" if workers < cores else "more cores"
        self.run.console.print(
            f"step {step}: {share:.0%} of the time goes into waiting for data, with loader.workers={workers} on "
            f"{cores} cores. What helps: {more}; recordings on a local disk, decoded once by `telucodec data prepare`.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def checkpoint_bytes(module: CodecTraining, optimizers: Sequence[Optimizer]) -> int:
    """The size of a checkpoint: all tensors of a module, and what optimizers keep for them.

    An optimizer that has not moved yet keeps nothing; it is taken to be Adam, with two numbers for each weight.
    """
    moments = 0
    for optimizer in optimizers:
        weights = sum(2 * p.numel() * p.element_size() for group in optimizer.param_groups for p in group["params"])
        moments += max(weights, sum(_bytes(state) for state in optimizer.state.values()))
    return _bytes(module.state_dict()) + moments


def memory(device: torch.device) -> dict[str, float]:
    """GiB that this process has in memory, and on its GPU: now, and at most so far."""
    figures = {"health/memory_gib": resident() / GIB}
    if device.type == "cuda":
        figures["health/gpu_memory_gib"] = torch.cuda.memory_allocated(device) / GIB
        figures["health/gpu_memory_peak_gib"] = torch.cuda.max_memory_allocated(device) / GIB
    return figures


def resident() -> int:
    """Bytes that this process has in memory; where the system does not tell, the most that it had."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _bytes(state: Mapping[str, Any]) -> int:
    return sum(each.numel() * each.element_size() for each in state.values() if isinstance(each, torch.Tensor))
