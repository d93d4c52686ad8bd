"""What Lightning's Trainer is told."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from telucodec import ranks
from telucodec.errors import InputError, at_least
from telucodec.training.checkpoint import AtomicIO
from telucodec.training.heap import keep_freed_memory
from telucodec.training.processes import Place, find_place
from telucodec.training.strategy import OURS, DataParallel, Joined, Single, refuse


@dataclass(kw_only=True)
class Device:
    """Where and in which precision a run computes.

    Args:
        accelerator: auto takes a GPU where there is one.
        devices: of each machine, >= 1; auto takes all GPUs that are visible. How many machines there are is up to
            torchrun or SLURM.
        strategy: how several of them work together.
        precision: of networks and losses; quantizer, spectra and evaluation are always float32.
        threads: of torch on the CPU, in each process, >= 1.
        tf32: whether matrix products on a GPU may round to 10 bits of mantissa.
        benchmark: whether cuDNN tries its algorithms and takes the fastest; which one that is may change from run to
            run, and with it the last bits.
        compile: whether torch compiles codec and discriminators for training. It takes minutes, and pays in long runs.
        profile: how many steps are profiled after the first few, >= 0; 0 profiles none. See docs/profile.md.
    """

    accelerator: Literal["auto", "cpu", "gpu"]
    devices: int | Literal["auto"]
    strategy: Single | DataParallel | str
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    threads: int
    tf32: bool
    benchmark: bool
    compile: bool
    profile: int

    def __post_init__(self) -> None:
        at_least(1, threads=self.threads)
        at_least(0, profile=self.profile)
        if isinstance(self.strategy, str):
            raise refuse(self.strategy)
        if self.accelerator == "gpu" and not torch.cuda.is_available():
            raise ValueError("accelerator is gpu, but no CUDA device is visible: use trainer=cpu or trainer=auto")
        if self.accelerator == "auto":
            self.accelerator = "gpu" if torch.cuda.is_available() else "cpu"
        if self.precision == "16-mixed" and self.accelerator == "cpu":
            raise ValueError("precision 16-mixed needs a GPU: use 32-true or bf16-mixed on a CPU")
        self._check_devices()

    @property
    def count(self) -> int:
        """How many devices of this machine are wanted, each for a process of its own."""
        return torch.cuda.device_count() if self.devices == "auto" else self.devices

    def _check_devices(self) -> None:
        if self.devices == "auto" and self.accelerator == "cpu":
            raise ValueError("devices auto counts GPUs: give the number of processes on a CPU")
        at_least(1, devices=self.count)
        if self.accelerator == "gpu" and self.count > torch.cuda.device_count():
            raise ValueError(f"devices {self.count}, but {torch.cuda.device_count()} are visible")
        if self.count > 1 and isinstance(self.strategy, Single):
            raise ValueError(f"devices {self.count} need a strategy that keeps them together. {OURS}")

    @contextmanager
    def joined(self) -> Iterator[None]:
        """While it lasts, this process knows the others that make the run; alone, nothing happens.

        Raises:
            InputError: processes and configuration do not fit together, or another process is gone.
        """
        place = find_place()
        if place is None:
            yield
            return
        self._check_place(place)
        assert isinstance(self.strategy, DataParallel)
        with self.strategy.connected(place, self.accelerator == "gpu"):
            yield

    def _check_place(self, place: Place) -> None:
        if isinstance(self.strategy, Single):
            raise InputError(f"trainer: {place.count} processes were started for one device. {OURS}.")
        if self.devices not in ("auto", place.local_count):
            raise InputError(
                f"trainer.devices: is {self.devices}, but {place.local_count} processes were started on this machine. "
                "Leave it to torchrun or SLURM: trainer.devices=auto on GPUs, or the same number."
            )
        if self.accelerator == "gpu" and torch.cuda.device_count() < place.local_count:
            raise InputError(
                f"trainer: {place.local_count} processes on this machine, but this one sees "
                f"{torch.cuda.device_count()} GPUs. With SLURM use --gpus-per-node, not --gpus-per-task."
            )

    def trainer(
        self, callbacks: list[Callback], loggers: list[Logger], max_steps: int, folder: str
    ) -> lightning.Trainer:
        """A Trainer that counts generator updates and leaves progress, validation and checkpoints to `callbacks`."""
        torch.set_num_threads(self.threads)
        if self.accelerator == "cpu":
            keep_freed_memory()
        os.environ.setdefault("OMP_NUM_THREADS", str(self.threads))  # or Lightning sets those of several processes
        torch.set_float32_matmul_precision("high" if self.tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = self.tf32
        torch.backends.cudnn.benchmark = self.benchmark
        precision: Any = self.precision
        return lightning.Trainer(
            accelerator=self.accelerator,
            precision=precision,
            max_steps=max_steps,
            max_epochs=-1,
            callbacks=callbacks,
            logger=loggers,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
            **self._company(),
        )

    def _company(self) -> dict[str, Any]:
        """What the Trainer is told of other processes. Of SLURM it never is: signals and requeueing are not its own."""
        place = find_place() if ranks.together() else None
        if place is None:
            if self.count > 1:
                raise InputError(f"trainer.devices: `telucodec train` or torchrun start {self.count} processes.")
            return {"devices": 1, "plugins": [AtomicIO(), LightningEnvironment()]}
        assert isinstance(self.strategy, DataParallel)
        os.environ.pop("PL_GLOBAL_SEED", None)  # or Lightning seeds anew: streams would not be those of one device
        plugins = [AtomicIO(), Joined(place)]
        strategy = self.strategy.lightning()
        return {"devices": place.local_count, "num_nodes": place.nodes, "strategy": strategy, "plugins": plugins}

    def describe(self) -> str:
        """Name of the hardware."""
        if self.accelerator == "gpu":
            one = torch.cuda.get_device_name()
        else:
            one = f"{_cpu_name()}, {self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{ranks.count()} x {one}" if ranks.together() else one


def _cpu_name() -> str:
    import platform

    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
