"""One resampler for everything: soxr at its highest quality."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr
from numpy.typing import NDArray

RESAMPLER = f"soxr {soxr.__version__} VHQ"  # written into manifests and results


def resample(audio: NDArray[np.float32], source_rate: int, sample_rate: int) -> NDArray[np.float32]:
    """Change the sample rate; the same array when the rates agree.

    Args:
        audio: shape [C, T].
        source_rate: of `audio`, Hz.
        sample_rate: wanted, Hz.

    Shape:
        - Output: [C, about T * sample_rate / source_rate].

    >>> resample(np.zeros((2, 44100), np.float32), 44100, 16000).shape
    (2, 16000)
    """
    if source_rate == sample_rate:
        return audio
    out: NDArray[np.float32] = soxr.resample(audio.T, source_rate, sample_rate, quality="VHQ").T
    return out


def resample_blocks(
    blocks: Iterable[NDArray[np.float32]], source_rate: int, sample_rate: int
) -> Iterator[NDArray[np.float32]]:
    """Change the sample rate of a mono signal that comes in pieces: together what `resample` gives for the whole.

    Args:
        blocks: shape [1, T] each, in order.
        source_rate: of `blocks`, Hz.
        sample_rate: wanted, Hz.

    >>> noise = np.random.default_rng(0).standard_normal((1, 9000)).astype(np.float32)
    >>> pieces = list(resample_blocks(np.split(noise, 9, axis=1), 48000, 16000))
    >>> np.array_equal(np.concatenate(pieces, axis=1), resample(noise, 48000, 16000))
    True
    """
    if source_rate == sample_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(source_rate, sample_rate, 1, dtype="float32", quality="VHQ")
    for block in blocks:
        yield stream.resample_chunk(block[0])[None]
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)[None]


def to_mono(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over channels: [C, T] to [1, T].

    >>> to_mono(np.array([[1.0, 0.0], [0.0, 0.5]], np.float32))
    array([[0.5 , 0.25]], dtype=float32)
    """
    mono: NDArray[np.float32] = audio.mean(axis=0, keepdims=True, dtype=np.float32)
    return mono
