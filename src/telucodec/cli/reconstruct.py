"""`telucodec reconstruct`."""

import argparse
from pathlib import Path

from rich.console import Console

from telucodec.cli.loading import load

DESCRIPTION = """\
Code and decode one audio file with a trained codec, so that one can hear what it does.

The input may be WAV, FLAC, OGG, MP3 or Opus of any sample rate; each channel is coded by itself at the codec's sample
rate, and the output is written at that rate.

example:
  telucodec reconstruct runs/embedded_default/2026-01-31_12-00-00 in.wav out.wav
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("source", type=Path, metavar="IN", help="audio file to code")
    parser.add_argument("dest", type=Path, metavar="OUT", help="WAV or FLAC file to write")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read, code, decode, write, and say how close it came."""
    load("telucodec.models.stored")
    import numpy as np
    import torch

    from telucodec.audio.files import read, write
    from telucodec.audio.resample import resample
    from telucodec.build import build
    from telucodec.data.level import Level
    from telucodec.errors import InputError
    from telucodec.metrics.level import Moments
    from telucodec.models.stored import load_codec

    if options.dest.suffix.lower() not in (".wav", ".flac"):
        raise InputError(f"{options.dest}: the output must end in .wav or .flac.")
    if options.dest.exists() and options.source.exists() and options.dest.samefile(options.source):
        raise InputError(f"{options.dest}: is the input itself. Choose another name for the output.")
    codec, config = load_codec(options.run_folder)
    level = build(config["level"], "level", Level)
    source, rate = read(options.source)
    if not source.size:
        raise InputError(f"{options.source}: holds no samples. Choose another recording.")
    if not np.isfinite(source).all():
        raise InputError(f"{options.source}: holds samples that are not finite. Export it again.")
    channels = resample(source, rate, codec.sample_rate)
    audio = torch.from_numpy(np.stack([level(channel[None], codec.sample_rate) for channel in channels]))
    with torch.no_grad():
        decoded = codec(audio).audio
    write(options.dest, decoded[:, 0].clamp(-1, 1).numpy(), codec.sample_rate)
    figures = Moments.of(audio, decoded).figures()
    console = Console()
    if rate != codec.sample_rate:
        console.print(f"resampled from {rate} to {codec.sample_rate} Hz, the codec's rate", highlight=False)
    console.print(
        f"{options.dest}: {audio.shape[-1] / codec.sample_rate:.2f} s, {audio.shape[0]} channel(s), "
        f"{codec.bitrate:.2f} kbit/s each\n"
        f"SNR {figures['snr']:.2f} dB, RMS ratio {figures['rms_ratio']:.3f}, rho {figures['rho']:.3f}",
        highlight=False,
        soft_wrap=True,
    )
    return 0
