"""One run as its folder tells it, long after it was made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from telucodec.errors import InputError
from telucodec.study.jobs.job import state

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
    from telucodec.training.record import UTTERANCES, read_rows

    try:
        told = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        config = yaml.load((folder / CONFIG).read_text(encoding="utf-8"), LOADER)  # ten times as fast
        summary = folder / "summary.json"
        ended = json.loads(summary.read_text(encoding="utf-8")) if summary.exists() else {}
        seed = int(config["seed"])
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise InputError(f"{folder}: holds no run that can be read ({error}). Give the folder of a run.") from None
    now = state(folder)
    return Ran(
        arm=arm,
        seed=seed,
        folder=folder,
        config=config,
        overrides=tuple(told.get("overrides", ())),
        status=now.status,
        steps=now.steps,
        seconds=now.seconds,
        audio_hours=float(told.get("audio_hours") or 0.0),
        steps_per_epoch=float(told.get("steps_per_epoch") or float("nan")),
        code=str(told.get("code", "")),
        evaluator=ended.get("evaluator", {}),
        started=str(told.get("started", "")),
        command=tuple(told.get("command", ())),
        device=str(told.get("device", "")),
        rows=_merged(read_rows(folder / "metrics.jsonl")),
        heard=[_heard(row) for row in read_rows(folder / UTTERANCES) if not row["silent"]],
        label=str((ended.get("diagnosis") or {}).get("label") or ""),
    )


def _merged(rows: Sequence[Mapping[str, float]]) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for row in rows:
        found.setdefault(int(row["step"]), {}).update({key: value for key, value in row.items() if key != "step"})
    return dict(sorted(found.items()))


def _heard(row: Mapping[str, Any]) -> Heard:
    figures = {key: value for key, value in row.items() if key not in ("step", "file", "speaker", "silent")}
    speaker = row["speaker"] if isinstance(row["speaker"], str) else None
    return Heard(int(row["step"]), str(row["file"]), speaker, figures)
