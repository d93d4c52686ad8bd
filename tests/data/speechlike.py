"""Signals and trees that the tests of the data room share."""

from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console

QUIET = Console(quiet=True)


def signal(seconds: float = 1.0, seed: int = 0, sample_rate: int = 16000, level: float = 0.1) -> np.ndarray:
    """Wide-band noise under a slow envelope, shape [T], RMS about `level`."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    noise = rng.standard_normal(len(t)) * (1.2 + np.sin(2 * np.pi * 3 * t))
    return level * noise / max(1e-9, np.sqrt(np.mean(noise**2)))


def save(path: Path, audio: np.ndarray | None = None, sample_rate: int = 16000, **form: str) -> Path:
    """Write audio [T] or [T, C] with soundfile, making folders; by default a second of `signal` seeded by the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if audio is None:
        audio = signal(seed=sum(path.name.encode()), sample_rate=sample_rate)
    soundfile.write(path, np.clip(audio, -1, 1) if "subtype" not in form else audio, sample_rate, **form)
    return path


def text(path: Path, content: str) -> Path:
    """Write a text file, making folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path
