"""One run, several processes: started, told to stop and ended together."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NamedTuple

from rich.console import Console

from telucodec.cli.main import LOST
from telucodec.study.jobs.local import TIED
from telucodec.training.processes import LED, MET, find_place

COMMAND = (sys.executable, "-m", "telucodec.cli.main")  # and its words
TICK = 0.1  # seconds between two looks at the processes
GRACE = 20.0  # seconds that the others have to notice that one has failed, and all after a second signal
SAVING = 600.0  # seconds that they have to end by themselves once one has stopped, or says that another is to blame
INTERRUPTED = 130  # exit code of what was asked to stop


def several(config: Mapping[str, Any]) -> int:
    """How many processes this one is to start for a run: 1 if none, since it makes the run itself, or is one of them.

    Raises:
        InputError: the devices that the configuration wants are not there.
    """
    trainer = config.get("trainer", {})
    if trainer.get("devices", 1) == 1 or find_place() is not None:
        return 1
    from telucodec.build import build

    count: int = build(trainer, "trainer").count
    return count


def launch(words: Sequence[str], count: int) -> int:
    """Run a command in several processes of this machine that know of each other, and wait for all of them.

    A signal is passed on to all; a second one, later than an echo, gives them little time. If one process fails, the
    others are ended; if this one is gone, they end themselves.

    Args:
        words: of the command.
        count: of processes.

    Returns:
        0 if all finished, 130 if they were stopped, else the exit code of the first that failed.
    """
    import torch.distributed as dist

    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    common = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), LED: "1"}
    common |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    common.pop(TIED, None)  # whoever ties this process ties them all: it tells them
    company = _Company(lambda: store.check([MET]))
    with company.passing_on():
        try:
            for rank in range(count):
                company.start([*COMMAND, *words], common | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
            return company.wait()
        finally:
            company.end()


def bound() -> None:
    """In a process that `launch` started: end as soon as the one that started it is gone, however that happened."""
    if LED not in os.environ:
        return

    def watch() -> None:
        os.read(0, 1)  # waits until the other end closes
        os.kill(os.getpid(), signal.SIGKILL)  # it may be waiting for processes that are gone too

    threading.Thread(target=watch, daemon=True).start()


def console_of_run() -> Console:
    """What this process tells people on: nothing, unless it is the first of its run."""
    from telucodec import ranks

    return Console() if ranks.own() == 0 else Console(quiet=True, force_terminal=False)


class _Ended(NamedTuple):
    """One of the processes, and its exit code, or minus the signal that ended it."""

    rank: int
    code: int

    def blame(self) -> int:
        """The larger, the more it is to blame for the end of all: those that lost another one are not."""
        return {0: 0, LOST: 1, INTERRUPTED: 2}.get(self.code, 3)

    def __str__(self) -> str:
        if self.code < 0:
            return f"was killed by {signal.Signals(-self.code).name}"
        return f"failed with exit code {self.code}"


class _Company:
    """The processes of one run; `met` says whether they have found each other."""

    def __init__(self, met: Callable[[], bool]) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.met = met
        self.asked: float | None = None  # when it was first asked to stop
        self.hurried = math.inf  # when all are ended, because it was asked again

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start one."""
        self.processes.append(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # never written to; see `bound`
                env=environment,
                process_group=0,  # Ctrl-C reaches this process alone, which passes it on: once
            )
        )

    def wait(self) -> int:
        """The exit code of all; where one fails, the others are ended."""
        guilty, until = _Ended(0, 0), math.inf
        while True:
            codes = [process.poll() for process in self.processes]
            ended = [_Ended(rank, self._code(code)) for rank, code in enumerate(codes) if code]
            worst = max([guilty, *ended], key=_Ended.blame)  # of equals, the one that was found first
            if worst.blame() > guilty.blame():
                guilty, until = worst, time.monotonic() + self.patience(worst)
            if None not in codes:
                break
            if time.monotonic() > min(until, self.hurried):
                self.end()
                guilty = guilty if guilty.code else _Ended(0, INTERRUPTED)
                break
            time.sleep(TICK)
        if guilty.code in (0, INTERRUPTED):
            return guilty.code
        sys.stderr.write(f"telucodec: process {guilty.rank} of {len(self.processes)} {guilty}, and the run with it.\n")
        return max(guilty.code, 1)

    def patience(self, ended: _Ended) -> float:
        """Seconds that the others have; those that have not met would wait for the one that ended."""
        return SAVING if ended.blame() < 3 and self.met() else GRACE

    def end(self) -> None:
        """End all at once."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    @contextmanager
    def passing_on(self) -> Iterator[None]:
        """While it lasts, signals that ask for a stop go to all."""
        from telucodec.training.callbacks.stop import ECHO, SIGNALS

        def tell(number: int, frame: FrameType | None) -> None:
            now = time.monotonic()
            if self.asked is None:
                self.asked = now
            elif now - self.asked > ECHO:
                self.hurried = min(self.hurried, now + GRACE)
            for process in self.processes:
                with suppress(ProcessLookupError):
                    process.send_signal(number)

        before = {number: signal.signal(number, tell) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _code(self, code: int) -> int:
        """Of a process; one that was asked to stop may not have been ready to hear of it."""
        return INTERRUPTED if self.asked is not None and code < 0 else code
