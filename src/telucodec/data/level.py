"""How loud a recording is when the codec gets it: one policy for training crops and whole utterances alike."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from telucodec.audio.level import rms
from telucodec.audio.loudness import lufs
from telucodec.errors import above

Signal = NDArray[np.float32]
QUIET = 1e-5  # quieter signals (-100 dBFS) are noise that nobody wants at full scale: they stay as they are


class Level(Protocol):
    """Changes the level of one signal [1, T]."""

    def __call__(self, audio: Signal, sample_rate: int) -> Signal: ...


class AsRecorded:
    """Leave signals at their own level."""

    def __call__(self, audio: Signal, sample_rate: int) -> Signal:
        return audio


class Peak:
    """Scale each signal so that its largest sample is full scale times a factor: loud and quiet become alike.

    A training crop is scaled by its own peak, an utterance by its own: the longer, the quieter.

    Args:
        peak: largest magnitude afterwards, full scale = 1, > 0.
    """

    def __init__(self, *, peak: float) -> None:
        above(0, peak=peak)
        self.peak = peak

    def __call__(self, audio: Signal, sample_rate: int) -> Signal:
        found = float(np.abs(audio).max(initial=0.0))
        return _scaled(audio, self.peak / found) if found > QUIET else audio


class Clip:
    """Cut samples off at a limit; most recordings lie within full scale, and are not changed.

    Args:
        limit: largest magnitude afterwards, > 0.
    """

    def __init__(self, *, limit: float) -> None:
        above(0, limit=limit)
        self.limit = limit

    def __call__(self, audio: Signal, sample_rate: int) -> Signal:
        return audio.clip(-self.limit, self.limit)


class RMS:
    """Scale each signal to one RMS level.

    Args:
        dbfs: the level, dBFS, <= 0; -16 is an RMS of 0.158.
    """

    def __init__(self, *, dbfs: float) -> None:
        above(-200, dbfs=dbfs)
        if dbfs > 0:
            raise ValueError(f"dbfs must be <= 0, got {dbfs}")
        self.dbfs = dbfs

    def __call__(self, audio: Signal, sample_rate: int) -> Signal:
        found = rms(audio)
        return _scaled(audio, 10 ** (self.dbfs / 20) / found) if found > QUIET else audio


class LUFS:
    """Scale each signal to one loudness, then down again where a sample would exceed full scale.

    Args:
        lufs: the loudness, LUFS, <= 0.

    Source: ITU-R BS.1770-4; as the training data of Kumar et al. 2023, arXiv:2306.06546, are.
    """

    def __init__(self, *, lufs: float) -> None:
        above(-200, lufs=lufs)
        if lufs > 0:
            raise ValueError(f"lufs must be <= 0, got {lufs}")
        self.lufs = lufs

    def __call__(self, audio: Signal, sample_rate: int) -> Signal:
        found = lufs(audio, sample_rate)
        if rms(audio) <= QUIET or not np.isfinite(found):
            return audio
        audio = _scaled(audio, 10 ** ((self.lufs - found) / 20))
        return _scaled(audio, 1 / max(1.0, float(np.abs(audio).max())))


class ZeroMean:
    """Subtract each signal's mean: recordings with a constant offset lose it."""

    def __call__(self, audio: Signal, sample_rate: int) -> Signal:
        return np.asarray(audio - audio.mean(axis=1, keepdims=True), dtype=np.float32)


def _scaled(audio: Signal, factor: float) -> Signal:
    return np.asarray(audio * factor, dtype=np.float32)
