"""What the arms sound like: a few utterances of one seed as FLAC, and their spectrograms, within a bound on size."""

import base64
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from telucodec.audio.files import read, write
from telucodec.audio.stft import stft
from telucodec.study.results.run import Ran
from telucodec.training.record import UTTERANCES, read_lines

FULL = 32767 / 32768  # what a 16-bit file cannot go beyond
N_FFT, WIDTH, SHADES = 256, 260, 40  # of spectrograms: bins below, frames about, levels of colour
LOUDEST, SOFTEST = -20.0, -100.0  # dB, the same in every picture
MOST_GAIN = 40.0  # dB: beyond, one would hear the rounding of 16 bits


@dataclass(frozen=True)
class Clip:
    """One sound with its picture."""

    name: str  # id in the page
    sound: str  # FLAC in base64
    picture: str  # PNG in base64
    seconds: float
    samples: int
    clipped: int  # samples at full scale
    rms: float
    peak: float

    @property
    def size(self) -> int:
        """Bytes in the page."""
        return len(self.sound) + len(self.picture)


@dataclass(frozen=True)
class Output:
    """One arm's output beside its target."""

    clip: Clip
    gain: float  # dB that bring it to the target's RMS without leaving full scale
    limited: bool  # whether full scale, or what 16 bits allow, keeps it below the target's RMS
    seed: int


@dataclass(frozen=True)
class Utterance:
    """One recording, as every arm gives it back."""

    title: str
    target: Clip
    outputs: Mapping[int, Output]  # number of the arm -> its output

    @property
    def size(self) -> int:
        """Bytes in the page."""
        return self.target.size + sum(heard.clip.size for heard in self.outputs.values())


@dataclass(frozen=True)
class Sounds:
    """All that can be heard, and what the bound on size left out."""

    utterances: Sequence[Utterance]
    dropped_utterances: int
    dropped_arms: Sequence[int]  # numbers
    unlike: Sequence[int]  # arms whose recordings are others than the first arm's


def gather(by_arm: Mapping[str, Sequence[Ran]], utterances: int, megabytes: float) -> Sounds:
    """Encode outputs of the first seed that each arm has sounds of; drop utterances, then arms, to keep within a bound.

    Args:
        by_arm: the runs, the reference first.
        utterances: at most so many, >= 0.
        megabytes: at most so much, in millions of bytes as they stand in the page.
    """
    sources = {number: ran for number, runs in enumerate(by_arm.values()) if (ran := _first(runs))}
    if not sources or not utterances:
        return Sounds([], 0, [], [])
    first = next(iter(sources.values()))
    wanted = min(utterances, len(list((first.folder / "audio").glob("utterance_*_target.wav"))))
    made: list[Utterance] = []
    unlike: set[int] = set()
    room = megabytes * 1e6
    for number in range(wanted):
        one, others = _utterance(number, first, sources)
        unlike |= others
        if made and one.size > room:
            break
        made.append(one)
        room -= one.size
    kept, dropped = _within(made, megabytes * 1e6)
    return Sounds(kept, wanted - len(kept), dropped, sorted(unlike))


def spectrogram(audio: NDArray[np.float32]) -> bytes:
    """A PNG of one channel's spectrum over time, -100 to -20 dB, low frequencies below.

    Args:
        audio: [T].
    """
    from matplotlib import colormaps

    hop = max(1, math.ceil(len(audio) / WIDTH))
    spectrum = stft(torch.from_numpy(audio)[None, None], N_FFT, hop).abs()[0, 0] / (N_FFT / 4)
    level = 20 * torch.log10(spectrum.clamp(min=1e-6))
    shade = ((level - SOFTEST) / (LOUDEST - SOFTEST)).clamp(0, 1).mul(SHADES - 1).round()
    image = Image.fromarray(shade.flip(0).to(torch.uint8).numpy(), mode="P")
    image.putpalette((colormaps["magma"](np.linspace(0, 1, SHADES))[:, :3] * 255).astype(np.uint8).tobytes())
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def clip(path: Path, name: str) -> Clip:
    """A sound file for the page, its first channel.

    Raises:
        InputError: it cannot be read.
    """
    audio, sample_rate = read(path)
    with tempfile.TemporaryDirectory() as folder:
        flac = Path(folder) / "clip.flac"
        write(flac, audio[:1], sample_rate)
        sound = flac.read_bytes()
    one = audio[0]
    rms, peak = (float(np.sqrt(np.mean(one.astype(np.float64) ** 2))), float(np.abs(one).max())) if len(one) else (0, 0)
    clipped = int((np.abs(one) >= FULL).sum())
    picture = spectrogram(one)
    return Clip(name, _text(sound), _text(picture), len(one) / sample_rate, len(one), clipped, rms, peak)


def matched(target: Clip, output: Clip) -> tuple[float, bool]:
    """Gain in dB that gives an output its target's RMS, and whether full scale or `MOST_GAIN` keeps it lower."""
    if not (target.rms > 0 and output.rms > 0):
        return 0.0, target.rms > 0
    wanted = 20 * math.log10(target.rms / output.rms)
    allowed = min(wanted, -20 * math.log10(output.peak), MOST_GAIN)
    return allowed, allowed < wanted


def _utterance(number: int, first: Ran, sources: Mapping[int, Ran]) -> tuple[Utterance, set[int]]:
    target = clip(_path(first, number, "target"), f"t{number}")
    outputs, unlike = {}, set()
    for arm, ran in sources.items():
        path = _path(ran, number, "output")
        if not path.exists():
            continue
        output = clip(path, f"u{number}a{arm}")
        if output.samples != target.samples:
            unlike.add(arm)
            continue
        outputs[arm] = Output(output, *matched(target, output), ran.seed)
    return Utterance(_title(first, number), target, outputs), unlike


def _within(made: Sequence[Utterance], room: float) -> tuple[list[Utterance], list[int]]:
    """The utterances as they are, or the only one without its last arms."""
    if len(made) != 1 or made[0].size <= room:
        return list(made), []
    outputs, room = {}, room - made[0].target.size
    for arm, heard in made[0].outputs.items():
        room -= heard.clip.size
        if room < 0:
            break
        outputs[arm] = heard
    dropped = [arm for arm in made[0].outputs if arm not in outputs]
    return ([Utterance(made[0].title, made[0].target, outputs)] if outputs else []), dropped


def _first(runs: Sequence[Ran]) -> Ran | None:
    there = (ran for ran in runs if _path(ran, 0, "output").exists() and _path(ran, 0, "target").exists())
    return min(there, key=lambda ran: ran.seed, default=None)


def _path(ran: Ran, number: int, what: str) -> Path:
    return ran.folder / "audio" / f"utterance_{number}_{what}.wav"


def _title(ran: Ran, number: int) -> str:
    """The file that an utterance came from: the record holds the validation set in the order in which it is drawn."""
    names = list(dict.fromkeys(str(row.get("file")) for row in read_lines(ran.folder / UTTERANCES)))
    return Path(names[number]).stem if number < len(names) else f"utterance {number}"


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
