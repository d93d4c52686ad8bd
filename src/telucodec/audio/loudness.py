"""Loudness as people hear it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torchaudio.functional import loudness

LEAST_SECONDS = 0.5  # shorter signals are measured with silence behind them


def lufs(audio: NDArray[np.floating], sample_rate: int) -> float:
    """Integrated loudness of one channel in LUFS; -inf for silence.

    Args:
        audio: shape [1, T], full scale = 1.
        sample_rate: in Hz.

    Source: ITU-R BS.1770-4, by torchaudio, whose filters keep to the standard within 0.5 dB.

    >>> t = np.arange(48000) / 48000
    >>> round(lufs(np.sin(2 * np.pi * 997 * t)[None], 48000), 1)  # the standard says -3.0
    -3.3
    """
    padded = np.pad(audio, ((0, 0), (0, max(0, round(LEAST_SECONDS * sample_rate) - audio.shape[1]))))
    measured = float(loudness(torch.from_numpy(padded.astype(np.float64)), sample_rate))
    return measured if np.isfinite(measured) else -np.inf
