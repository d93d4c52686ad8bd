"""`telucodec train --job FOLDER`: one job of a sweep or a study, in a process of its own."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from telucodec.cli.train import check_top
from telucodec.disk import holding, is_held
from telucodec.errors import InputError
from telucodec.study.jobs.job import LOCK, Job, read_job, state
from telucodec.study.jobs.local import TIED

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
    job, console = read_job(folder), Console()
    try:
        with _stopping(), _alone(folder, console):
            now = state(folder)
            if now.over:
                console.print(f"{folder}: is {now.status} already.", highlight=False, soft_wrap=True)
            return _train(job, folder, console) if not now.over else 0 if now.status == "finished" else 2
    except KeyboardInterrupt:
        return 130
    except InputError as error:
        from telucodec.cli.compose import own_names

        raise InputError(own_names(str(error))) from None


def _train(job: Job, folder: Path, console: Console) -> int:
    from telucodec.training.fit import Start, fit
    from telucodec.training.resume import resume_from

    if job.identity != folder.resolve().name:
        raise InputError(f"{folder}: its job was made for other code, or moved. Start the sweep or study again.")
    check_top(dict(job.config))
    checkpoint = resume_from(folder, job.config, console) if (folder / "run.json").exists() else None
    start = Start(folder, checkpoint, ["telucodec", *sys.argv[1:]], job.overrides, job.shown, job.base)
    return 0 if fit(job.config, start, console) else 130


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
    first = int(os.environ.get("LOCAL_RANK", "0")) == 0  # of the processes of one run it has the lock
    with ExitStack() as held:
        said = False
        while first and not (_taken(held, folder / LOCK) and not is_held(folder / ".lock")):
            if not said:
                console.print(f"{folder}: another process makes this run; waiting for it.", soft_wrap=True)
            said = True
            held.close()
            time.sleep(WAIT)
        yield


def _taken(held: ExitStack, lock: Path) -> bool:
    try:
        held.enter_context(holding(lock))
    except InputError:
        return False
    return True
