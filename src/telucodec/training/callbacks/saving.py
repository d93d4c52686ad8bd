"""When checkpoints are written, and how many are kept."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from telucodec.errors import DivergedError, at_least
from telucodec.models.stored import save_codec
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining


class Saving(Callback):
    """Writes checkpoints/step-N.ckpt and codec.safetensors every `every` steps, after the last, and before a stop.

    Args:
        every: steps between checkpoints, >= 1.
        keep: the newest so many are kept, >= 1.
        run: what the callbacks share.
    """

    def __init__(self, *, every: int, keep: int, run: Run) -> None:
        at_least(1, every=every, keep=keep)
        self.every, self.keep, self.folder, self.stop = every, keep, run.folder, run.stop

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        step = trainer.global_step
        if step % self.every and step != trainer.max_steps and not self.stop.stopping:
            return
        if not all(bool(p.isfinite().all()) for p in pl_module.codec.parameters()):
            raise DivergedError(
                f"{self.folder}: the codec's weights are not finite any more at step {step}: the run diverged. Lower "
                "optimizer.lr or the weight of a loss. What was saved before is kept."
            )
        trainer.save_checkpoint(self.folder / "checkpoints" / f"step-{step:09d}.ckpt")
        save_codec(pl_module.evaluated(), self.folder)
        for old in sorted((self.folder / "checkpoints").glob("step-*.ckpt"))[: -self.keep]:
            old.unlink()
