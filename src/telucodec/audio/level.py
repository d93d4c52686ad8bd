"""Level and bandwidth of a signal, in numpy: used where torch is too slow to import."""

import numpy as np
from numpy.typing import NDArray

FLOOR_DBFS = -200.0  # what a level of exactly zero is reported as, so that it stays a number in JSON


def dbfs(amplitude: float) -> float:
    """Amplitude (full scale = 1) to dBFS, at least -200.

    Source: 20 log10 of amplitude; a full-scale square wave is 0 dBFS, a full-scale sine's RMS is -3.01 dBFS.

    >>> dbfs(1.0), dbfs(0.1), dbfs(0.0)
    (0.0, -20.0, -200.0)
    """
    return max(FLOOR_DBFS, float(20 * np.log10(amplitude))) if amplitude > 0 else FLOOR_DBFS


def rms(audio: NDArray[np.floating]) -> float:
    """Root mean square over all samples, accumulated in float64; 0.0 for no samples.

    >>> rms(np.array([3.0, 4.0, -3.0, -4.0]) / 10)
    0.3535533905932738
    """
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0


def bandwidth(audio: NDArray[np.floating], sample_rate: int, drop_db: float = 45.0) -> float:
    """Frequency in Hz above which the long-term spectrum stays `drop_db` below its peak.

    A telephone-band recording stored at 16 kHz gives about 3400-4000 Hz, a clean wide-band one 7000-8000 Hz.
    Spectra of 32 ms Hann frames are averaged in power, then smoothed over 250 Hz.

    Args:
        audio: one channel, shape [T].
        sample_rate: in Hz.
        drop_db: how far below the peak counts as empty, in dB, > 0.

    Returns:
        Hz in [0, sample_rate / 2]; 0.0 for silence.

    >>> t = np.arange(16000) / 16000
    >>> 990 <= bandwidth(np.sin(2 * np.pi * 1000 * t), 16000) <= 1300
    True
    """
    size = max(64, 2 ** int(np.log2(0.032 * sample_rate)))
    if len(audio) < size:
        audio = np.pad(audio, (0, size - len(audio)))
    frames = np.lib.stride_tricks.sliding_window_view(audio, size)[:: size // 2]
    power = np.zeros(size // 2 + 1)
    for block in np.array_split(frames, max(1, len(frames) // 2000)):
        power += (np.abs(np.fft.rfft(block * np.hanning(size))) ** 2).sum(axis=0)
    width = max(1, round(250 * size / sample_rate))
    power = np.convolve(power, np.ones(width) / width, mode="same")
    loud = np.flatnonzero(power > power.max() * 10 ** (-drop_db / 10))
    return float(loud[-1] * sample_rate / size) if power.max() > 0 else 0.0
