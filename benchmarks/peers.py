"""The other libraries' ways of doing what ours does, one function a peer."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch


def audiotools_crops(files: list[Path], sample_rate: int, seconds: float, cutoff: float | None) -> Callable[[], Any]:
    """Descript-audiotools' loader, which DAC trains with: each call gives one crop of a file drawn at random.

    It was written for older versions of torchaudio: what is no longer there is lent to it, as fast as it was then.

    Args:
        files: to draw from.
        sample_rate: of the crops, Hz.
        seconds: length of a crop.
        cutoff: crops are drawn until one is as loud as that (DAC: -40 dB) or eight were; None: the first is taken.
    """
    lend_torchaudio()
    from audiotools.data.datasets import AudioLoader

    loader = AudioLoader.__new__(AudioLoader)  # its constructor looks for files in folders
    loader.audio_lists = [[{"path": str(file)} for file in files]]
    loader.sources, loader.weights, loader.transform = ["files"], None, None
    state = np.random.RandomState(0)
    return lambda: loader(state, sample_rate, seconds, loudness_cutoff=cutoff)["signal"].audio_data


def lend_torchaudio() -> None:
    """Give torchaudio the parts that audiotools 0.7.2 asks for: headers by soundfile, filters by SciPy's C code."""
    import soundfile
    import torchaudio
    from scipy.signal import lfilter

    def info(path: str) -> SimpleNamespace:
        found = soundfile.info(path)
        return SimpleNamespace(sample_rate=found.samplerate, num_frames=found.frames)

    def filtered(audio: torch.Tensor, a: torch.Tensor, b: torch.Tensor, clamp: bool = True) -> torch.Tensor:
        assert not clamp, "audiotools clamps nothing"
        made = lfilter(b.double().numpy(), a.double().numpy(), audio.double().numpy())
        return torch.from_numpy(made).to(audio.dtype)

    torchaudio.info, torchaudio.functional.lfilter = info, filtered
