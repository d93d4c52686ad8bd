"""What Lightning's Trainer is told."""

from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from telucodec.errors import at_least
from telucodec.training.checkpoint import AtomicIO


class Device:
    """Where and in which precision a run computes.

    Args:
        accelerator: auto takes a GPU where there is one.
        precision: of networks and losses; quantizer, spectra and evaluation are always float32.
        threads: of torch on the CPU, >= 1.
        tf32: whether matrix products on a GPU may round to 10 bits of mantissa.
    """

    def __init__(
        self,
        *,
        accelerator: Literal["auto", "cpu", "gpu"],
        precision: Literal["32-true", "bf16-mixed", "16-mixed"],
        threads: int,
        tf32: bool,
    ) -> None:
        at_least(1, threads=threads)
        if accelerator == "gpu" and not torch.cuda.is_available():
            raise ValueError("accelerator is gpu, but no CUDA device is visible: use trainer=cpu or trainer=auto")
        found = "gpu" if torch.cuda.is_available() else "cpu"
        self.accelerator = found if accelerator == "auto" else accelerator
        if precision == "16-mixed" and self.accelerator == "cpu":
            raise ValueError("precision 16-mixed needs a GPU: use 32-true or bf16-mixed on a CPU")
        self.precision, self.threads, self.tf32 = precision, threads, tf32

    def trainer(
        self, callbacks: list[Callback], loggers: list[Logger], max_steps: int, folder: str
    ) -> lightning.Trainer:
        """A Trainer that counts generator updates and leaves progress, validation and checkpoints to `callbacks`."""
        torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision("high" if self.tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = self.tf32
        precision: Any = self.precision
        return lightning.Trainer(
            accelerator=self.accelerator,
            devices=1,
            precision=precision,
            max_steps=max_steps,
            max_epochs=-1,
            callbacks=callbacks,
            logger=loggers,
            plugins=[AtomicIO()],
            limit_val_batches=0,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )

    def describe(self) -> str:
        """Name of the hardware."""
        if self.accelerator == "gpu":
            return torch.cuda.get_device_name()
        return f"{_cpu_name()}, {self.threads} thread{'s' if self.threads > 1 else ''}"


def _cpu_name() -> str:
    import platform

    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
