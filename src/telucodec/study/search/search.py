"""A search: asks for trials, has their runs made, and tells what they came to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from statistics import fmean

from optuna.study import Study
from optuna.trial import Trial, TrialState

from telucodec.errors import InputError
from telucodec.study.jobs.job import Job, state
from telucodec.study.jobs.outcome import Outcome, made_before
from telucodec.study.search.settings import Settings, sampler_for
from telucodec.study.search.space import Parameter
from telucodec.study.search.storage import CRASHED, counted
from telucodec.training.record import read_rows

WHY, RUNS = "why", "runs"  # of a trial: why it failed; the identities of its runs, by seed
NEAREST = 3  # names that are offered in place of one that is not there

Make = Callable[[int, Sequence[str], int], Job]  # number of a trial, its overrides, which of its seeds


@dataclass
class _Open:
    """A trial that has no outcome yet."""

    trial: Trial
    chosen: tuple[str, ...]  # overrides
    begun: int = 0  # of its seeds
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Part:
    """One seed of a trial."""

    number: int
    seed: int


class Search:
    """What `telucodec.study.jobs.queue.run_wanted` asks and tells.

    The first seed of each trial is watched, and stopped where it is not worth its end; the other seeds are made once
    it has reached its end, and what the trial comes to is the mean. A run that is not finite any more, or that cannot
    be composed, is a failed trial. A trial that a stop left open is taken up again, with its number and its values.

    Args:
        study: the trials so far.
        space: what may be chosen.
        settings: how.
        make: gives a trial's job, or raises InputError where its values make no sense together.
        at_once: how many runs are made at a time.
    """

    def __init__(
        self, study: Study, space: Sequence[Parameter], settings: Settings, make: Make, at_once: int = 1
    ) -> None:
        self.study, self.space, self.settings, self.make, self.at_once = study, space, settings, make, at_once
        self.open: dict[int, _Open] = {}
        self.running: dict[str, list[_Part]] = {}  # identity of a run -> the trials that wait for it
        self.seen: dict[Path, int] = {}  # size of each record when it was read last
        self.trouble: InputError | None = None
        self.crashed = False  # a process of a run died
        for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._open(left.number)

    @property
    def left(self) -> bool:
        """Whether trials are open, or wait."""
        return bool(self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)))

    def wanted(self) -> Job | None:
        """The next run to be made; None when all are under way."""
        while self.trouble is None and (part := self._next()):
            one = self.open[part.number]
            one.begun += 1
            try:
                job = self.make(part.number, one.chosen, part.seed)
            except InputError as error:
                self._fail(part.number, str(error))
                continue
            self._note_run(part, job)
            if job.identity in self.running:
                self.running[job.identity].append(part)
            elif state(job.folder).over:
                self._take(part, made_before(job))
            elif not self._hopeless(part, job):
                self.running[job.identity] = [part]
                return job
        return None

    def ended(self, outcome: Outcome) -> None:
        """Take what a run came to."""
        for part in self.running.pop(outcome.job.identity):
            if part.number in self.open:
                self._take(part, outcome)

    def watch(self, job: Job) -> bool:
        """Whether nobody waits for a run any more: it is not worth its end, or its trial is over."""
        if self.trouble is None and self._news(job):
            for part in self.running[job.identity]:
                self._hopeless(part, job)
        waits = any(part.number in self.open for part in self.running[job.identity])
        return self.trouble is not None or not waits

    def _next(self) -> _Part | None:
        """The next seed of a trial that has proved itself, else the first one of another trial."""
        for number, one in self.open.items():
            if one.begun == 0 or (one.values and one.begun < self.settings.seeds):
                return _Part(number, one.begun)
        trials = self.study.get_trials(deepcopy=False)
        waiting = [trial.number for trial in trials if trial.state == TrialState.WAITING]
        if not waiting and len(counted(trials)) >= self.settings.n_trials:
            return None
        number = min(waiting, default=len(trials))
        self.study.sampler = sampler_for(self.settings, number, self.at_once)
        self._open(self.study.ask().number)
        return self._next()

    def _open(self, number: int) -> None:
        identity = self.study.get_trials(deepcopy=False)[number]._trial_id
        self.study.sampler = sampler_for(self.settings, number, self.at_once)
        trial = Trial(self.study, identity)
        chosen = tuple(parameter.suggest(trial) for parameter in self.space)
        self.open[number] = _Open(trial, chosen)

    def _take(self, part: _Part, outcome: Outcome) -> None:
        if outcome.status == "diverged":
            self._fail(part.number, f"{outcome.job.label} diverged")
        elif outcome.status == "failed":
            self.crashed = True
            self.open[part.number].trial.set_user_attr(CRASHED, part.seed)
            self._fail(part.number, f"{outcome.job.label} failed: {outcome.message.partition(chr(10))[0]}")
        elif outcome.status == "finished":
            self._value(part, outcome.job)
        else:  # stopped by a person: the trial stays open until the search is started again
            del self.open[part.number]

    def _value(self, part: _Part, job: Job) -> None:
        one, curve = self.open[part.number], self._curve(job)
        if not curve:
            self._missing(part.number, job)
        elif not isfinite(curve[-1][1]):
            self._fail(part.number, f"{job.label}: {self.settings.metric} is {curve[-1][1]} at its end")
        else:
            self._report(part, curve)
            one.values.append(curve[-1][1])
            if len(one.values) == self.settings.seeds:
                self._tell(part.number, TrialState.COMPLETE, fmean(one.values))

    def _missing(self, number: int, job: Job) -> None:
        """No run logs the metric, or only this one does not."""
        metric = self.settings.metric
        if self._completed():
            self._fail(number, f"{job.label} logs no {metric}")
            return
        keys = {key for row in read_rows(job.folder / "metrics.jsonl") for key in row}
        self.trouble = InputError(
            f"sweeper.metric={metric}: {job.folder} logs no such figure. {_nearest(metric, keys)}"
        )

    def _hopeless(self, part: _Part, job: Job) -> bool:
        """Whether the first seed of a trial is not worth its end by what it logged so far; then it is told so."""
        one = self.open.get(part.number)
        if one is None or part.seed:
            return False
        for step, value in self._curve(job):
            if not isfinite(value):
                self._fail(part.number, f"{job.label}: {self.settings.metric} is {value} at step {step}")
                return True
            if self._report(part, [(step, value)]) and self._worse(one.trial):
                self._tell(part.number, TrialState.PRUNED)
                return True
        return False

    def _worse(self, trial: Trial) -> bool:
        """The pruner's opinion, heeded once enough trials have been made to their end."""
        return trial.should_prune() and self._completed() >= self.settings.prune_after

    def _completed(self) -> int:
        return len(self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))

    def _note_run(self, part: _Part, job: Job) -> None:
        """Keep which run this is, for the table at the end."""
        trial = self.open[part.number].trial
        runs = trial.user_attrs.get(RUNS, [])
        if runs[part.seed :] != [job.identity]:
            trial.set_user_attr(RUNS, [*runs[: part.seed], job.identity])

    def _report(self, part: _Part, curve: Sequence[tuple[int, float]]) -> bool:
        """Keep what is new of the first seed's curve; whether anything was."""
        trial = self.open[part.number].trial
        known = self.study.get_trials(deepcopy=False)[part.number].intermediate_values
        new = [(step, value) for step, value in curve if step not in known and part.seed == 0]
        for step, value in new:
            trial.report(value, step)
        return bool(new)

    def _tell(self, number: int, came_to: TrialState, value: float | None = None) -> None:
        self.study.tell(number, value, came_to)
        del self.open[number]

    def _fail(self, number: int, why: str) -> None:
        self.open[number].trial.set_user_attr(WHY, why)
        self._tell(number, TrialState.FAIL)

    def _curve(self, job: Job) -> list[tuple[int, float]]:
        """The metric after each validation; before the first step it says nothing of the trial."""
        rows = read_rows(job.folder / "metrics.jsonl")
        return [(int(row["step"]), row[self.settings.metric]) for row in rows if self._tells(row)]

    def _tells(self, row: dict[str, float]) -> bool:
        return row["step"] > 0 and self.settings.metric in row

    def _news(self, job: Job) -> bool:
        """Whether a run's record has changed since it was read."""
        path = job.folder / "metrics.jsonl"
        size = path.stat().st_size if path.exists() else 0
        before, self.seen[path] = self.seen.get(path, 0), size
        return size != before


def _nearest(metric: str, keys: set[str]) -> str:
    import difflib

    close = difflib.get_close_matches(metric, sorted(keys - {"step", "seconds"}), n=NEAREST, cutoff=0.3)
    return f"Did you mean {', '.join(close)}?" if close else f"It logs {', '.join(sorted(keys)[:20])}."
