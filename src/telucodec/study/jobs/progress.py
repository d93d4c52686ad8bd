"""How far a run is, from the files that it writes while it trains."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telucodec.diagnosis.label import diagnose
from telucodec.errors import InputError
from telucodec.reading import Kinds, from_json, held, read_json

ROW: Kinds = {"step": int, "seconds": (int, float)}  # what every row has
SHOWN = (("val/snr", "SNR, dB", "{:.2f}"), ("val/rms_ratio", "RMS ratio", "{:.3f}"), ("val/rho", "rho", "{:.3f}"))


@dataclass
class Following:
    """A run's metrics.jsonl, read as it grows: each line once."""

    path: Path
    step: int = 0
    seconds: float = 0.0  # wall time of the run, earlier attempts included
    figures: dict[str, float] = field(default_factory=dict)  # of the newest validation
    untrained: dict[str, float] = field(default_factory=dict)  # of the one before the first step
    offset: int = 0
    file: int = 0  # which one it was: a run that goes on begins a new one

    def read(self) -> None:
        """Take in what was written since the last time."""
        try:
            now = self.path.stat()
            if now.st_ino != self.file or now.st_size < self.offset:
                self.file, self.offset = now.st_ino, 0
            if now.st_size == self.offset:
                return
            with self.path.open("rb") as lines:
                lines.seek(self.offset)
                new = lines.read()
        except OSError:  # there is none yet
            return
        whole = new.rpartition(b"\n")[0]  # the last line may be half written
        self.offset += len(whole) + bool(whole)
        for line in whole.splitlines():
            with suppress(ValueError):  # whoever reads the record for its own sake is told of a damaged line
                self._take(held(from_json(line.decode(), self.path.name), ROW, self.path.name))

    @property
    def label(self) -> str:
        """One word for how the newest validation came out; empty before there is one."""
        try:
            return diagnose(self.figures, self.untrained).label if self.figures else ""
        except (KeyError, ValueError):
            return ""

    @property
    def rate(self) -> float:
        """Steps a second, over the whole run; 0 while nothing is known."""
        return self.step / self.seconds if self.seconds else 0.0

    def _take(self, row: dict[str, Any]) -> None:
        self.step, self.seconds = int(row["step"]), row["seconds"]
        if "val/snr" in row or row["step"] == self.figures.get("step"):  # probes have rows of their own
            known = {key: value for key, value in row.items() if isinstance(value, int | float)}
            self.figures = (self.figures if row["step"] == self.figures.get("step") else {}) | known
            if row["step"] == 0:
                self.untrained = self.figures


def ended_with(folder: Path) -> tuple[dict[str, float], str]:
    """The last figures of a run that reached its end, and its label; nothing of one that did not."""
    try:
        told = held(read_json(folder / "summary.json"), {}, "summary.json")
    except InputError:
        return {}, ""
    final, diagnosis = (dict(told[key]) if isinstance(told.get(key), dict) else {} for key in ("final", "diagnosis"))
    figures = {key: value for key, value in final.items() if isinstance(value, int | float)}
    return figures, str(diagnosis.get("label") or "")


def cells(figures: dict[str, float]) -> list[str]:
    """The figures of `SHOWN` as a table has them; what is not there is empty."""
    return [form.format(figures[key]) if figures.get(key) is not None else "" for key, _, form in SHOWN]


def spoken(figures: dict[str, float], label: str) -> str:
    """Figures as words.

    >>> spoken({"val/snr": 3.0, "val/rho": 0.7071}, "healthy")
    'SNR 3.00 dB, rho 0.707, healthy'
    """
    parts = []
    for key, name, form in SHOWN:
        if figures.get(key) is not None:
            name, _, unit = name.partition(", ")
            parts.append(f"{name} {form.format(figures[key])}{f' {unit}' if unit else ''}")
    return ", ".join([*parts, *([label] if label else [])])
