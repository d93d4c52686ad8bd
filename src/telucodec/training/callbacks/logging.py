"""Figures of single steps, on their way to the loggers."""

import math
import time
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from telucodec.errors import DivergedError, at_least
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining


class Logging(Callback):
    """Logs what the training step noted, every `every` steps, and stops a run whose losses are not finite any more.

    Args:
        every: steps between rows, >= 1.
        run: what the callbacks share.
    """

    def __init__(self, *, every: int, run: Run) -> None:
        at_least(1, every=every)
        self.every, self.data = every, run.data
        self.busy, self.since, self.mark = 0.0, 0, 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.mark = time.monotonic()

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        pl_module.noting = (trainer.global_step + 1) % self.every == 0

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        step = trainer.global_step
        if pl_module.noting:
            noted = pl_module.figures | pl_module.clipping()
            names = list(noted)
            values = torch.stack([noted[n].float().reshape(()) for n in names]).tolist()
        self.busy, self.since = self.busy + time.monotonic() - (pl_module.idle_since or self.mark), self.since + 1
        if not pl_module.noting:
            return
        if wrong := [n for n, value in zip(names, values, strict=True) if not math.isfinite(value)]:
            raise DivergedError(
                f"{', '.join(wrong[:4])}: not finite at step {step}: the run diverged. Lower optimizer.lr or the "
                "weight of a loss; trainer.precision=32-true has the widest range. What was saved before is kept."
            )
        figures = dict(zip(names, values, strict=True)) | pl_module.learning_rates()
        figures["train/output_scale"] = pl_module.codec.output.output_scale
        figures["train/audio_seconds_per_second"] = self.since * self.data.seconds_per_step / max(self.busy, 1e-9)
        figures["train/audio_hours"] = step * self.data.seconds_per_step / 3600
        figures["train/epoch"] = step / self.data.steps_per_epoch
        figures["train/steps_per_epoch"] = self.data.steps_per_epoch
        for logger in trainer.loggers:
            logger.log_metrics(figures, step)
        self.busy, self.since = 0.0, 0
