"""Signals as pictures: waveforms and spectrograms side by side."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from telucodec.audio.stft import stft

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage


def compare(target: Tensor, audio: Tensor, sample_rate: int, title: str) -> "Figure":
    """Waveform and spectrogram of target, output and their difference, on common scales.

    Args:
        target: the signal to reproduce, [T].
        audio: the decoded signal, [T].
        sample_rate: in Hz.
        title: of the whole picture.
    """
    from matplotlib.figure import Figure

    signals = {"target": target, "output": audio, "difference": audio - target}
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    axes = figure.subplots(2, 3, sharex=True, height_ratios=(1, 1.6))
    peak = max(0.05, *(float(s.abs().max()) for s in signals.values() if len(s)))
    seconds = np.arange(len(target)) / sample_rate
    for column, (name, signal) in enumerate(signals.items()):
        wave, picture = axes[0, column], axes[1, column]
        wave.plot(seconds, signal.numpy(), linewidth=0.4, color="#d55e00" if name == "difference" else "#0072b2")
        wave.set(title=name, ylim=(-peak, peak))
        wave.tick_params(labelleft=column == 0)
        mesh = _spectrogram(picture, signal, sample_rate)
        picture.tick_params(labelleft=column == 0)
        picture.set_xlabel("seconds")
    axes[0, 0].set_ylabel("sample, full scale = 1")
    axes[1, 0].set_ylabel("kHz")
    figure.colorbar(mesh, ax=axes[1, :], label="dB", pad=0.01)
    figure.suptitle(title)
    return figure


def pixels(figure: "Figure") -> NDArray[np.uint8]:
    """A figure as it is seen, [height, width, 4] of red, green, blue and opacity: drawn once, whatever it is for."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def _spectrogram(axes: "Axes", signal: Tensor, sample_rate: int, n_fft: int = 512) -> "AxesImage":
    spectrum = stft(signal[None, None], n_fft, n_fft // 4).abs()[0, 0] / (n_fft / 4)
    level = 20 * torch.log10(spectrum.clamp(min=1e-6)).numpy()
    extent = (0.0, len(signal) / sample_rate, 0.0, sample_rate / 2000)
    return axes.imshow(level, origin="lower", aspect="auto", extent=extent, vmin=-100, vmax=-20, cmap="magma")
