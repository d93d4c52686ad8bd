"""Whole held-out utterances every so many steps, and questions to the codec."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from telucodec import ranks
from telucodec.diagnosis.probe import Probe, Subject
from telucodec.errors import at_least
from telucodec.models.assess import Assessment, keyed
from telucodec.precision import in_float32
from telucodec.records import Utterance
from telucodec.training.callbacks.gallery import Gallery
from telucodec.training.compiled import as_written
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining
from telucodec.training.verdict import tell

Example = tuple[int, Utterance, Tensor]  # place in the split, what was said, what the codec made of it [1, 1, T]


class Validation(Callback):
    """Assesses the codec before the first step, every `every` steps and after the last, and says why it is as it is.

    The processes of a run share the utterances out among them; the figures are those of all, as one would find them.
    The first asks the probes, on its own, and the others wait. A request to stop breaks a validation off, in all of
    them after the same round; it is made up for after the resume.

    Args:
        every: steps between validations, >= 1.
        examples: the first so many utterances can be heard.
        drawn: of these, the first so many are drawn too.
        probes: name -> question to the codec.
        crops: how many crops, of validation and of training utterances each, the probes ask with, >= 1.
        run: what the callbacks share.
    """

    def __init__(
        self, *, every: int, examples: int, drawn: int, probes: Mapping[str, Probe], crops: int, run: Run
    ) -> None:
        at_least(1, every=every, crops=crops)
        at_least(0, examples=examples, drawn=drawn)
        self.every, self.examples, self.probes, self.run = every, examples, dict(probes), run
        self.utterances, self.gallery = run.data.utterances("valid"), Gallery(run, drawn)
        self.held, self.trained = (run.data.crops(split, crops) for split in ("valid", "train"))

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
        if not due or ranks.from_first(self.run.record.row_at("val/snr", step).get("step") == step):
            return
        with as_written(module):
            self._assess(trainer, module)

    def _assess(self, trainer: lightning.Trainer, module: CodecTraining) -> None:
        assessment, examples = Assessment(module.evaluated(), self.run.evaluator), list[Example]()
        for index in ranks.turns(len(self.utterances)):
            if self.run.stop.heed(trainer):
                return
            if index is not None:
                utterance = self.utterances[index]
                _, coded = assessment.hear(utterance)
                examples += [(index, utterance, coded.audio)] if index < self.examples else []
        assessment.gather()
        examples = sorted((each for heard in ranks.gathered(examples) for each in heard), key=lambda each: each[0])
        if ranks.own() == 0:
            with ranks.apart():
                self._report(trainer, module, assessment, examples)
        self.run.stop.heed(trainer)  # so that this step is saved, and not the next one

    def _report(
        self, trainer: lightning.Trainer, module: CodecTraining, assessment: Assessment, examples: Sequence[Example]
    ) -> None:
        step = trainer.global_step
        figures = keyed(assessment.summary(), "val") | self._ask(module, step)
        for logger in trainer.loggers:
            logger.log_metrics(figures, step)
        self.run.record.keep(step, assessment.evaluation.rows)
        self.gallery.show(step, [(utterance, audio) for _, utterance, audio in examples])
        tell(self.run, step)

    def _ask(self, module: CodecTraining, step: int) -> dict[str, float]:
        """What the probes find; their pictures are shown."""
        held, trained = self.held.to(module.device), self.trained.to(module.device)
        subject = Subject(step, module.evaluated(), module.adversary, module.terms, module.combine, held, trained)
        figures: dict[str, float] = {}
        for probe in self.probes.values():
            with in_float32(module.device):
                found = probe(subject)
            figures |= found.figures
            for name, picture in found.pictures.items():
                self.run.show(f"why/{name}", picture, step, name)
        return figures
