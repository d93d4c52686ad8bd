"""How many crops a second each way of reading gives: ours from FLAC, WAV and a pack, and the ways of others.

All ways read the same recordings (the embedded speech, 20 minutes in files of a few seconds), in turns, in one process,
with the files in memory already. Ours are the data set and the collation that training has, a crop at a time and in
batches of 16; before anything is timed they are held against soundfile's whole files, sample by sample.

`make bench` brings descript-audiotools 0.7.2.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import librosa
import numpy as np
import soundfile
from pairs import in_turns, parser, ratio, same, say, settle, write
from peers import audiotools_crops
from rich.console import Console

from telucodec.audio.files import write as write_audio
from telucodec.data.columns import numbers
from telucodec.data.level import AsRecorded
from telucodec.data.manifest import Manifest, write_manifest
from telucodec.data.measure import file_sha256
from telucodec.data.pack import packed
from telucodec.data.packing import write_pack
from telucodec.data.sampler import Crop, CropOrder
from telucodec.data.segments import Segments, collate
from telucodec.data.synthesis import embedded

BATCH, RATE = 16, 16000


def as_wav(manifest: Manifest, folder: Path) -> Manifest:
    """The same recordings as WAV files."""
    entries = []
    for number, entry in enumerate(manifest.entries):
        file = folder / f"{number}.wav"
        write_audio(file, soundfile.read(manifest.locate(entry), dtype="float32", always_2d=True)[0].T, RATE)
        entries.append(replace(entry, path=file.name, bytes=file.stat().st_size, sha256=file_sha256(file)))
    write_manifest(folder / "manifest.jsonl", entries)
    return Manifest(folder / "manifest.jsonl", tuple(entries))


def segments(manifest: Manifest, seconds: float) -> Segments:
    """The data set that training reads."""
    order = CropOrder(numbers(manifest.entries, "samples"), round(seconds * RATE), seed=0)
    return Segments(manifest, manifest.entries, order, AsRecorded())


class Turn:
    """Positions that go on from round to round."""

    def __init__(self, crops: int) -> None:
        self.crops, self.position = crops, 0

    def __iter__(self) -> Iterator[int]:
        yield from range(self.position, self.position + self.crops)
        self.position += self.crops


def one_by_one(data: Segments, turn: Turn) -> None:
    """A crop at a time."""
    for position in turn:
        _ = data[position]


def in_batches(data: Segments, turn: Turn) -> None:
    """As torch's loaders ask for them."""
    positions = list(turn)
    for first in range(0, len(positions), BATCH):
        collate(data.__getitems__(positions[first : first + BATCH]))


def by(read: Callable[[Path, int, int], Any], data: Segments, turn: Turn) -> None:
    """The same crops by another reader."""
    for position in turn:
        crop = data.order(position)
        read(data.manifest.locate(data.entries[crop.entry]), crop.start, data.order.crop)


def whole(file: Path, start: int, samples: int) -> Any:
    """Decode all of it, keep the crop."""
    return soundfile.read(file, dtype="float32")[0][start : start + samples]


def sought(file: Path, start: int, samples: int) -> Any:
    """Seek, then decode the crop."""
    with soundfile.SoundFile(file) as opened:
        opened.seek(start)
        return opened.read(samples, dtype="float32")


def kept_open(handles: dict[Path, soundfile.SoundFile], file: Path, start: int, samples: int) -> Any:
    """As before, with files that stay open."""
    if file not in handles:
        handles[file] = soundfile.SoundFile(file)
    handles[file].seek(start)
    return handles[file].read(samples, dtype="float32")


def by_librosa(file: Path, start: int, samples: int) -> Any:
    """Its way to read a part of a file."""
    return librosa.load(file, sr=None, offset=start / RATE, duration=samples / RATE)[0]


def check(data: Segments) -> None:
    """Hold crops against soundfile's whole files."""
    for position in range(64):
        crop: Crop = data.order(position)
        file = data.manifest.locate(data.entries[crop.entry])
        there = whole(file, crop.start, data.order.crop)
        theirs = np.pad(there, (0, data.order.crop - len(there)))
        same(f"position {position}", data[position].audio[0], theirs, 0.0)


def ways(name: str, manifest: Manifest, data: Segments, seconds: float, crops: int) -> dict[str, Callable[[], object]]:
    """Each way of reading the files of one format."""

    def called(give: Callable[[], object]) -> None:
        for _ in range(crops):
            give()

    files = [manifest.locate(entry) for entry in manifest.entries]
    readers = {"soundfile, whole file": whole, "soundfile, seek": sought, "librosa, offset": by_librosa}
    readers["soundfile, seek, files kept open"] = partial(kept_open, {})
    made: dict[str, Callable[[], object]] = {
        f"{name}: audiotools, -40 dB": partial(called, audiotools_crops(files, RATE, seconds, -40)),
        f"{name}: audiotools, no cutoff": partial(called, audiotools_crops(files, RATE, seconds, None)),
    }
    made |= {f"{name}: {told}": partial(by, read, data, Turn(crops)) for told, read in readers.items()}
    return made | ours(name, data, crops)


def ours(name: str, data: Segments, crops: int) -> dict[str, Callable[[], object]]:
    """Our two."""
    single, batched = partial(one_by_one, data, Turn(crops)), partial(in_batches, data, Turn(crops))
    return {f"{name}: ours, one by one": single, f"{name}: ours, batches of {BATCH}": batched}


def main() -> None:
    """Measure."""
    options = parser(__doc__ or "", rounds=7)
    options.add_argument("--crops", type=int, default=320, help="crops a round (default 320)")
    args = options.parse_args()
    settle("cpu")
    flac, rows = embedded(Console(stderr=True)), []
    with TemporaryDirectory() as folder:
        wav = as_wav(flac, Path(folder))
        write_pack(flac, Path(folder) / "flac.pack")
        pack = packed(flac, Path(folder) / "flac.pack")
        for seconds in (0.38, 1.0):
            data = {
                name: segments(manifest, seconds) for name, manifest in (("FLAC", flac), ("WAV", wav), ("pack", pack))
            }
            for each in data.values():
                check(each)
            turns = ways("FLAC", flac, data["FLAC"], seconds, args.crops)
            turns |= ways("WAV", wav, data["WAV"], seconds, args.crops) | ours("pack", data["pack"], args.crops)
            found = in_turns(turns, args.rounds)
            for name, times in found.items():
                against = "WAV" if name.startswith("WAV") else "FLAC"
                row = {"seconds": seconds, "way": name, "crops_per_second": round(args.crops / min(times))}
                for peer in ("-40 dB", "no cutoff"):
                    row[f"against {peer}"] = ratio(found[f"{against}: audiotools, {peer}"], times)
                rows.append(row)
                told = (
                    f"{row['against -40 dB']} x audiotools at -40 dB, {row['against no cutoff'].median:.1f} x without"
                )
                say(f"{seconds:4} s  {name:40} {row['crops_per_second']:7} crops/s  {told}")
    write("loading", rows)


if __name__ == "__main__":
    main()
