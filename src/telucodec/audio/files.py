"""Reading and writing audio files; the only importer of soundfile."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from telucodec.disk import replacing
from telucodec.errors import InputError
from telucodec.reading import holdable

EXTENSIONS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3")  # what preparation decodes
SEEKABLE = ("WAV", "WAVEX", "RF64", "FLAC")  # formats in which a crop read by seeking equals the full decode

WITHIN_16_BITS = ("PCM_16", "PCM_S8", "PCM_U8")  # kinds of samples that are whole numbers of 16 bits or less


class AudioInfo(NamedTuple):
    """What a header says."""

    sample_rate: int  # Hz
    channels: int
    samples: int  # per channel; exact for WAV and FLAC, an estimate for MP3
    format: str  # soundfile's major format, for example WAV, FLAC, MP3, OGG


def probe(path: Path) -> AudioInfo:
    """Read a file's header.

    Raises:
        InputError: missing or not an audio file; the message names it.
    """
    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(_unreadable(path, error)) from None
    _check_length(path, info.frames)
    return AudioInfo(info.samplerate, info.channels, info.frames, info.format)


def read(path: Path) -> tuple[NDArray[np.float32], int]:
    """Decode a whole file.

    Returns:
        Audio [C, T] in float32 (full scale = 1) and its sample rate in Hz.

    Raises:
        InputError: missing, not an audio file, or damaged; the message names it.
    """
    try:
        with soundfile.SoundFile(str(path)) as file:
            _check_length(path, file.frames)
            file.seek(0)  # as soundfile.read does: in an MP3 even this changes the last bits
            audio, sample_rate = file.read(dtype="float32", always_2d=True), int(file.samplerate)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(_unreadable(path, error)) from None
    return np.ascontiguousarray(audio.T), sample_rate


def read_int16(path: Path) -> tuple[NDArray[np.int16], int]:
    """Decode a whole file of 16-bit samples as they are: `read` gives them divided by 32768.

    Returns:
        Samples [C, T] and their rate in Hz.

    Raises:
        InputError: as `read`, or its samples are finer than 16 bits can tell.
    """
    try:
        with soundfile.SoundFile(str(path)) as file:
            if file.format not in SEEKABLE or file.subtype not in WITHIN_16_BITS:
                told = f"{path}: its samples ({file.format}, {file.subtype}) would be rounded to 16 bits"
                raise InputError(f"{told}. {convert_hint(path.parent, file.samplerate)}")
            _check_length(path, file.frames)
            audio, sample_rate = file.read(dtype="int16", always_2d=True), int(file.samplerate)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(_unreadable(path, error)) from None
    return np.ascontiguousarray(audio.T), sample_rate


def read_blocks(path: Path, samples: int = 1 << 18) -> Iterator[NDArray[np.float32]]:
    """Decode a file piece by piece, so that an hour of audio needs no more memory than a moment.

    Args:
        path: any format of `EXTENSIONS`.
        samples: at most so many per channel in a block, > 0.

    Returns:
        Blocks [C, up to samples] in order; joined, they are what `read` gives.

    Raises:
        InputError: as `read`.
    """
    try:
        with soundfile.SoundFile(str(path)) as file:
            file.seek(0)  # as `read` does: in an MP3 even this changes the last bits
            file.seekable = lambda: False  # soundfile would seek after each block, and a seek in an MP3 is inexact
            while len(block := file.read(samples, dtype="float32", always_2d=True)):
                yield np.ascontiguousarray(block.T)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(_unreadable(path, error)) from None


def read_segment(path: Path, start: int, samples: int) -> NDArray[np.float32]:
    """Read `samples` samples from `start` by seeking, without decoding the rest.

    Returns:
        Audio [C, samples], exactly as a full decode would have it.

    Raises:
        InputError: unreadable, of a format in which seeking is inexact (MP3, Opus), or shorter than asked.
    """
    try:
        with soundfile.SoundFile(str(path)) as file:
            if file.format not in SEEKABLE:
                raise InputError(f"{path}: {file.format} cannot be read in pieces exactly. {convert_hint(path.parent)}")
            if start + samples > file.frames:
                raise InputError(
                    f"{path}: holds {file.frames} samples, but {start + samples} were expected. "
                    f"The file changed since its manifest was made: run `telucodec data prepare` again."
                )
            file.seek(start)
            file.seekable = lambda: False  # soundfile would seek after the read, too: in FLAC a tenth of all work
            audio = file.read(samples, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(_unreadable(path, error)) from None
    return np.ascontiguousarray(audio.T)


def write(path: Path, audio: NDArray[np.floating], sample_rate: int, subtype: str = "PCM_16") -> None:
    """Write audio [C, T] as WAV or FLAC (by the file's extension), complete or not at all.

    Raises:
        InputError: the folder cannot be written or the disk is full; the message names the file.
    """
    with replacing(path) as partial:
        try:
            soundfile.write(str(partial), audio.T, sample_rate, subtype, format=path.suffix.lstrip(".").upper())
        except soundfile.LibsndfileError as error:
            raise OSError(str(error)) from None


def convert_hint(folder: Path, sample_rate: int = 16000) -> str:
    """The command that turns any folder of audio into what training reads."""
    rate = "" if sample_rate == 16000 else f" --sample-rate {sample_rate}"
    return (
        f"Convert it once: telucodec data prepare {folder} PREPARED{rate}, "
        "then train with data=manifest data.manifest=PREPARED/manifest.jsonl"
    )


def _check_length(path: Path, samples: int) -> None:
    """Hold what a header claims against the size of its file, before memory is taken for it.

    Raises:
        InputError: so many samples cannot be in it.
    """
    if not holdable(samples, path.stat().st_size):
        told = f"its header claims {samples} samples, more than {path.stat().st_size} bytes can hold"
        raise InputError(f"{path}: cannot be read as audio ({told}). Remove it, copy it again, or convert it anew.")


def _unreadable(path: Path, error: Exception) -> str:
    if not path.exists():
        return f"{path}: no such file. Check the path, or make its manifest again with `telucodec data prepare`."
    if path.stat().st_size == 0:
        return f"{path}: the file is empty (0 bytes). Remove it or copy it again."
    why = {1: "format not recognised"}.get(getattr(error, "code", 0), "damaged data")
    why = getattr(error, "error_string", "").strip(" .") or why  # some builds of libsndfile carry no texts
    return f"{path}: cannot be read as audio ({why}). Remove it, copy it again, or convert it to WAV or FLAC."
