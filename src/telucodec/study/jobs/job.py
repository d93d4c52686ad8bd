"""One run to be made: a configuration, what identifies it, and the folder that it lives in."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from telucodec.disk import is_held, write_text
from telucodec.errors import InputError
from telucodec.reading import Kinds, held, read_json
from telucodec.training.version import code_version

JOB = "job.json"
LOCK = ".job.lock"  # held by the process that makes the run, from its beginning to its end
NUMBER = (int, float, type(None))
HOLDS: Kinds = {"label": str, "config": Mapping, "overrides": list, "shown": list, "base": (Mapping, type(None))}
ASIDE = ("name", "run_root", "resume")  # where a run lives and how it began: no part of what it is


@dataclass(frozen=True)
class Job:
    """A run that a sweep or a study wants.

    Its identity is that of the configuration, of the first weights that it takes over, and of the code that trains: the
    same run wanted twice is made once, and results of another code stay apart.
    """

    label: str  # unique in its sweep; what tables and TensorBoard call it
    config: Mapping[str, Any] = field(repr=False)  # the whole configuration, plain and resolved
    overrides: tuple[str, ...]  # what makes this configuration, as a person types it
    root: Path  # folder of the sweep
    shown: tuple[str, ...] = ()  # configuration keys in which the jobs of the sweep differ
    base: Mapping[str, Any] | None = field(
        default=None, repr=False
    )  # the configuration whose first weights it takes over

    @cached_property
    def identity(self) -> str:
        """Twelve hexadecimal digits."""
        content = [essence(self.config), self.base and essence(self.base), code_version()]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def folder(self) -> Path:
        """Where its run lives."""
        return self.root / "jobs" / self.identity

    def write(self) -> None:
        """Put everything that the run needs into its folder."""
        about = {"label": self.label, "overrides": list(self.overrides), "shown": list(self.shown)}
        content = about | {"code": code_version(), "config": self.config, "base": self.base}
        write_text(self.folder / JOB, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class State:
    """How a job stands."""

    status: str  # waiting, running, interrupted, finished, diverged or failed
    steps: int = 0
    seconds: float = 0.0

    @property
    def over(self) -> bool:
        """Whether making the run again would find nothing new: it reached its end, or diverged."""
        return self.status in ("finished", "diverged")


def read_job(folder: Path) -> Job:
    """The job that a folder was made for; its overrides and label are those of the sweep that made it last.

    Raises:
        InputError: there is none; the message names the folder.
    """
    try:
        told = held(read_json(folder / JOB), HOLDS, JOB)
    except InputError as error:
        cure = "Give the folder of a job of a sweep or a study."
        raise InputError(f"{folder}: holds no job ({JOB}) that can be read ({error}). {cure}") from None
    overrides, shown = (tuple(str(each) for each in told[key]) for key in ("overrides", "shown"))
    return Job(told["label"], told["config"], overrides, folder.parents[1], shown, told["base"])


def state(folder: Path) -> State:
    """How the run in a folder stands, from its record; one that was killed is interrupted."""
    try:
        told = held(read_json(folder / "run.json"), {"status": str, "steps": int, "seconds": NUMBER}, "run.json")
    except InputError:  # there is none yet
        return State("running" if is_held(folder / ".lock") else "waiting")
    status = told["status"]
    if status == "finished" and not (folder / "summary.json").exists():
        status = "interrupted"
    if status == "running" and not is_held(folder / ".lock"):
        status = "interrupted"
    if status != "running" and is_held(folder / ".lock"):
        status = "running"
    return State(status, told["steps"], told["seconds"] or 0.0)


def content_of(config: Mapping[str, Any], base: Mapping[str, Any] | None) -> str:
    """What a run is, whatever the code: two that agree in it differ in nothing but that."""
    return json.dumps([essence(config), base and essence(base)], sort_keys=True)


def essence(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what is no part of what a run is: where it lives, how it began, and what only watches.

    >>> essence({"name": "a", "seed": 0, "trainer": {"devices": 1, "profile": 5}})
    {'seed': 0, 'trainer': {'devices': 1, 'profile': 0}}
    """
    kept = {key: value for key, value in config.items() if key not in ASIDE}
    if isinstance(trainer := kept.get("trainer"), Mapping) and "profile" in trainer:
        kept["trainer"] = {**trainer, "profile": 0}  # as without one, so that this is the same run
    return kept
