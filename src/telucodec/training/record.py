"""The record of a run: files that a program can read years later. TensorBoard shows the same, and is no record."""

import json
import math
import os
import platform
import subprocess
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from telucodec.disk import opened, write_text
from telucodec.errors import InputError
from telucodec.metrics.evaluation import Row
from telucodec.reading import from_json, held, read_text
from telucodec.training.version import code_version

UTTERANCES = "utterances.jsonl"  # one row a validation and utterance
INCIDENTS = "incidents.jsonl"  # one row a step that was not finite, or a file that could not be read; mostly none
STEP = {"step": int}  # what every row has
PACKAGES = ("telucodec", "torch", "torchaudio", "lightning", "hydra-core", "omegaconf", "numpy", "soundfile", "soxr")


class RunRecord(Logger):
    """Writes metrics.jsonl (one row a logging), run.json (what, when, where, how it ended) and summary.json.

    Where something went wrong on the way, incidents.jsonl says when, what and in which files.

    Args:
        folder: of the run.
        step: rows after it are dropped: they belong to an attempt that was lost.
    """

    def __init__(self, folder: Path, step: int) -> None:
        super().__init__()
        self.folder, self.start, self.latest = folder, step, dict[str, float]()
        self.rows = [row for row in read_rows(folder / "metrics.jsonl") if row["step"] <= step] if step else []
        self.clock = time.monotonic() - (self.rows[-1].get("seconds", 0.0) if self.rows else 0.0)

    def begin(self) -> None:
        """Make the folder, and start metrics.jsonl from the rows that are kept."""
        write_text(self.folder / "metrics.jsonl", "".join(_line(row) for row in self.rows))
        if (path := self.folder / INCIDENTS).exists():
            write_text(path, "".join(_line(row) for row in read_lines(path) if row["step"] <= self.start))

    @property
    def name(self) -> str:
        return self.folder.parent.name

    @property
    def version(self) -> str:
        return self.folder.name

    @property
    def seconds(self) -> float:
        """Wall time of the run so far, earlier attempts included."""
        return time.monotonic() - self.clock

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = {"step": step or 0, "seconds": round(self.seconds, 3)} | {k: float(v) for k, v in metrics.items()}
        self.rows.append(row)
        self.latest |= row
        _append(self.folder / "metrics.jsonl", _line(row))

    @rank_zero_only
    def tell(self, row: Mapping[str, Any]) -> None:
        """Add a row to incidents.jsonl: the step, and what happened in it."""
        _append(self.folder / INCIDENTS, _line(row))

    def flush(self) -> None:
        """See to it that the rows so far outlive a loss of power, as the checkpoint does that comes after them.

        Raises:
            InputError: they cannot be written; the message names the file.
        """
        for path in (self.folder / "metrics.jsonl", self.folder / INCIDENTS):
            if path.exists():
                _append(path, "", last=True)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """config.yaml holds them already."""

    def history(self, key: str) -> list[tuple[int, float]]:
        """All (step, value) pairs of one key."""
        return [(int(row["step"]), row[key]) for row in self.rows if key in row]

    def row_at(self, key: str, step: int) -> dict[str, float]:
        """The last row with a key at or before a step; empty if there is none."""
        return next((row for row in reversed(self.rows) if key in row and row["step"] <= step), {})

    @rank_zero_only
    def keep(self, step: int, rows: Sequence[Row]) -> None:
        """Keep the figures of single utterances at one validation in utterances.jsonl, in place of older ones of it."""
        path = self.folder / UTTERANCES
        lines = [_line(row) for row in read_lines(path) if row["step"] < step]
        for row in rows:
            about: dict[str, Any] = {"step": step, "file": row.name, "speaker": row.speaker, "silent": row.silent}
            lines.append(_line(about | dict(row.figures)))
        write_text(path, "".join(lines))

    @rank_zero_only
    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file into the run folder; numbers that JSON lacks become null."""
        write_text(self.folder / name, json.dumps(plain(content), indent=2, ensure_ascii=False) + "\n")


def circumstances(command: Sequence[str], overrides: Sequence[str]) -> dict[str, Any]:
    """What a run was started with and on."""
    return {
        "command": list(command),
        "overrides": list(overrides),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": git_commit(),
        "code": code_version(),
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "process": os.getpid(),
    }


def git_commit() -> dict[str, Any] | None:
    """Commit of the source that runs, and whether it was changed since; None for an installed package."""
    try:
        tracked = ["--", ":/src", ":/conf"]
        return {"commit": _git("rev-parse", "HEAD"), "changed": bool(_git("status", "--porcelain", *tracked))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*words: str) -> str:
    here = Path(__file__).parent
    tracked = subprocess.run(["git", "ls-files", "--error-unmatch", __file__], cwd=here, capture_output=True)
    tracked.check_returncode()  # an installed package may lie inside somebody else's checkout
    return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()


def read_rows(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.jsonl in order; none if there is no such file. null becomes NaN.

    Raises:
        InputError: as `read_lines`, or a value is no number.
    """
    rows = [{k: math.nan if v is None else v for k, v in row.items()} for row in read_lines(path)]
    for row in rows:
        held(row, dict.fromkeys(row, (int, float)), str(path))
    return rows


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of the record, each with its step, in order; none if there is no such file.

    Raises:
        InputError: a line is damaged; the message names it. The last one of a killed run may be cut, and is left out.
    """
    lines, rows = read_text(path).split("\n") if path.exists() else [], []
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        try:
            rows += [held(from_json(line, where), STEP, where)] if line else []
        except InputError:
            if number < len(lines):
                raise
    return rows


def _append(path: Path, text: str, *, last: bool = False) -> None:
    try:
        with open(opened(path, os.O_APPEND), "a", encoding="utf-8") as file:
            file.write(text)
            if last:
                os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}). Free some space and resume.") from None


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(plain(row)) + "\n"


def plain(value: Any) -> Any:
    """Containers that JSON knows: numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
