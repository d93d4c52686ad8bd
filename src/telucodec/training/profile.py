"""Where the time of a training step goes, cut from outside: what is not profiled runs as it is written."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any

import torch
from lightning.pytorch.profilers import Profiler
from torch.profiler import record_function

from telucodec.training.module import CodecTraining

DATA, CODEC, ADVERSARY, COMBINE, BACKWARD = "data", "codec", "adversary", "combine", "backward"
CODEBOOKS, CALLBACKS, OTHER = "codebooks", "callbacks", "other"
LISTENING = ("on_train_batch_start", "on_train_batch_end")  # when callbacks do what takes time


@dataclass
class Spent:
    """Seconds of one part of the steps."""

    seconds: float = 0.0  # of a clock on the wall
    cpu_seconds: float = 0.0  # of the processor, in all threads of this process
    device_seconds: float = 0.0  # of the GPU's stream, from its first piece of work to the next part's; 0 on a CPU

    def add(self, other: "Spent") -> None:
        """Count what another was spent on, too."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


class Split:
    """Cuts a stretch of time into parts: each moment counts for the innermost part that is open, or for "other".

    So the parts add up to the whole by construction. Each part is a range of this name in a trace, too.

    Args:
        device: where it computes. A GPU's time is taken by events on its stream; nothing waits for them before the
            end.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.open: list[tuple[str, Any]] = []  # parts that are open, each with its range
        self.pieces: list[tuple[str, float, float, Any]] = []  # of which part, and when it ended
        self.at_work = False

    def begin(self) -> None:
        """From now on time is counted."""
        self.at_work = True
        self._cut()

    def end(self) -> dict[str, Spent]:
        """No more is; gives the seconds of each part that was ever open."""
        while self.open:
            self.leave()
        self._cut()
        self.at_work = False
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        found: dict[str, Spent] = {}
        for before, (part, wall, cpu, event) in zip(self.pieces, self.pieces[1:], strict=False):
            on_device = before[3].elapsed_time(event) / 1000 if event else 0.0
            found.setdefault(part, Spent()).add(Spent(wall - before[1], cpu - before[2], on_device))
        return found

    def enter(self, part: str) -> None:
        """Open a part inside of those that are open."""
        if self.at_work:
            self._cut()
            self.open.append((part, record_function(part)))
            self.open[-1][1].__enter__()

    def leave(self) -> None:
        """Close the innermost part."""
        if self.at_work:
            self.open[-1][1].__exit__(None, None, None)
            self._cut()
            self.open.pop()

    def inside(self, part: str) -> bool:
        """Whether a part is open."""
        return any(name == part for name, _ in self.open)

    def _cut(self) -> None:
        event = None
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(self.device))
        part = self.open[-1][0] if self.open else OTHER
        self.pieces.append((part, time.perf_counter(), time.process_time(), event))


class Actions(Profiler):
    """What Lightning does around the step, as parts: it waits for data, moves them, and calls callbacks.

    Args:
        split: to count it in.
    """

    def __init__(self, split: Split) -> None:
        super().__init__()
        self.split = split

    def start(self, action_name: str) -> None:
        if part := _part_of(action_name):
            self.split.enter(part)

    def stop(self, action_name: str) -> None:
        if _part_of(action_name):
            self.split.leave()


def _part_of(action: str) -> str | None:
    """What an action of Lightning counts for.

    >>> _part_of("[_TrainingEpochLoop].train_dataloader_next"), _part_of("[Callback]Logging.on_train_batch_end")
    ('data', 'callbacks')
    """
    if action.endswith((".train_dataloader_next", ".batch_to_device")):
        return DATA
    return CALLBACKS if action.startswith("[Callback]") and action.endswith(LISTENING) else None


@contextmanager
def watched(module: CodecTraining, split: Split) -> Iterator[None]:
    """While it lasts, what a step calls is counted as parts."""

    def backward(*_: Any) -> str:  # the adversary's step is one part
        return ADVERSARY if split.inside(ADVERSARY) else BACKWARD

    with ExitStack() as held:
        for owner, name, part in (
            (module, "reconstruct", lambda *_: CODEC),
            (module, "_play_adversary", lambda *_: ADVERSARY),
            (module, "_descend", backward),
            (module, "_move", lambda name: f"optimizer/{name}"),
            (module.terms, "_value", lambda name, _: f"loss/{name}"),
            (module.combine, "forward", lambda *_: COMBINE),
            (module.codec.quantizer, "update", lambda *_: CODEBOOKS),
        ):
            setattr(owner, name, _counted(getattr(owner, name), part, split))  # covers the method of the class
            held.callback(delattr, owner, name)
        yield


def _counted(call: Callable[..., Any], part: Callable[..., str], split: Split) -> Callable[..., Any]:
    @wraps(call)
    def counted(*arguments: Any) -> Any:
        split.enter(part(*arguments))
        try:
            return call(*arguments)
        finally:
            split.leave()

    return counted


def parts_of(module: CodecTraining) -> list[str]:
    """Every part that a step of this module may have, in the order of a step."""
    sides = [f"optimizer/{name}" for name in module.players]
    losses = [f"loss/{name}" for name in module.terms.terms]
    return [DATA, CODEC, ADVERSARY, *losses, COMBINE, BACKWARD, *sides, CODEBOOKS, CALLBACKS, OTHER]
