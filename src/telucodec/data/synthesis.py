"""The embedded data set: Telugu sentences spoken by espeak-ng on this machine, made once and kept in the cache."""

import hashlib
import importlib.util
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from telucodec.audio.decode import to_int16
from telucodec.audio.files import write
from telucodec.audio.level import rms
from telucodec.audio.resample import RESAMPLER, resample
from telucodec.data.cache import cache_dir
from telucodec.data.entry import Entry
from telucodec.data.manifest import Manifest, check_files, read_manifest, write_manifest
from telucodec.data.measure import measure
from telucodec.data.progress import progress_bar
from telucodec.data.sentences import Order, Plan, order_all
from telucodec.data.speak import has_variant
from telucodec.errors import InputError

MAKING = 1  # to be raised when the same orders would give other samples, so that an old cache is not taken for the new
SAMPLE_RATE = 16000  # Hz
PEAK = 0.98  # no sample beyond


def embedded(console: Console, plan: Plan | None = None) -> Manifest:
    """The embedded set, made now if it is not in the cache.

    Train, validation and test share neither a voice nor a sentence. Two makings on one machine give the same bytes.

    Args:
        console: for the progress bar.
        plan: another size; None: about 20 minutes.

    Raises:
        InputError: the extra `synth` is not installed, espeak-ng fails, or the cache cannot be written.
    """
    orders = order_all(plan or Plan())
    folder = cache_dir() / f"embedded-{_digest(orders)}"
    if (made := _made(folder, console)) is not None:
        return made
    _check_voices(orders)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder.parent)
        partial = Path(tempfile.mkdtemp(prefix=".embedded-", dir=folder.parent))
    except OSError as error:
        why = f"{folder.parent}: cannot be written ({error.strerror})"
        raise InputError(f"{why}. Set TELUCODEC_CACHE to another folder.") from error
    try:
        _make(partial, orders, console)
        try:
            partial.rename(folder)
        except OSError:  # another process was faster, and made the same
            if not (folder / "manifest.jsonl").exists():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return read_manifest(folder / "manifest.jsonl")


def scale(audio: NDArray[np.float32], level: float) -> NDArray[np.float32]:
    """Bring audio to an RMS of `level` dBFS, or as near as a peak of 0.98 allows.

    >>> tone = np.sin(np.arange(16000) / 10, dtype=np.float32)[None]
    >>> round(rms(scale(tone, -20.0)), 4), round(float(np.abs(scale(tone, 0.0)).max()), 4)
    (0.1, 0.98)
    """
    gain = min(10 ** (level / 20) / rms(audio), PEAK / float(np.abs(audio).max()))
    return audio * np.float32(gain)


def _made(folder: Path, console: Console) -> Manifest | None:
    """The set that lies in the cache already, if it is whole."""
    if not (folder / "manifest.jsonl").exists():
        return None
    try:
        manifest = read_manifest(folder / "manifest.jsonl")
        check_files(manifest, manifest.entries)
    except InputError:
        console.print(f"{folder}: is damaged, so it is made again.")
        shutil.rmtree(folder)
        return None
    return manifest


def _digest(orders: Sequence[Order]) -> str:
    if importlib.util.find_spec("espeakng_loader") is None:
        raise InputError(
            "the embedded speech is spoken by espeak-ng, which is not installed. "
            "Install it: pip install 'telucodec[synth]'. Or train on your own recordings: data=folder data.root=PATH."
        )
    told = [MAKING, SAMPLE_RATE, RESAMPLER, version("espeakng-loader"), *map(asdict, orders)]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()[:12]


def _check_voices(orders: Sequence[Order]) -> None:
    import espeakng_loader  # the extra `synth`

    data = Path(espeakng_loader.get_data_path())
    if missing := sorted({order.voice for order in orders if not has_variant(data, order.voice)}):
        raise InputError(
            f"{data}: lacks the voices {', '.join(missing)}. "
            "Install the version that has them: pip install 'espeakng-loader==0.2.4'."
        )


def _remove_abandoned(cache: Path) -> None:
    """Remove what runs that were killed more than an hour ago left half made."""
    for folder in cache.glob(".embedded-*"):
        if time.time() - folder.stat().st_mtime > 3600:
            shutil.rmtree(folder, ignore_errors=True)


def _make(folder: Path, orders: Sequence[Order], console: Console) -> None:
    entries = []
    with progress_bar(console) as bar:
        task = bar.add_task("speaking Telugu", total=len(orders), note="")
        for order, (spoken, source_rate) in zip(orders, _spoken(orders), strict=True):
            audio = scale(resample(spoken, source_rate, SAMPLE_RATE), order.level)
            stored = to_int16(audio).astype(np.float32) / np.float32(32768)
            file = folder / order.file
            write(file, stored, SAMPLE_RATE)
            entries.append(_entry(order, source_rate, stored, file))
            bar.update(task, advance=1)
    write_manifest(folder / "manifest.jsonl", entries)


def _entry(order: Order, source_rate: int, stored: NDArray[np.float32], file: Path) -> Entry:
    measured = measure(stored, SAMPLE_RATE, source_rate, file)
    return Entry(
        path=order.file,
        samples=measured.samples,
        sample_rate=SAMPLE_RATE,
        source_sample_rate=source_rate,
        speaker=order.voice,
        language="te",
        split=order.split,
        rms_dbfs=measured.rms_dbfs,
        peak=measured.peak,
        bandwidth_hz=measured.bandwidth_hz,
        bytes=measured.bytes,
        sha256=measured.sha256,
        source=f"espeak-ng {order.voice}, rate {order.rate}, pitch {order.pitch}, range {order.range}: {order.text}",
    )


def _spoken(orders: Sequence[Order]) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Audio [1, T] and sample rate of each order, from one process that speaks them all.

    Raises:
        InputError: the process fails; the message carries its last line.
    """
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as complaints:
        asked.write("".join(json.dumps(asdict(order)) + "\n" for order in orders).encode())
        asked.seek(0)
        command = [sys.executable, "-m", "telucodec.data.speak"]
        with subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE, stderr=complaints) as process:
            assert process.stdout is not None
            try:
                for order in orders:
                    head = process.stdout.read(8)
                    sample_rate, count = struct.unpack("<II", head) if len(head) == 8 else (0, 0)
                    samples = process.stdout.read(2 * count)
                    if count == 0 or len(samples) < 2 * count:
                        process.wait()
                        complaints.seek(0)
                        raise InputError(_failure(order, complaints.read().decode(errors="replace")))
                    yield np.frombuffer(samples, "<i2").astype(np.float32)[None] / np.float32(32768), sample_rate
            finally:
                process.kill()


def _failure(order: Order, complaints: str) -> str:
    last = complaints.strip().rpartition("\n")[2] or "it gave no sound"
    return (
        f"espeak-ng could not say '{order.text}' in the voice {order.voice} ({last}). Install it again: "
        "pip install --force-reinstall 'telucodec[synth]'. Or train on your own recordings: data=folder data.root=PATH."
    )
