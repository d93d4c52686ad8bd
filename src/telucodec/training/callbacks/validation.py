"""Whole held-out utterances every so many steps."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from telucodec.errors import at_least
from telucodec.models.assess import Assessment, keyed
from telucodec.training.callbacks.gallery import Gallery
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining


class Validation(Callback):
    """Assesses the codec before the first step, every `every` steps and after the last, and shows some examples.

    A request to stop breaks a validation off; it is made up for after the resume.

    Args:
        every: steps between validations, >= 1.
        examples: the first so many utterances are drawn and can be heard.
        run: what the callbacks share.
    """

    def __init__(self, *, every: int, examples: int, run: Run) -> None:
        at_least(1, every=every)
        at_least(0, examples=examples)
        self.every, self.examples, self.run = every, examples, run
        self.utterances = run.data.utterances("valid")
        self.gallery = Gallery(run.folder, run.data.sample_rate, run.tensorboard)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.catch_up(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.catch_up(trainer, pl_module)

    def catch_up(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Assess the codec if it is due at this step and has not been done."""
        assert isinstance(module, CodecTraining)
        step = trainer.global_step
        due = step % self.every == 0 or step == trainer.max_steps
        if not due or self.run.record.row_at("val/snr", step).get("step") == step:
            return
        assessment, examples = Assessment(module.evaluated(), self.run.evaluator), []
        for index in range(len(self.utterances)):
            if self.run.stop.heed(trainer):
                return
            utterance = self.utterances[index]
            _, coded = assessment.hear(utterance)
            if index < self.examples:
                examples.append((utterance, coded))
        figures = keyed(assessment.summary(), "val")
        for logger in trainer.loggers:
            logger.log_metrics(figures, step)
        self.gallery.show(step, examples)
