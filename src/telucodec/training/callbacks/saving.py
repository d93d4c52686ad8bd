"""When checkpoints are written, and which are kept."""

import math
from collections.abc import Collection
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from telucodec import ranks
from telucodec.errors import DivergedError, InputError, at_least
from telucodec.models.codec import Codec
from telucodec.models.stored import save_codec
from telucodec.quantization.codebook import Codebook
from telucodec.quantization.ranks import OwnRank
from telucodec.training.callbacks.validation import Validation
from telucodec.training.checkpoint import AtomicIO, saved
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining

BETTER = {"highest": 1.0, "lowest": -1.0}


class Saving(Callback):
    """Writes checkpoints/step-N.ckpt and codec.safetensors every `every` steps, after the last, and before a stop.

    With `best` also after a validation that is better than those of all checkpoints; such a checkpoint is kept until
    there is a better one. A resume takes the newest all the same.

    Args:
        every: steps between checkpoints, >= 1.
        keep: the newest so many are kept, >= 1.
        best: "highest KEY" or "lowest KEY" of a figure that validation logs; null keeps the newest alone.
        run: what the callbacks share.
    """

    def __init__(self, *, every: int, keep: int, best: str | None, run: Run) -> None:
        at_least(1, every=every, keep=keep)
        word, _, self.key = (best or "highest").partition(" ")
        if word not in BETTER or bool(best) != bool(self.key):
            raise ValueError(f'best must be null, "highest KEY" or "lowest KEY", like "highest val/snr"; got {best!r}')
        self.every, self.keep, self.sign, self.run = every, keep, BETTER[word], run

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        before, now = len(checkpoint["telucodec"]["random"]), ranks.count()
        if before != now and trainer.is_global_zero:
            told = f"{before} processes made this checkpoint, {now} go on: random numbers continue as the first one's."
            self.run.console.print(told, highlight=False)
        books = [module for module in pl_module.codec.modules() if isinstance(module, Codebook)]
        if before > 1 and any(type(book.ranks) is OwnRank for book in books):
            told = "ranks=own: a checkpoint holds the first process's codebooks; all go on from them."
            self.run.console.print(told, highlight=False)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self.key and not self.run.stop.stopping and not ranks.from_first(self.run.record.history(self.key)):
            raise InputError(
                f"callback.saving.best: no validation has logged {self.key!r}. Choose one of the val/ keys in "
                "metrics.jsonl, and name validation before saving in the list of callbacks."
            )

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        step = trainer.global_step
        due = step % self.every == 0 or step == trainer.max_steps or self.run.stop.stopping
        validated = self.key and any(  # what all processes know; the rows are with the first
            isinstance(each, Validation) and step % each.every == 0
            for each in trainer.callbacks  # type: ignore[attr-defined]
        )
        if not (due or (validated and ranks.by_first(lambda: self._leads(step)))):
            return
        if not all(bool(p.isfinite().all()) for p in pl_module.codec.parameters()):
            raise DivergedError(
                f"{self.run.folder}: the codec's weights are not finite any more at step {step}: the run diverged. "
                "Lower optimizer.lr or the weight of a loss. What was saved before is kept."
            )
        ranks.by_first(self.run.record.flush)
        codec = pl_module.evaluated()  # first: it takes over what is no parameter, and the checkpoint holds it
        trainer.save_checkpoint(self.run.folder / "checkpoints" / f"step-{step:09d}.ckpt")
        checkpoint_io = trainer.strategy.checkpoint_io
        assert isinstance(checkpoint_io, AtomicIO)
        checkpoint_io.check()
        ranks.by_first(lambda: self._follow_up(codec, step))

    def _follow_up(self, codec: Codec, step: int) -> None:
        """Write the codec alone, then remove what need not be kept of the checkpoints up to a step.

        Newer ones are damaged, or the run would have gone on from them: they stay to be looked at.
        """
        save_codec(codec, self.run.folder)
        here = {number: path for number, path in saved(self.run.folder).items() if number <= step}
        kept = {*sorted(here)[-self.keep :], self._best(here)}
        for number, path in here.items():
            if number not in kept:
                path.unlink()

    def _leads(self, step: int) -> bool:
        """Whether a step's validation is better than those of all checkpoints."""
        return self._best({*saved(self.run.folder), step}) == step

    def _best(self, steps: Collection[int]) -> int | None:
        """Of some steps, the first with the best validation; None where none has one."""
        values = {step: self.sign * value for step, value in self.run.record.history(self.key) if step in steps}
        finite = {step: value for step, value in values.items() if math.isfinite(value)}
        return max(finite, key=lambda step: finite[step]) if finite else None
