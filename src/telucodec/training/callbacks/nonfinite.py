"""What becomes of a run when a step is not finite: three answers, of which a run has one.

A step is looked at when it is over, in all processes together, before anything is logged, measured or saved of it: all
have made it to its end, so that none waits for another, and Lightning has counted it as any other. Whoever goes on puts
back what the step has moved.
"""

from typing import Any, ClassVar

import lightning
from lightning.pytorch.callbacks import Callback

from telucodec import ranks
from telucodec.errors import DivergedError, at_least
from telucodec.records import Batch
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining
from telucodec.training.nonfinite import Finding, finite, look
from telucodec.training.snapshot import Snapshot

PATIENCE = 32  # halvings take the loss scale of 16-mixed from 2**16 to 2**-16: then it is not the scale


class Raise(Callback):
    """A loss, a gradient or a tensor that is not finite ends the run, which says where it was, and in which files.

    Each step costs one wait for the device, and between processes one flag.

    Args:
        run: what the callbacks share.

    Raises:
        DivergedError: a step was not finite.
    """

    def __init__(self, *, run: Run) -> None:
        self.run = run
        self.scaled = 0  # steps in a row whose gradients 16-mixed has thrown away, as it does to find its loss scale

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        if self._finite(trainer, pl_module):
            self.passed()
        else:
            self.answer(trainer, pl_module, batch)

    def passed(self) -> None:
        """Called after a step that was finite."""

    def answer(self, trainer: lightning.Trainer, module: CodecTraining, batch: Batch) -> None:
        """Called after a step that was not, in all processes."""
        finding = look(module, batch)
        self._tell(trainer.global_step, finding, "ended the run")
        raise self._diverged(trainer.global_step, finding)

    def _finite(self, trainer: lightning.Trainer, module: CodecTraining) -> bool:
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if not ranks.anywhere(not finite(module, norms=True)):
            self.scaled = 0
            return True
        self.scaled += 1
        spared = scaler is not None and self.scaled <= PATIENCE
        return spared and not ranks.anywhere(not finite(module, norms=False))

    def _tell(self, step: int, finding: Finding, what: str) -> None:
        self.run.record.tell({"step": step, "what": what} | finding.row())

    def _diverged(self, step: int, finding: Finding) -> DivergedError:
        cure = "Lower optimizer.lr or the weight of a loss; trainer.precision=32-true has the widest range"
        if "target" in finding.tensors:
            cure = "The audio itself is not: look at these files, and at level"
        return DivergedError(
            f"step {step}: {finding}. The run diverged. {cure}; nonfinite=skip leaves such steps out, also in a "
            "run that is resumed. What was saved before is kept."
        )


class Skip(Raise):
    """A step that is not finite is left out: all that it moved is put back, bit for bit, and the next one comes.

    The step counts: schedules, data and checkpoints go on as if it had been made, and random numbers stay drawn. Each
    step costs a copy of what training moves (`Snapshot`), in time and in memory.

    Args:
        limit: steps in a row that may be left out, >= 1; one more ends the run.
        run: what the callbacks share.

    Raises:
        DivergedError: too many steps in a row were not finite.
    """

    counted: ClassVar[str] = "train/skipped"  # key of the log

    def __init__(self, *, limit: int, run: Run) -> None:
        super().__init__(run=run)
        at_least(1, limit=limit)
        self.limit, self.count, self.streak = limit, 0, 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, CodecTraining)
        self.snapshot = Snapshot(pl_module, trainer.optimizers)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        self.clipping = {name: player.counters() for name, player in pl_module.players.items()}
        self.before_step()

    def before_step(self) -> None:
        """Called before each step."""
        self.snapshot.take()

    def passed(self) -> None:
        self.streak = 0

    def answer(self, trainer: lightning.Trainer, module: CodecTraining, batch: Batch) -> None:
        if self.streak == self.limit:
            super().answer(trainer, module, batch)
        finding, step = look(module, batch), trainer.global_step
        self.streak, self.count = self.streak + 1, self.count + 1
        self.snapshot.restore()
        module.figures = {}
        for name, counters in self.clipping.items():
            module.players[name].count_on(*counters)
        self._tell(step, finding, self.done())
        self.run.console.print(f"step {step}: {self.done()}: {finding}", markup=False, highlight=False, soft_wrap=True)
        for logger in trainer.loggers:
            logger.log_metrics({self.counted: self.count}, step)

    def done(self) -> str:
        """What has become of the step."""
        return "left out"

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on counting from."""
        return {"count": self.count, "streak": self.streak}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.count, self.streak = state_dict["count"], state_dict["streak"]


class Rollback(Skip):
    """A step that is not finite sends the run back to the newest checkpoint: its weights, codebooks and averages.

    The checkpoint is copied in memory when it is written; before the first, what the run began with takes its place,
    and after a resume, what it was resumed from. The clock goes on, and with it schedules, data and random numbers:
    the steps since the checkpoint count, what they taught is lost, and their batches do not come again, or the same
    one would spoil the same weights. A copy costs memory as in `Skip`, and time with each checkpoint alone.

    Args:
        limit: how often a run may go back to one checkpoint, >= 1; once more ends the run.
        run: what the callbacks share.

    Raises:
        DivergedError: a step was not finite once too often.
    """

    counted = "train/rolled_back"

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.streak, self.since = 0, trainer.global_step
        self.moved = False  # whether a finite step was made since the last rollback

    def before_step(self) -> None:
        """Nothing: a checkpoint is what it goes back to."""

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.snapshot.take()
        if self.moved:  # what was just gone back to is the same checkpoint, whatever number it is saved under
            self.streak, self.since = 0, trainer.global_step

    def passed(self) -> None:
        self.moved = True  # only a new checkpoint makes up for it

    def answer(self, trainer: lightning.Trainer, module: CodecTraining, batch: Batch) -> None:
        super().answer(trainer, module, batch)
        self.moved = False

    def done(self) -> str:
        return f"rolled back to step {self.since}"
