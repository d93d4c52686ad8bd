"""Toy runs that are struck by a signal at a chosen moment, and what is compared of them.

As a script it is one process of a run: `python stopped_run.py PHASE SIGNAL OVERRIDE...`, SIGNAL 0 for none.
"""

import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from rich.console import Console

from conftest import config, voices
from telucodec import ranks
from telucodec.audio.files import write
from telucodec.build import build
from telucodec.models.assess import Assessment
from telucodec.training.callbacks.validation import Validation
from telucodec.training.checkpoint import newest_checkpoint, read_checkpoint
from telucodec.training.fit import Start, fit
from telucodec.training.module import CodecTraining

PHASES = ("training", "validation", "saving")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGKILL)
# everything that has a state: random draws, running averages, a schedule, counters that go on between two rows
LIVELY = (
    "callback=[logging,validation,restarts,saving]", "callback.logging.every=4", "callback.validation.every=3",
    "callback.validation.examples=0", "callback.restarts.every=2", "callback.restarts.after=[1]",
    "callback.saving.every=2", "quantizer_dropout=items", "average=ema", "combine=balancer", "schedule=cosine",
)  # fmt: skip
TIMES = ("seconds", "train/audio_seconds_per_second")  # of a row: no two runs agree on them


@contextmanager
def struck(phase: str, number: int) -> Iterator[None]:
    """While it lasts, this process gets a signal in step 3, in the validation after it, or in the save of step 4."""
    once = [number] if number else []

    def strike() -> None:
        if once:
            os.kill(os.getpid(), once.pop())

    places = {"training": _in_a_step, "validation": _in_a_validation, "saving": _in_a_save}
    with ExitStack() as stack:
        for place in places[phase](strike):
            stack.enter_context(place)
        yield


def _in_a_step(strike: Callable[[], None]) -> Iterator[Any]:
    step = CodecTraining.training_step

    def training_step(self: Any, batch: Any, index: int) -> None:
        if self.global_step == 2:
            strike()
        step(self, batch, index)

    yield patch.object(CodecTraining, "training_step", training_step)


def _in_a_validation(strike: Callable[[], None]) -> Iterator[Any]:
    catch_up, hear, now = Validation.catch_up, Assessment.hear, [0]

    def validating(self: Any, trainer: Any, module: Any) -> None:
        now[0] = trainer.global_step
        catch_up(self, trainer, module)

    def hearing(self: Any, utterance: Any) -> Any:
        if now[0] == 3:
            strike()
        return hear(self, utterance)

    yield patch.object(Validation, "catch_up", validating)
    yield patch.object(Assessment, "hear", hearing)


def _in_a_save(strike: Callable[[], None]) -> Iterator[Any]:
    save = torch.save

    def saving(content: Any, file: Any, **options: Any) -> None:
        if not isinstance(content, dict):  # what processes send to each other
            save(content, file, **options)
            return
        whole = io.BytesIO()
        save(content, whole)
        half = len(whole.getvalue()) // 2
        file.write(whole.getvalue()[:half])
        file.flush()
        if content["global_step"] == 4:
            strike()
        file.write(whole.getvalue()[half:])

    yield patch("torch.save", saving)


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Callable[..., dict[str, Any]]]]:
    """A folder for runs, and the configuration of a lively toy run, given more overrides."""
    home = tmp_path_factory.mktemp("lively")
    for number in range(12):
        audio = voices(number, 0.4 + 0.02 * number)
        write(home / "speech" / f"speaker_{number // 2}" / f"{number}.flac", audio, 16000)
    data = ["data=folder", f"data.root={home / 'speech'}", "data.speaker_from=parent"]
    data += ["data.valid_fraction=0.2", "data.test_fraction=0.2"]
    with pytest.MonkeyPatch.context() as change:
        change.setenv("TELUCODEC_CACHE", str(home / "cache"))
        change.setattr("telucodec.training.callbacks.validation.tell", lambda *args: None)  # draws a picture
        change.setattr("telucodec.training.fit.report", lambda *args: None)
        yield home, lambda *overrides: config(*LIVELY, *data, *overrides)


def go(composed: dict[str, Any], folder: Path, console: Console | None = None) -> bool:
    """Make a run, or go on with it; whether it finished."""
    with build(composed["trainer"], "trainer").joined():
        folder.mkdir(parents=True, exist_ok=True)
        path = ranks.from_first(newest_checkpoint(folder)[0])
        start = Start(folder, path, ["telucodec", "train"], ())
        return fit(composed, start, console or Console(file=io.StringIO()))


def final(folder: Path) -> dict[str, Any]:
    """The last checkpoint of a toy run, and the rows of its record without what a clock decides."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    rows = sorted(({k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines), key=_place)
    return read_checkpoint(folder / "checkpoints" / "step-000000006.ckpt") | {"rows": [*map(json.dumps, rows)]}


def _place(row: dict[str, Any]) -> tuple[int, str]:
    return row["step"], min(row)  # a validation that was made up for comes after the other rows of its step


def in_a_child(act: Callable[[], None]) -> int:
    """How a forked process ended that did something: 0, 1 after an error, or the number of what killed it."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) or os.WEXITSTATUS(status)


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Whether two nested containers are equal, tensors bit for bit."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, where
        assert torch.equal(a, b), where
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{index}]")
    else:
        assert a == b, where


if __name__ == "__main__":
    from telucodec.cli.main import main

    phase, number, *overrides = sys.argv[1:]
    with struck(phase, int(number)):
        sys.exit(main(["train", *overrides]))
