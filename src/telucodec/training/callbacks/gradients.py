"""Which loss pulls where, every so many steps."""

import time
from collections.abc import Sequence
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from telucodec import ranks
from telucodec.diagnosis.gradient_findings import GradientFindings, Site
from telucodec.diagnosis.gradient_picture import draw
from telucodec.diagnosis.gradients import TermGradients
from telucodec.diagnosis.probe import Subject
from telucodec.errors import InputError, at_least
from telucodec.training.compiled import as_written
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining


class Gradients(Callback):
    """Logs each term's gradient every `every` steps, after the update, and draws the newest.

    The terms are those of the step just made, on its first micro-batch, or those of all processes, with the codec as it
    is after it. What a probe cost is logged beside it: `gradient/seconds`, and all of them over the time since the
    start, `gradient/cost`.

    Args:
        every: steps between probes, >= 1.
        sites: where gradients are taken, see `TermGradients`.
        run: what the callbacks share.
    """

    def __init__(self, *, every: int, sites: Sequence[Site], run: Run) -> None:
        at_least(1, every=every)
        self.every, self.run, self.probe = every, run, TermGradients(sites=sites)
        self.began, self.spent = 0.0, 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.began = time.monotonic()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        step = trainer.global_step
        if step % self.every or not pl_module.figures:  # or the step was left out
            return
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()  # the step's own work is not the probe's
        start = time.monotonic()
        try:
            findings = self._measured(trainer, pl_module, batch.audio)
        except torch.cuda.OutOfMemoryError as error:
            told = (
                f"step {step}: no gradients per loss: those of all terms do not fit into the GPU's memory at once. "
                "Leave weights out of callback.gradients.sites."
            )
            if ranks.together():  # the others may be waiting in the middle of it
                raise InputError(told) from error
            torch.cuda.empty_cache()
            self.run.console.print(told, markup=False)
            return
        if ranks.own() == 0:
            self.run.show("why/gradients", draw(findings), step, "gradients")
        seconds = time.monotonic() - start
        self.spent += seconds
        cost = {"gradient/seconds": seconds, "gradient/cost": self.spent / (time.monotonic() - self.began)}
        for logger in trainer.loggers:
            logger.log_metrics(findings.figures() | cost, step)

    def _measured(self, trainer: lightning.Trainer, module: CodecTraining, audio: torch.Tensor) -> GradientFindings:
        part = audio.chunk(module.accumulate)[0]
        subject = Subject(module.index, module.codec, module.adversary, module.terms, module.combine, part, part)
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        with as_written(module), trainer.precision_plugin.train_step_context():
            return self.probe.measure(subject, len(part) / len(audio), 1.0 if scaler is None else scaler.get_scale())
