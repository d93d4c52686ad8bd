"""Figures of single steps, on their way to the loggers."""

import time
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from telucodec import ranks
from telucodec.errors import at_least
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining


class Logging(Callback):
    """Logs what the training step noted, every `every` steps: of several processes, the mean.

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

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        step = trainer.global_step
        figures = self._noted(pl_module) if step % self.every == 0 else {}  # waits for the device, so it comes first
        self.busy, self.since = self.busy + time.monotonic() - (pl_module.idle_since or self.mark), self.since + 1
        if step % self.every:
            return
        figures |= pl_module.learning_rates()
        figures["train/output_scale"] = pl_module.codec.output.output_scale
        figures["train/audio_seconds_per_second"] = self.since * self.data.seconds_per_step / max(self.busy, 1e-9)
        figures["train/audio_hours"] = step * self.data.seconds_per_step / 3600
        figures["train/epoch"] = step / self.data.steps_per_epoch
        figures["train/steps_per_epoch"] = self.data.steps_per_epoch
        for logger in trainer.loggers:
            logger.log_metrics(figures, step)
        self.busy, self.since = 0.0, 0

    def _noted(self, module: CodecTraining) -> dict[str, float]:
        """Losses, norms and clipping; of a step that was left out, none."""
        noted = module.figures | module.clipping()
        if not noted:
            return {}
        values = ranks.mean(torch.stack([value.float().reshape(()) for value in noted.values()]))
        return dict(zip(noted, values.tolist(), strict=True))
