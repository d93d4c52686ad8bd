"""Audio files that break while a run is at work."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from telucodec import ranks
from telucodec.data.segments import TRIES
from telucodec.errors import InputError, at_least, inside
from telucodec.records import Broken
from telucodec.training.context import Run


class BrokenFiles(Callback):
    """Names and counts crops that could not be read, and ends a run that has too many of them.

    Another crop stands in for each (`Segments`), so no process leaves a step alone; all of them count those of all,
    and end together. A place for which `TRIES` crops in a row could not be read is silent, and ends the run at once
    whatever the rate: a disk is probably gone.

    Args:
        rate: share of all crops that may be broken, in [0, 1).
        grace: so many may be broken whatever the rate, >= 0.
        run: what the callbacks share.

    Raises:
        InputError: there are too many.
    """

    def __init__(self, *, rate: float, grace: int, run: Run) -> None:
        inside(0, 1, rate=rate)
        at_least(0, grace=grace)
        self.rate, self.grace, self.run = rate, grace, run
        self.count, self.named = 0, set[str]()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not ranks.anywhere(bool(batch.broken)):
            return
        own: list[list[Broken]] = ranks.gathered(list(batch.broken))
        broken, step = [each for one in own for each in one], trainer.global_step
        self.count += len(broken)
        for each in broken:
            if each.file not in self.named:
                self.named.add(each.file)
                told = {"step": step, "what": "another crop in its place", "file": each.file, "why": each.why}
                self.run.record.tell(told)
                text = f"step {step}: another crop in its place: {each.why}"
                self.run.console.print(text, markup=False, highlight=False, soft_wrap=True)
        for logger in trainer.loggers:
            logger.log_metrics({"data/broken": self.count}, step)
        crops = step * self.run.data.batch_size
        if silent := [each for each in broken if each.silent]:
            raise InputError(
                f"{TRIES} training crops in a row could not be read for one place in step {step}: a disk is probably "
                f"gone. The last: {silent[-1].why} What was saved before is kept: put the files back, and resume."
            )
        if self.count > max(self.grace, self.rate * crops):
            raise InputError(
                f"{self.count} of {crops} training crops could not be read by step {step}, more than "
                f"callback.broken.rate {self.rate:g} allows; {len(self.named)} files, the last: {broken[-1].why} "
                "What was saved before is kept: put the files back, or allow more, and resume."
            )

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on counting from."""
        return {"count": self.count, "named": sorted(self.named)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.count, self.named = state_dict["count"], set(state_dict["named"])
