"""What a person sees while a run trains."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from telucodec.training.context import Run
from telucodec.training.verdict import label_at

SHOWN = (
    ("val/snr", "SNR {:.2f} dB"),
    ("val/rms_ratio", "RMS ratio {:.3f}"),
    ("val/rho", "rho {:.3f}"),
    ("val/mel_distance", "mel {:.3f}"),
    ("codebook/perplexity_min", "perplexity {:.0f}"),
)


class LiveProgress(Callback):
    """A bar with an estimate and the newest validation; where no terminal listens, one line a validation.

    Args:
        run: what the callbacks share.
    """

    def __init__(self, *, run: Run) -> None:
        self.console, self.record, self.max_steps = run.console, run.record, run.max_steps
        self.said = -1
        self.bar = Progress(
            TextColumn("training"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False, compact=True),
            TextColumn("{task.fields[figures]}"),
            console=run.console,
            refresh_per_second=2,
            disable=not run.console.is_terminal,
        )

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.task = self.bar.add_task("", total=self.max_steps, completed=trainer.global_step, figures="")
        self.bar.start()
        self._show(trainer.global_step)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._show(trainer.global_step)

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        self.bar.stop()  # or the cursor stays hidden

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        self.bar.stop()

    def _show(self, step: int) -> None:
        figures = ", ".join(text.format(self.record.latest[k]) for k, text in SHOWN if k in self.record.latest)
        self.bar.update(self.task, completed=step, figures=figures)
        if self.record.row_at("val/snr", step).get("step") == step != self.said:
            self.said = step
            told = ", ".join(part for part in (figures, label_at(self.record.rows, step)) if part)
            self.console.print(f"step {step:>6} of {self.max_steps}: {told}", highlight=False, soft_wrap=True)
