"""Where the speech of a recording begins and ends."""

import numpy as np
from numpy.typing import NDArray


def trim_silence(
    audio: NDArray[np.float32], sample_rate: int, trim_db: float, margin_seconds: float = 0.1
) -> NDArray[np.float32]:
    """Cut the silence before and after, keeping a margin on both sides.

    Args:
        audio: shape [1, T].
        sample_rate: in Hz.
        trim_db: frames so far below the loudest one count as silent, dB > 0.
        margin_seconds: kept on each side as far as it is there, >= 0.

    Returns:
        Audio [1, at most T]; nothing is cut from digital silence, which is for the caller to refuse.

    Source: librosa.effects.trim (frames of 2048 samples every 512).

    >>> tone = np.sin(np.arange(8000) / 3).astype(np.float32)
    >>> padded = np.pad(tone, 16000)[None]
    >>> abs(trim_silence(padded, 16000, 40.0).shape[1] - (8000 + 2 * 1600)) <= 2 * 2048
    True
    """
    from librosa.effects import trim  # takes a second to import, and only those who trim need it

    if not audio.any():
        return audio
    _, (start, end) = trim(audio[0], top_db=trim_db)
    margin = round(margin_seconds * sample_rate)
    return audio[:, max(0, int(start) - margin) : int(end) + margin]
