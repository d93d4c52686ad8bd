"""Short-time spectra and mel filters, always in float32; torchaudio is imported here alone."""

import warnings
from functools import lru_cache

import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from telucodec.precision import in_float32


def stft(audio: Tensor, n_fft: int, hop_length: int, *, scaled: bool = False, centred: bool = True) -> Tensor:
    """Short-time Fourier transform with a Hann window as long as the transform, edges reflected.

    Args:
        audio: any real dtype; computed in float32 whatever the trainer's precision.
        n_fft: transform length in samples; audio too short to be reflected is padded with zeros first.
        hop_length: in samples.
        scaled: divide by the root of the window's energy, so that white noise keeps its variance.
        centred: frame i is centred on sample i * hop_length; else half a hop later, which gives one frame a hop, the
            last one completed with zeros.

    Shape:
        - Input: [B, C, T]. Output: complex [B, C, n_fft // 2 + 1, F] with F = 1 + T // hop_length where centred, else
          T / hop_length rounded up.
    """
    with in_float32(audio.device):
        flat = audio.float().flatten(0, 1)
        side = n_fft // 2 if centred else (n_fft - hop_length) // 2
        flat = torch.nn.functional.pad(flat, (0, max(0, side + 1 - flat.shape[-1])))
        if not centred:
            tail = -(flat.shape[-1] + 2 * side - n_fft) % hop_length
            flat = torch.nn.functional.pad(torch.nn.functional.pad(flat, (side, side), "reflect"), (0, tail))
        window = _window(n_fft, flat.device)
        spectrum = torch.stft(flat, n_fft, hop_length, window=window, center=centred, return_complex=True)
        spectrum = spectrum / window.square().sum().sqrt() if scaled else spectrum
        return spectrum.view(*audio.shape[:2], *spectrum.shape[1:])


def magnitude(spectrum: Tensor) -> Tensor:
    """Absolute value of a complex spectrum, with gradient zero (not NaN) at zero."""
    return spectrum.abs()


def mel_filters(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    device: torch.device,
    *,
    lowest: float = 0.0,
    equal_area: bool = True,
    scale: str = "slaney",
) -> Tensor:
    """Triangular filters on a mel scale up to the Nyquist frequency.

    Args:
        sample_rate: Hz.
        n_fft: transform length in samples; a filter narrower than its resolution may hold no bin and stay zero.
        n_mels: number of filters.
        device: of the result.
        lowest: where the first filter begins, Hz.
        equal_area: triangles of equal area; else of height 1.
        scale: slaney (linear below 1 kHz), or htk (logarithmic throughout).

    Shape:
        - Output: [n_mels, n_fft // 2 + 1].

    Source: Slaney 1998, Auditory Toolbox; the same as librosa.filters.mel, by default with its defaults.
    """
    return _filters(sample_rate, n_fft, n_mels, lowest, equal_area, scale, device)


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
def _filters(
    sample_rate: int, n_fft: int, n_mels: int, lowest: float, equal_area: bool, scale: str, device: torch.device
) -> Tensor:
    norm = "slaney" if equal_area else None
    with warnings.catch_warnings():  # empty filters are part of published settings
        warnings.filterwarnings("ignore", "At least one mel filterbank")
        bank: Tensor = melscale_fbanks(n_fft // 2 + 1, lowest, sample_rate / 2, n_mels, sample_rate, norm, scale)
    return bank.t().contiguous().to(device)  # once: a copy to the device makes the host wait
