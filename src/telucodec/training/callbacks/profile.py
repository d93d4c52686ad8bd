"""A trace of some steps, and where their time goes."""

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.markup import escape
from rich.table import Table
from torch.profiler import ProfilerActivity, profile, schedule

from telucodec import ranks
from telucodec.disk import replacing, write_text
from telucodec.errors import InputError, at_least
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining
from telucodec.training.profile import OTHER, Actions, Spent, Split, parts_of, watched

WARM = 5  # steps before: kernels are chosen in the first one, the next three are timed, the last wakes up the profiler
SPLIT, TRACE = "split.json", "trace.pt.trace.json"  # the end of the name is what TensorBoard's plugin looks for


class Profile(Callback):
    """Profiles some steps after the first few, and writes a trace and the split of their time into profile/.

    A step goes from the end of the one before to its own end, what callbacks do after it included. The numbers of the
    run are the same as without. Of several processes the first one is profiled. A run that goes on is not profiled
    where it was before, or has too few steps left, which is said.

    Args:
        steps: how many, >= 1. A trace holds each kernel of each of them.
        run: what the callbacks share.

    Raises:
        InputError: a run that begins has not that many steps.
    """

    def __init__(self, *, steps: int, run: Run) -> None:
        at_least(1, steps=steps)
        self.steps, self.run, self.begun = steps, run, run.record.start + WARM
        left, done = run.max_steps - run.record.start, run.folder / "profile" / SPLIT
        short = (
            f"{steps} steps are to be profiled after {WARM} that warm up, but this run has {left} to make "
            f"(max_steps={run.max_steps})"
        )
        if done.exists():
            self._leave_out(f"this run was profiled before; remove {done} to have it done again")
        elif WARM + steps > left and run.record.start:  # preempted: what it was given at its beginning was right then
            self._leave_out(short)
        elif WARM + steps > left:
            raise InputError(f"trainer.profile: {short}. Lower trainer.profile, or raise max_steps.")
        self.mark, self.usual = 0.0, 0.0  # seconds a step while nothing was profiled yet
        self.held = ExitStack()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, CodecTraining)
        step = trainer.global_step - self.begun
        if ranks.own() or not self.steps or not 1 - WARM <= step <= self.steps:
            return
        if step == 1 - WARM:
            self.mark = time.perf_counter()
        elif step == -1:
            self.usual = (time.perf_counter() - self.mark) / (WARM - 2)
            self._wake(pl_module)
        elif step == 0:
            self.profiler.step()
            self._begin(trainer, pl_module)
        elif 0 < step < self.steps:
            self.profiler.step()
        elif step == self.steps:
            self._end(pl_module)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.held.close()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self.held.close()

    def _leave_out(self, why: str) -> None:
        self.steps = 0
        self.run.console.print(f"trainer.profile: left out: {why}.", highlight=False, markup=False, soft_wrap=True)

    def _wake(self, module: CodecTraining) -> None:
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (module.device.type == "cuda")
        plan = schedule(wait=0, warmup=1, active=self.steps, repeat=1)
        self.profiler = profile(activities=activities, schedule=plan, acc_events=True)
        self.profiler.start()
        self.held.callback(self.profiler.stop)

    def _begin(self, trainer: lightning.Trainer, module: CodecTraining) -> None:
        self.split = Split(module.device)
        self.held.enter_context(watched(module, self.split))
        usual, watching = trainer.profiler, Actions(self.split)  # type: ignore[attr-defined]
        self.held.callback(setattr, trainer, "profiler", usual)
        trainer.profiler = watching  # type: ignore[attr-defined]
        self.split.begin()

    def _end(self, module: CodecTraining) -> None:
        found = self.split.end()
        self.held.close()
        rows = {name: row(found, name, self.steps) for name in parts_of(module)}
        whole = {key: sum(each[key] for each in rows.values()) for key in rows[OTHER]}
        told = {"first": self.begun + 1, "steps": self.steps, "device": module.device.type, "usual_seconds": self.usual}
        folder = self.run.folder / "profile"
        with replacing(folder / TRACE) as partial:
            self.profiler.export_chrome_trace(str(partial))
        write_text(folder / SPLIT, json.dumps(told | {"whole": whole, "parts": rows}, indent=2) + "\n")  # all is there
        self._show({"whole step": whole} | rows)

    def _show(self, rows: Mapping[str, Mapping[str, float]]) -> None:
        on_device = rows["whole step"]["device_seconds"] > 0
        title = f"steps {self.begun + 1} to {self.begun + self.steps}, milliseconds a step"
        table = Table("part", "share", "wall", "CPU", *(["device"] if on_device else []), title=title)
        for name, each in rows.items():
            spent = [each["seconds"], each["cpu_seconds"], each["device_seconds"]][: 2 + on_device]
            absent = not each["seconds"]
            told = ["-"] * (1 + len(spent)) if absent else [f"{each['share']:.1%}", *(f"{1e3 * s:.2f}" for s in spent)]
            table.add_row(escape(name), *told)
        self.run.console.print(table)
        slower = rows["whole step"]["seconds"] / max(self.usual, 1e-9)
        self.run.console.print(
            f"These steps took {slower:.2f} times as long as the three before: profiling takes time, and so does a "
            "validation in one of them. What is a - did not happen, such as a loss that starts later. "
            f"The trace: {self.run.folder / 'profile' / TRACE}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def row(found: Mapping[str, Spent], name: str, steps: int) -> dict[str, float]:
    """What one part takes of a step, in seconds, and its share: of the device's time where there is one.

    >>> row({"codec": Spent(3.0, 2.0), "other": Spent(1.0, 1.0)}, "codec", 2)
    {'share': 0.75, 'seconds': 1.5, 'cpu_seconds': 1.0, 'device_seconds': 0.0}
    """
    own, whole = found.get(name, Spent()), Spent()
    for each in found.values():
        whole.add(each)
    share = own.device_seconds / whole.device_seconds if whole.device_seconds else own.seconds / whole.seconds
    return {"share": share} | {key: value / steps for key, value in asdict(own).items()}
