"""Ctrl-C, SIGTERM and SIGUSR1 ask for a stop; it happens between two steps."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from telucodec import ranks

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # the last is what SLURM can be told to warn with
ECHO = 1.0  # seconds in which a further signal is the same one: a launcher repeats what its processes got as well


class Stop(Callback):
    """The handler only sets a flag: saving inside a handler can hang. A second signal stops at once, unsaved.

    Where several processes make a run, one that got a signal stops them all, after the same step.
    """

    def __init__(self) -> None:
        self.asked = False  # a signal came
        self.stopping = False  # this step is the last one, and is to be saved
        self.signal: int | None = None  # the first that came; once it is stopping, the same in all processes
        self.since = 0.0  # when it came, or was heard of
        self.afterwards: list[Callable[[], None]] = []  # called once it is written down that the run was stopped

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While it lasts, signals ask for a stop; then the handlers are as they were."""
        before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        try:
            yield
            if self.stopping:
                for act in self.afterwards:
                    act()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        # Lightning would put its own handlers in front of ours; they talk to other processes from wherever they are
        trainer._signal_connector.register_signal_handlers = _nothing  # type: ignore[method-assign]

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.heed(trainer)

    def heed(self, trainer: lightning.Trainer) -> bool:
        """Make this step the last one if a signal came to any process; returns whether it is.

        All of them must ask, at the same place: one that does something alone may look at `asked`, and ask with the
        others when it is back.
        """
        if not self.stopping and ranks.anywhere(self.asked):
            if not self.asked:
                self.since = time.monotonic()  # another process was: its signal may still come here, as an echo
            self.asked = self.stopping = trainer.should_stop = True
            self.signal = next((number for number in ranks.gathered(self.signal) if number is not None), None)
        return self.stopping

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked, self.signal, self.since = True, number, time.monotonic()
        elif time.monotonic() - self.since > ECHO:
            raise KeyboardInterrupt


def _nothing() -> None:
    """What Lightning may do about signals."""
