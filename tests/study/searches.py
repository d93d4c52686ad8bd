"""Searches whose runs are made up: each validation is a number that a function gives."""

import json

import optuna

from telucodec.study.jobs.job import Job
from telucodec.study.jobs.outcome import outcome_of
from telucodec.study.search.search import Search
from telucodec.study.search.settings import pruner_for, read_settings
from telucodec.study.search.space import Interval
from telucodec.study.search.storage import open_study, requeue

PLAIN = {
    "kind": "optuna",
    "metric": "val/snr",
    "direction": "maximize",
    "n_trials": 12,
    "seeds": 1,
    "sampler": "tpe",
    "sampler_seed": 0,
    "startup": 4,
    "pruner": "none",
    "prune_after": 3,
    "warmup_steps": 0,
}
LINE = (Interval("x", 0.0, 10.0),)


class KilledError(Exception):
    """The process of the search is gone."""


class Bench:
    """Makes the runs of a search, one validation at a time.

    Args:
        folder: of the sweep.
        curve: values -> what each validation gives; an exit code ends the run there.
        space: what is searched.
    """

    def __init__(self, folder, curve, space=LINE, **settings):
        self.folder, self.curve, self.space = folder, curve, space
        self.settings, self.made, self.at_once = read_settings(PLAIN | settings), [], 1
        self.logged, self.study = self.settings.metric, None

    def make(self, number, chosen, seed):
        config = dict(part.split("=") for part in chosen) | {"seed": str(seed)}
        return Job(f"trial-{number}-{seed}", config, tuple(chosen), self.folder)

    def search(self, stored):
        if stored:
            self.study = open_study(self.folder, self.settings, self.space, ["max_steps=60"], "0")
        else:  # ten times as fast: it outlives the search as a file would
            made = {"direction": self.settings.direction, "pruner": pruner_for(self.settings)}
            self.study = self.study or optuna.create_study(**made)
            requeue(self.study)
        return Search(self.study, self.space, self.settings, self.make, self.at_once)

    def play(self, validations=10**9, stored=False):
        """Until nothing is wanted, or as if killed after so many validations; gives the search."""
        search, running = self.search(stored), []
        while True:
            while len(running) < self.at_once and (job := search.wanted()):
                running.append((job, self.begin(job)))
            if not running:
                return search
            for one in list(running):
                if validations == 0:
                    raise KilledError
                validations -= 1
                code = self.step(*one)
                if code is None and search.watch(one[0]):
                    code = 130
                if code is not None:
                    running.remove(one)
                    self.close(one[0], code)
                    search.ended(outcome_of(one[0], code, 1.0, code == 130, one[0].folder / "log.txt"))

    def begin(self, job):
        """What is left to be logged of a run."""
        self.made.append(job.identity)
        job.folder.mkdir(parents=True, exist_ok=True)
        record = job.folder / "metrics.jsonl"
        done = len(record.read_text().splitlines()) if record.exists() else 0
        self.close(job, 130)
        return list(enumerate(self.curve(job.config), 1))[done:]

    def step(self, job, left):
        """Log one validation; the exit code if it was the last."""
        step, value = left.pop(0)
        if isinstance(value, str):
            return {"diverged": 2, "failed": 1}[value]
        with (job.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": 10 * step, self.logged: None if value != value else value}) + "\n")
        return None if left else 0

    def close(self, job, code):
        status = {0: "finished", 2: "diverged", 130: "interrupted", 1: "failed"}[code]
        (job.folder / "run.json").write_text(json.dumps({"status": status, "steps": 10, "seconds": 1.0}))
        if code == 0:
            (job.folder / "summary.json").write_text("{}")
        return code


def stands(search):
    """How each trial stands, by number."""
    return [trial.state.name for trial in search.study.get_trials(deepcopy=False)]
