"""From a file of any rate and layout to one mono signal."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from telucodec.audio.files import probe, read_blocks
from telucodec.audio.resample import resample_blocks, to_mono


def decode(path: Path, sample_rate: int) -> tuple[NDArray[np.float32], int]:
    """Decode a file, mix it to mono and change its sample rate, a block at a time.

    Args:
        path: any format of `telucodec.audio.files.EXTENSIONS`.
        sample_rate: wanted, Hz.

    Returns:
        Audio [1, T] (full scale = 1, may exceed it) and the sample rate of the file in Hz. Memory follows the
        result, not the source, which is never held whole.

    Raises:
        InputError: missing, not an audio file, or damaged; the message names it.
    """
    source_rate = probe(path).sample_rate
    mono = (to_mono(block) for block in read_blocks(path))
    pieces = list(resample_blocks(mono, source_rate, sample_rate))
    return np.concatenate([np.zeros((1, 0), np.float32), *pieces], axis=1), source_rate


def to_int16(audio: NDArray[np.float32]) -> NDArray[np.int16]:
    """Round to 16 bit: full scale = 32768, so that a 16-bit file decoded and stored again keeps every sample.

    Args:
        audio: any shape, full scale = 1; what is beyond is clipped.

    >>> to_int16(np.array([-1.0, -0.5, 0.25, 1.0], np.float32)).tolist()
    [-32768, -16384, 8192, 32767]
    """
    rounded: NDArray[np.int16] = np.clip(np.rint(audio * np.float32(32768)), -32768, 32767).astype(np.int16)
    return rounded
