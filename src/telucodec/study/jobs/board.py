"""What a person sees while jobs run."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from telucodec.disk import is_held
from telucodec.study.jobs.job import LOCK, Job, State, state
from telucodec.study.jobs.outcome import Outcome
from telucodec.study.jobs.progress import SHOWN, Following, cells, ended_with, spoken

EVERY = 0.5  # seconds between two drawings
ORDER = ("running", "failed", "diverged", "interrupted", "finished", "waiting")  # what is shown where room is short
STYLE = {"running": "cyan", "failed": "red", "diverged": "yellow", "interrupted": "yellow", "finished": "green"}
AROUND = 7  # lines of the terminal that are not rows of the table


@dataclass
class _Seen:
    """One job, as far as it is known."""

    job: Job
    before: State  # when it was first looked at here, or started
    status: str = "waiting"
    following: Following | None = None  # once it was started
    since: float = 0.0  # when that was
    seconds: float = 0.0  # that it ran until it ended

    @property
    def total(self) -> int:
        return int(self.job.config.get("max_steps", 0))

    @property
    def step(self) -> int:
        return max(self.before.steps, self.following.step if self.following else 0)

    @property
    def getting_ready(self) -> float:
        """Seconds of this attempt in which the run was not training yet, or no more."""
        spent = time.monotonic() - self.since if self.status == "running" else self.seconds
        return max(0.0, spent - (self.following.seconds if self.following else 0.0) + self.before.seconds)

    def look(self) -> None:
        if self.following:
            self.following.read()

    def row(self) -> list[str]:
        figures, label = (self.following.figures, self.following.label) if self.following else ({}, "")
        if self.status == "finished":
            figures, label = ended_with(self.job.folder)
        rate = self.following.rate if self.following and self.status == "running" else 0.0
        pace = [f"{rate:.3g}", _clock((self.total - self.step) / rate)] if rate else ["", ""]
        return [escape(self.job.label), self.status, f"{self.step}/{self.total}", *pace, *cells(figures), label]


class Board:
    """One live table of all jobs; where no terminal listens, one line an event.

    Args:
        jobs: those known beforehand; others join as they start.
        at_once: how many run at a time.
        console: to draw on.
    """

    def __init__(self, jobs: Sequence[Job], at_once: int, console: Console) -> None:
        self.console, self.at_once = console, at_once
        self.seen = {job.identity: _Seen(job, state(job.folder)) for job in jobs}
        self.began, self.drawn = time.monotonic(), 0.0
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def say(self, text: str, style: str | None = None) -> None:
        """Print a line, above the table."""
        self.console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    def starts(self, job: Job, devices: Sequence[int]) -> None:
        """A job is about to begin."""
        following = Following(job.folder / "metrics.jsonl")
        self.seen[job.identity] = _Seen(job, state(job.folder), "running", following, time.monotonic())
        if is_held(job.folder / LOCK) or is_held(job.folder / ".lock"):
            self.say(f"{job.label}: another process makes this run already; waiting for it ({job.folder})")
        if not self.live:
            self.say(f"started {job.label}" + (f" on {', '.join(map(str, devices))}" if devices else ""))

    def ended(self, outcome: Outcome) -> None:
        """A job is over, for now, or was before."""
        seen = self.seen[outcome.job.identity]
        seen.look()
        seen.status, seen.seconds = outcome.status, outcome.seconds
        if outcome.status == "failed":
            lines = "".join(f"\n    {line}" for line in outcome.message.splitlines())
            self.say(f"failed {outcome.job.label}:{lines}\n    log: {outcome.log}", "red")
        elif not self.live and outcome.seconds:
            figures = spoken(*ended_with(outcome.job.folder)) or outcome.message
            self.say(f"{outcome.status} {outcome.job.label}{f': {figures}' if figures else ''} ({self.summary()})")

    def refresh(self) -> None:
        """Draw anew what running jobs have logged, if it is time."""
        if self.live and time.monotonic() - self.drawn >= EVERY:
            self.drawn = time.monotonic()
            self._look()
            self.live.update(Group(self.table(), Text(self.summary())), refresh=True)

    def table(self) -> Table:
        """As many jobs as there is room for, those that run first."""
        table = fitting("run", "", "step", "a second", "left", *(name for _, name, _ in SHOWN), "diagnosis")
        every = sorted(self.seen.values(), key=lambda seen: ORDER.index(seen.status))  # stable
        room = max(1, self.console.height - AROUND)
        shown = every if len(every) <= room else every[: room - 1]
        for seen in shown:
            table.add_row(*seen.row(), style=STYLE.get(seen.status))
        if hidden := Counter(seen.status for seen in every[len(shown) :]):
            table.add_row(f"and {', '.join(f'{count} {status}' for status, count in hidden.items())}", style="dim")
        return table

    def summary(self) -> str:
        """How many are how far, and how long it will take."""
        counts = Counter(seen.status for seen in self.seen.values())
        over = counts["finished"] + counts["diverged"]
        parts = [f"{over} of {len(self.seen)} over"]
        parts += [f"{counts[status]} {status}" for status in ("running", "failed", "interrupted") if counts[status]]
        left, passed = self.seconds_left(), time.monotonic() - self.began
        return f"{', '.join(parts)}; {_clock(passed)} so far" + (f", about {_clock(left)} left" if left else "")

    def seconds_left(self) -> float:
        """Wall seconds until all are over, if they go on as they did so far; 0 while nothing is known."""
        self._look()
        begun = [(seen, seen.following) for seen in self.seen.values() if seen.following and seen.following.step]
        ahead = [seen for seen in self.seen.values() if seen.status in ("running", "waiting")]
        if not begun or not ahead:
            return 0.0
        a_step = sum(run.seconds for _, run in begun) / sum(run.step for _, run in begun)
        a_start = sum(seen.getting_ready for seen, _ in begun) / len(begun)
        training = a_step * sum(seen.total - seen.step for seen in ahead)
        starting = a_start * sum(seen.status == "waiting" for seen in ahead)
        return (training + starting) / min(self.at_once, len(ahead))

    def _look(self) -> None:
        for seen in self.seen.values():
            if seen.status == "running":
                seen.look()


def fitting(*columns: str) -> Table:
    """A table in which a long first column is folded, and no other is cut."""
    table = Table()
    for number, name in enumerate(columns):
        figure = 2 <= number < len(columns) - 1
        table.add_column(name, no_wrap=number > 0, overflow="fold", justify="right" if figure else "left")
    return table


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
