"""Ctrl-C and SIGTERM ask for a stop; it happens between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback


class Stop(Callback):
    """The handler only sets a flag: saving inside a handler can hang. A second signal stops at once, unsaved."""

    def __init__(self) -> None:
        self.asked = False  # a signal came
        self.stopping = False  # this step is the last one, and is to be saved

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While it lasts, signals ask for a stop; then the handlers are as they were."""
        before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        signal.signal(signal.SIGTERM, self._ask)  # Lightning has put its own there

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.heed(trainer)

    def heed(self, trainer: lightning.Trainer) -> bool:
        """Make this step the last one if a signal came; returns whether it is."""
        if self.asked:
            self.stopping = trainer.should_stop = True
        return self.stopping

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
