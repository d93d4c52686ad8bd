"""Many jobs, some at a time, until all are over or somebody says stop."""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from rich.console import Console

from telucodec.errors import InputError
from telucodec.study.jobs.board import Board
from telucodec.study.jobs.job import Job, state
from telucodec.study.jobs.launcher import Handle, Launcher
from telucodec.study.jobs.outcome import Outcome, made_before, not_started, outcome_of
from telucodec.study.jobs.standing import standing

TICK = 0.1  # seconds between two looks at what runs


@dataclass(frozen=True)
class Slots:
    """How many jobs run at a time, and on what."""

    at_once: int  # >= 1
    devices: tuple[int, ...] = ()  # accelerators to hand out; none: jobs see them all
    fail_fast: bool = False  # the first failure stops the others, and starts no more

    def share(self, job: Job) -> int:
        """How many of the devices a job takes: its trainer.devices (auto: all), else one.

        Raises:
            InputError: it wants more than there are.
        """
        trainer = job.config.get("trainer", {})
        wanted = trainer.get("devices", 1)
        count = len(self.devices) if wanted == "auto" else len(wanted) if isinstance(wanted, list) else int(wanted)
        if self.devices and count > len(self.devices):
            raise InputError(f"{job.label}: trainer.devices={wanted} is more than sweep.devices={list(self.devices)}.")
        return count if self.devices else 0


@dataclass
class _Running:
    job: Job
    handle: Handle
    devices: tuple[int, ...]
    since: float = field(default_factory=time.monotonic)
    asked: bool = False  # to stop

    def stop(self) -> None:
        self.asked = True
        self.handle.stop()


def run_all(jobs: Sequence[Job], launcher: Launcher, plan: Slots, console: Console) -> list[Outcome]:
    """Make the runs of all jobs that are not over yet; equal jobs are made once.

    Finished and diverged ones are skipped, interrupted ones go on from their checkpoints, failed ones are tried again.
    Ctrl-C asks what runs to save and to stop, and starts no more; a second one ends it at once.

    Returns:
        How each job stands, in the order of `jobs`: "waiting" for those that were not started.
    """
    unique = list({job.identity: job for job in reversed(jobs)}.values())[::-1]
    for job in unique:
        plan.share(job)
    known = {job.identity: made_before(job) for job in unique if state(job.folder).over}
    waiting = deque(job for job in unique if job.identity not in known)
    console.print(standing(unique), highlight=False, soft_wrap=True)

    def wanted() -> Job | None:
        return waiting.popleft() if waiting else None

    def ended(outcome: Outcome) -> None:
        known[outcome.job.identity] = outcome

    with Board(unique, plan.at_once, console) as board:
        for outcome in known.values():
            board.ended(outcome)
        _Queue(launcher, plan, board).run(wanted, ended, lambda _: False, len(waiting))
    not_made = {job.identity: not_started(job) for job in waiting}
    return [(known | not_made)[job.identity] for job in jobs]


def run_wanted(
    wanted: Callable[[], Job | None],
    ended: Callable[[Outcome], None],
    watch: Callable[[Job], bool],
    launcher: Launcher,
    plan: Slots,
    console: Console,
) -> bool:
    """Make runs as they are asked for, until none is wanted while none runs.

    Args:
        wanted: the next job, or None for "none now"; asked whenever there is room, and again after a run ended.
        ended: told how each job came out; "waiting" if it was asked for and never started.
        watch: asked again and again about each running job: whether it is to be stopped.
        launcher: what starts them.
        plan: how many at a time.
        console: to report on.

    Returns:
        Whether it came to its end: False if a person stopped it, or the first failure did.
    """
    with Board([], plan.at_once, console) as board:
        return _Queue(launcher, plan, board).run(wanted, ended, watch, None)


class _Queue:
    def __init__(self, launcher: Launcher, plan: Slots, board: Board) -> None:
        self.launcher, self.plan, self.board = launcher, plan, board
        self.running: list[_Running] = []
        self.next: Job | None = None  # waits for devices
        self.signals = 0
        self.stopping = False

    def run(
        self,
        wanted: Callable[[], Job | None],
        ended: Callable[[Outcome], None],
        watch: Callable[[Job], bool],
        most: int | None,
    ) -> bool:
        with self._listening():
            self.launcher.expect(most)
            try:
                while True:
                    self._heed()
                    self._fill(wanted)
                    if not self.running:
                        break
                    self._look(ended, watch)
                    self.board.refresh()
                    time.sleep(TICK)
            finally:
                self._drain()  # there is something to wait for only if something went wrong here
                self.launcher.expect(0)
        if self.next is not None:
            ended(not_started(self.next))
        return not self.stopping

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Signals are counted and heeded between two looks: none breaks into the middle of a start."""

        def count(number: int, frame: FrameType | None) -> None:
            self.signals += 1

        before = {number: signal.signal(number, count) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heed(self) -> None:
        if self.signals and not self.stopping:
            self._stop("stopping: what runs saves first; Ctrl-C again ends it at once")
        if self.signals > 1:
            for one in self.running:
                one.handle.kill()

    def _stop(self, why: str) -> None:
        self.stopping = True
        self.board.say(why)
        for one in self.running:
            one.stop()

    def _drain(self) -> None:
        for one in self.running:
            one.stop()
        while any(one.handle.poll() is None for one in self.running):
            self._heed()
            time.sleep(TICK)

    def _fill(self, wanted: Callable[[], Job | None]) -> None:
        while not self.stopping and len(self.running) < self.plan.at_once:
            self.next = self.next or wanted()
            devices = self._free(self.next) if self.next else None
            if self.next is None or devices is None:
                return
            self.next.write()
            self.board.starts(self.next, devices)
            self.running.append(_Running(self.next, self.launcher.start(self.next, devices), devices))
            self.next = None

    def _free(self, job: Job) -> tuple[int, ...] | None:
        """Devices for a job; None while too few are free."""
        taken = {device for one in self.running for device in one.devices}
        free = [device for device in self.plan.devices if device not in taken]
        count = self.plan.share(job)
        return tuple(free[:count]) if count <= len(free) else None

    def _look(self, ended: Callable[[Outcome], None], watch: Callable[[Job], bool]) -> None:
        for one in list(self.running):
            code = one.handle.poll()
            if code is None:
                if not one.asked and watch(one.job):
                    one.stop()
                continue
            self.running.remove(one)
            outcome = outcome_of(one.job, code, time.monotonic() - one.since, one.asked, one.handle.log)
            self.board.ended(outcome)
            ended(outcome)
            if outcome.status == "failed" and self.plan.fail_fast and not self.stopping:
                self._stop(f"stopping, since {one.job.label} failed (sweep.fail_fast)")
