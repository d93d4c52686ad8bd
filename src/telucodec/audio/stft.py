"""Short-time spectra and mel filters, always in float32; torchaudio is imported here alone."""

from functools import lru_cache

import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from telucodec.precision import in_float32


def stft(audio: Tensor, n_fft: int, hop_length: int, *, scaled: bool = False) -> Tensor:
    """Short-time Fourier transform with a Hann window as long as the transform, frames centred, edges reflected.

    Args:
        audio: any real dtype; computed in float32 whatever the trainer's precision.
        n_fft: transform length in samples; audio shorter than half of it is padded with zeros first.
        hop_length: in samples.
        scaled: divide by the root of the window's energy, so that white noise keeps its variance.

    Shape:
        - Input: [B, C, T]. Output: complex [B, C, n_fft // 2 + 1, 1 + T // hop_length].
    """
    with in_float32(audio.device):
        flat = audio.float().flatten(0, 1)
        flat = torch.nn.functional.pad(flat, (0, max(0, n_fft // 2 + 1 - flat.shape[-1])))
        window = _window(n_fft, flat.device)
        spectrum = torch.stft(flat, n_fft, hop_length, window=window, normalized=False, return_complex=True)
        spectrum = spectrum / window.square().sum().sqrt() if scaled else spectrum
        return spectrum.view(*audio.shape[:2], *spectrum.shape[1:])


def magnitude(spectrum: Tensor) -> Tensor:
    """Absolute value of a complex spectrum, with gradient zero (not NaN) at zero."""
    return spectrum.abs()


def mel_filters(sample_rate: int, n_fft: int, n_mels: int, device: torch.device) -> Tensor:
    """Triangular filters of equal area on the Slaney mel scale from 0 Hz to the Nyquist frequency.

    Shape:
        - Output: [n_mels, n_fft // 2 + 1].

    Source: Slaney 1998, Auditory Toolbox; the same as librosa.filters.mel(htk=False, norm="slaney").
    """
    return _filters(sample_rate, n_fft, n_mels).to(device)


def log_mel(audio: Tensor, sample_rate: int, n_fft: int, hop_length: int, n_mels: int, floor: float) -> Tensor:
    """Natural logarithm of the mel magnitude spectrum, not below log(floor).

    Shape:
        - Input: [B, C, T]. Output: [B, C, n_mels, 1 + T // hop_length].
    """
    with in_float32(audio.device):
        filters = mel_filters(sample_rate, n_fft, n_mels, audio.device)
        return (filters @ magnitude(stft(audio, n_fft, hop_length))).clamp(min=floor).log()


@lru_cache(maxsize=64)
def _window(n_fft: int, device: torch.device) -> Tensor:
    return torch.hann_window(n_fft, device=device)


@lru_cache(maxsize=64)
def _filters(sample_rate: int, n_fft: int, n_mels: int) -> Tensor:
    bank: Tensor = melscale_fbanks(n_fft // 2 + 1, 0.0, sample_rate / 2, n_mels, sample_rate, "slaney", "slaney")
    return bank.t().contiguous()
