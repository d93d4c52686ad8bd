"""One run as its folder tells it, long after it was made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any

from telucodec.errors import InputError
from telucodec.reading import held, read_json, read_yaml
from telucodec.study.jobs.job import state

ENDED = ("evaluator", "diagnosis")  # parts of summary.json


@dataclass(frozen=True)
class Heard:
    """The figures of one utterance at one validation."""

    step: int
    file: str
    speaker: str | None
    figures: Mapping[str, float]  # figure without prefix ("snr") -> value; NaN where it was not finite


@dataclass(frozen=True)
class Ran:
    """One run: what it was, how it stands, and every figure that it logged."""

    arm: str  # of a study; else a name that the reader gave it
    seed: int
    folder: Path
    config: Mapping[str, Any]
    overrides: tuple[str, ...]
    status: str  # see telucodec.study.jobs.job.State
    steps: int
    seconds: float
    audio_hours: float
    steps_per_epoch: float
    code: str  # version of the code that made it; "" if it was made before that was recorded
    evaluator: Mapping[str, Any]  # what decides its figures besides the signals; empty unless it finished
    started: str  # ISO date and time
    command: tuple[str, ...]
    device: str
    rows: Mapping[int, Mapping[str, float]]  # step -> every key logged at it
    heard: Sequence[Heard]  # silent utterances left out
    label: str = ""  # of its diagnosis; empty unless it finished

    @property
    def endless(self) -> bool:
        """Whether it diverged or failed: it has figures on its way, and none at its end."""
        return self.status in ("diverged", "failed")

    @property
    def validations(self) -> list[int]:
        """Steps at which the validation set was heard, in order."""
        return [step for step, row in self.rows.items() if "val/snr" in row]

    def curve(self, key: str) -> list[tuple[int, float]]:
        """(step, value) of one key, in order."""
        return [(step, row[key]) for step, row in self.rows.items() if key in row]


def read_run(folder: Path, arm: str) -> Ran:
    """Read the folder of a run, whether it ended or not.

    Raises:
        InputError: the folder holds no run, or its record cannot be read; the message names the file.
    """
    from telucodec.models.stored import CONFIG  # bring torch and lightning, which committed results do not need
    from telucodec.training.record import UTTERANCES, read_lines, read_rows

    try:
        told = held(read_json(folder / "run.json"), {}, "run.json")
        config = held(read_yaml(folder / CONFIG), {}, CONFIG)
        summary = folder / "summary.json"
        ended = held(read_json(summary), {}, "summary.json") if summary.exists() else {}
        evaluator, diagnosis = (held(ended.get(key) or {}, {}, f"summary.json, {key}") for key in ENDED)
        seed = int(config["seed"])
        hours, epoch = (float(told.get(name) or "nan") for name in ("audio_hours", "steps_per_epoch"))
        overrides, command = (tuple(map(str, told.get(name, ()))) for name in ("overrides", "command"))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise InputError(f"{folder}: holds no run that can be read ({error}). Give the folder of a run.") from None
    now = state(folder)
    return Ran(
        arm=arm,
        seed=seed,
        folder=folder,
        config=config,
        overrides=overrides,
        status=now.status,
        steps=now.steps,
        seconds=now.seconds,
        audio_hours=0.0 if isnan(hours) else hours,
        steps_per_epoch=epoch,
        code=str(told.get("code", "")),
        evaluator=evaluator,
        started=str(told.get("started", "")),
        command=command,
        device=str(told.get("device", "")),
        rows=_merged(read_rows(folder / "metrics.jsonl")),
        heard=[_heard(row) for row in read_lines(folder / UTTERANCES) if not row.get("silent")],
        label=str(diagnosis.get("label") or ""),
    )


def _merged(rows: Sequence[Mapping[str, float]]) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for row in rows:
        found.setdefault(int(row["step"]), {}).update({key: value for key, value in row.items() if key != "step"})
    return dict(sorted(found.items()))


def _heard(row: Mapping[str, Any]) -> Heard:
    about = ("step", "file", "speaker", "silent")
    figures = {key: nan if value is None else value for key, value in row.items() if key not in about}
    where = f"utterances.jsonl, step {row['step']}"
    held(figures, dict.fromkeys(figures, (int, float)), where)
    told = held(row, {"file": str, "speaker": (str, type(None))}, where)
    return Heard(int(row["step"]), told["file"], told["speaker"], figures)
