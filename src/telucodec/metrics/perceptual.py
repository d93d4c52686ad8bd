"""Perceptual scores from the `perceptual` extra: PESQ, STOI, ViSQOL."""

import math
from importlib import import_module
from importlib.metadata import version
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from telucodec.errors import InputError


class Perceptual:
    """PESQ-WB (about 1 to 4.64), STOI (0 to 1) and ViSQOL in speech mode (1 to 5), all at 16 kHz.

    An utterance that a score cannot judge (PESQ needs speech) gets NaN, which the summary counts.

    Raises:
        InputError: the extra is not installed.
    """

    def __init__(self) -> None:
        self.pesq, self.stoi, self.visqol = _load("pesq"), _load("pystoi"), _load("visqol")
        self.judge = self.visqol.VisqolApi()
        self.judge.create(mode="speech", use_lattice_model=False)  # the same mapping on every machine

    def __call__(self, target: Tensor, audio: Tensor, sample_rate: int) -> dict[str, float]:
        """Scores of one utterance, target and audio [1, 1, T].

        Raises:
            InputError: the sample rate is not 16000 Hz.
        """
        if sample_rate != 16000:
            raise InputError(
                f"PESQ-WB is defined at 16000 Hz, the codec runs at {sample_rate} Hz. Leave --perceptual out."
            )
        y, x = (signal.flatten().cpu().numpy().astype(np.float64) for signal in (target, audio))
        return {
            "pesq_wb": self._pesq(y, x),
            "stoi": float(self.stoi.stoi(y, x, sample_rate)),
            "visqol": self._visqol(y, x),
        }

    def describe(self) -> dict[str, object]:
        """Versions and modes, for the record."""
        return {
            "pesq": f"pesq {version('pesq')}, mode wb",
            "stoi": f"pystoi {version('pystoi')}, not extended",
            "visqol": f"visqol-python {version('visqol-python')}, mode speech, polynomial mapping",
        }

    def _pesq(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> float:
        try:
            return float(self.pesq.pesq(16000, y, x, "wb"))
        except self.pesq.PesqError:
            return math.nan

    def _visqol(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> float:
        try:
            return float(self.judge.measure_from_arrays(y, x, 16000).moslqo)
        except (ValueError, RuntimeError):
            return math.nan


def _load(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:
        raise InputError(
            "PESQ, STOI and ViSQOL need the perceptual extra: pip install 'telucodec[perceptual]'"
        ) from None
