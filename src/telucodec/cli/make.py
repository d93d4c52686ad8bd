"""`telucodec train --job FOLDER`: one job of a sweep or a study, in a process of its own."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from telucodec.cli.checked import check_top
from telucodec.cli.launch import bound, console_of_run, launch, several
from telucodec.disk import holding, is_held
from telucodec.errors import BusyError, InputError
from telucodec.reading import held
from telucodec.study.jobs.job import JOB, LOCK, Job, read_job, state
from telucodec.study.jobs.local import TIED
from telucodec.training.processes import Place, find_place

WHOLE = ("callback", "evaluator", "loader", "targets", "trainer", "training")  # parts that every configuration has
WAIT = 0.2  # seconds between two looks at a folder that another process works in


def make(folder: Path, overrides: Sequence[str]) -> int:
    """Make a job's run, from its newest checkpoint if it has one; one that is over is left as it is.

    Returns:
        0 if it is finished, 130 if it was stopped and can go on.

    Raises:
        InputError: the folder holds no job, the job cannot be trained, or it diverged.
    """
    if overrides:
        raise InputError(f"{overrides[0]}: the configuration of a job is in its folder. Leave it out.")
    job, place = read_job(folder), find_place()
    try:
        with _stopping():
            if place is None:
                with _alone(folder, Console()):
                    return _begin(job, folder)
            return _begin_together(job, folder, place)
    except KeyboardInterrupt:
        return 130
    except InputError as error:
        from telucodec.cli.compose import own_names

        raise type(error)(own_names(str(error))) from None


def _begin(job: Job, folder: Path) -> int:
    """Make the run, or have processes made for it, unless it is over."""
    if (code := _over(folder, Console())) is not None:
        return code
    if (count := several(job.config)) > 1:
        return launch(["train", "--job", str(folder)], count)
    return _train(job, folder, Console())


def _begin_together(job: Job, folder: Path, place: Place) -> int:
    """In each of several processes: those that one of ours has started leave the job's lock and standing to it."""
    from telucodec import ranks
    from telucodec.build import build

    bound()
    with build(job.config["trainer"], "trainer").joined(), ExitStack() as held:
        console = console_of_run()
        if not place.led:
            while not ranks.by_first(lambda: _free(held, folder)):
                time.sleep(WAIT)
            if (code := ranks.by_first(lambda: _over(folder, console))) is not None:
                return int(code)
        return _train(job, folder, console)


def _over(folder: Path, console: Console) -> int | None:
    """The exit code of a job that is over, and a word about it."""
    now = state(folder)
    if not now.over:
        return None
    console.print(f"{folder}: is {now.status} already.", highlight=False, markup=False, soft_wrap=True)
    return 0 if now.status == "finished" else 2


def _train(job: Job, folder: Path, console: Console) -> int:
    from telucodec import ranks
    from telucodec.training.fit import Start, fit
    from telucodec.training.resume import resume_from

    if job.identity != folder.resolve().name:
        raise InputError(f"{folder}: its job was made for other code, or moved. Start the sweep or study again.")
    check_top(held(job.config, dict.fromkeys(WHOLE, Mapping), f"{folder / JOB}: config"))
    begun = (folder / "run.json").exists
    checkpoint = ranks.by_first(lambda: resume_from(folder, job.config, console) if begun() else None)
    start = Start(folder, checkpoint, ["telucodec", *sys.argv[1:]], job.overrides, job.shown, job.base)
    code = 0 if fit(job.config, start, console) else 130
    ranks.meet()  # or those that end before the first has written have srun or torchrun end it
    return code


@contextmanager
def _stopping() -> Iterator[None]:
    """SIGTERM is as good as Ctrl-C; a tied process gives it to itself once its standard input closes."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def watch() -> None:
        os.read(0, 1)  # waits until the other end closes, however that happens
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, interrupt)
    if TIED in os.environ:
        threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _alone(folder: Path, console: Console) -> Iterator[None]:
    """Wait until no other process makes this job, and keep others waiting.

    What an earlier sweep left may be saving still, and another sweep may want the same run.
    """
    with ExitStack() as held:
        said = False
        while not _free(held, folder):
            if not said:
                told = f"{folder}: another process makes this run; waiting for it."
                console.print(told, markup=False, soft_wrap=True)
            said = True
            time.sleep(WAIT)
        yield


def _free(held: ExitStack, folder: Path) -> bool:
    """Take a job's lock, unless another process makes its run."""
    if _taken(held, folder / LOCK) and not is_held(folder / ".lock"):
        return True
    held.close()
    return False


def _taken(held: ExitStack, lock: Path) -> bool:
    try:
        held.enter_context(holding(lock))
    except BusyError:
        return False
    return True
