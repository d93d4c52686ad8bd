"""Frozen listeners whose features a codec's latent may be taught to hold."""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from telucodec.audio.resample import resample
from telucodec.audio.stft import log_mel
from telucodec.errors import InputError, above, at_least

OWN = {"local_files_only": True, "trust_remote_code": False}  # nothing is fetched, and no code of the folder is run


class Teacher(Protocol):
    """Never trained and no part of a checkpoint: it is no module, and follows the audio to its device."""

    dim: int

    def features(self, audio: Tensor) -> Tensor: ...


class MelTeacher:
    """Log-mel magnitudes above a floor: a teacher that needs no download.

    Args:
        sample_rate: of the audio, Hz.
        n_fft: window length in samples, >= 16.
        hop_length: samples from frame to frame, >= 1.
        n_mels: number of mel bands, the width of the features.
        floor: magnitudes below it count as it, > 0; features are 0 there.
    """

    def __init__(self, *, sample_rate: int, n_fft: int, hop_length: int, n_mels: int, floor: float) -> None:
        above(0, sample_rate=sample_rate, floor=floor)
        at_least(16, n_fft=n_fft)
        at_least(1, hop_length=hop_length, n_mels=n_mels)
        self.sample_rate, self.n_fft, self.hop_length, self.floor = sample_rate, n_fft, hop_length, floor
        self.dim = n_mels
        self.silence = torch.tensor(floor).log().item()

    def features(self, audio: Tensor) -> Tensor:
        """Audio [B, C, T] to features [B, n_mels, 1 + T // hop_length], of the mean over channels."""
        mono = audio.mean(1, keepdim=True)
        mel = log_mel(mono, self.sample_rate, self.n_fft, self.hop_length, self.dim, self.floor)
        return mel[:, 0] - self.silence


class TransformersTeacher:
    """One layer of a self-supervised speech model (wav2vec 2.0, HuBERT, WavLM) from a local folder.

    Args:
        folder: with the model's config.json, weights and preprocessor_config.json, as `save_pretrained` writes them;
            nothing is downloaded. None: not given yet.
        layer: which hidden states are the features: 0 the input of the Transformer, its number of layers the last.
        sample_rate: of the audio, Hz; resampled where the model listens at another.

    Raises:
        InputError: `transformers` is not installed, or the folder holds no such model.
        ValueError: the model has no such layer.

    Source: Chen et al. 2021, arXiv:2110.13900 (WavLM); taught to a codec by Zhang et al. 2023, arXiv:2308.16692.
    """

    def __init__(self, *, folder: str | None, layer: int, sample_rate: int) -> None:
        above(0, sample_rate=sample_rate)
        at_least(0, layer=layer)
        self.model, wanted = _load(folder)
        if layer > self.model.config.num_hidden_layers:
            raise ValueError(f"layer must be <= {self.model.config.num_hidden_layers} in {folder}, got {layer}")
        self.layer, self.sample_rate, self.own_rate = layer, sample_rate, int(wanted.sampling_rate)
        self.normalized = bool(wanted.do_normalize)
        self.dim = int(self.model.config.hidden_size)

    def features(self, audio: Tensor) -> Tensor:
        """Audio [B, C, T] to features [B, dim, frames of the model], of the mean over channels."""
        mono = audio.float().mean(1)
        if self.own_rate != self.sample_rate:
            resampled = resample(mono.cpu().numpy(), self.sample_rate, self.own_rate)
            mono = torch.from_numpy(resampled).to(audio.device)
        if self.normalized:
            mono = (mono - mono.mean(1, keepdim=True)) / (mono.var(1, keepdim=True, correction=0) + 1e-7).sqrt()
        with torch.no_grad():
            heard = self.model.to(audio.device)(mono, output_hidden_states=True)
        states: Tensor = heard.hidden_states[self.layer]
        return states.transpose(1, 2)


def _load(folder: str | None) -> tuple[Any, Any]:
    try:
        transformers: Any = import_module("transformers")
    except ImportError:
        raise InputError(
            "teacher=transformers needs the package `transformers`: run `pip install 'telucodec[teacher]'`, or choose "
            "teacher=mel."
        ) from None
    if folder is None:
        raise InputError("teacher=transformers needs a model on disk: add teacher.folder=PATH, or choose teacher=mel.")
    cure = "Give teacher.folder the folder of a wav2vec 2.0, HuBERT or WavLM model, or choose teacher=mel"
    if not Path(folder).is_dir():
        raise InputError(f"{folder}: there is no such folder. {cure}.")
    try:
        model: Any = transformers.AutoModel.from_pretrained(folder, **OWN)
        wanted: Any = transformers.AutoFeatureExtractor.from_pretrained(folder, **OWN)
    except Exception as error:  # transformers raises whatever its parts raise
        raise InputError(f"{folder}: transformers finds no speech model in it. {cure}. ({error})") from None
    if not hasattr(model.config, "conv_stride"):
        raise InputError(f"{folder}: holds a '{model.config.model_type}' model, which does not read samples. {cure}.")
    return model.eval().requires_grad_(False), wanted
