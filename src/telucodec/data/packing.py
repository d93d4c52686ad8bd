"""Packs are written, and held against their checksums."""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os.path import lexists
from pathlib import Path
from shutil import disk_usage
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from telucodec.audio.files import read_int16
from telucodec.data.entry import Entry
from telucodec.data.manifest import Manifest
from telucodec.data.measure import file_sha256
from telucodec.data.pack import BLOCK, Pack, expected, header, offset, pack_path, starts
from telucodec.disk import holding, replacing
from telucodec.errors import InputError

Report = Callable[[int], None]


def write_pack(manifest: Manifest, path: Path, report: Report = lambda done: None) -> bool:
    """Write a manifest's pack, complete or not at all; one that is up to date is left, and nothing else is lost.

    Args:
        manifest: whose utterances are packed.
        path: of the pack: there is nothing yet, or a pack that was made of this manifest.
        report: called with the number of utterances done, for a progress bar.

    Returns:
        Whether it was written.

    Raises:
        InputError: something else stands there; a file is missing, changed, or its samples are no int16; or the disk
            has no room. It names the cure.
    """
    with suppress(InputError):
        Pack(path, manifest)
        return False
    says = expected(manifest) | {"manifest": _origin(manifest)}
    _refuse_loss(manifest, path)
    size = offset(len(manifest.entries)) + 2 * int(starts(manifest.entries)[-1])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = disk_usage(path.parent).free
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}). Choose another place.") from None
    if free < size:
        told = f"{path}: needs {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise InputError(f"{told}. Free some space, or choose another place: telucodec data pack {manifest.path} DEST")
    with _alone(path), replacing(path) as partial, partial.open("wb") as file:
        _write(manifest, says, file, report)
    return True


def verify_pack(pack: Pack, report: Report = lambda done: None) -> list[int]:
    """Read every sample and hold it against its checksum.

    Returns:
        The places of utterances that are damaged.
    """
    wrong = []
    for row in range(len(pack.sums)):
        if not pack.is_whole(row):
            wrong.append(row)
        report(row + 1)
    return wrong


def _refuse_loss(manifest: Manifest, path: Path) -> None:
    """Refuse to write over anything but a pack that was made of this manifest."""
    command = f"telucodec data pack {manifest.path}"
    if not lexists(path):
        return
    if path.is_dir():
        name = path / f"{manifest.path.stem}.pack"
        raise InputError(f"{path}: is a folder, and a pack is a file. Name the file, too: {command} {name}")
    cure = f"It would be lost: remove it first, or choose another place: {command} DEST"
    if path.is_symlink() or not path.is_file():
        raise InputError(f"{path}: is a link, or no file. {cure}")
    own = path.resolve() == pack_path(manifest).resolve()  # beside it, wherever both have moved to
    if header(path, cure).get("manifest") != _origin(manifest) and not own:
        raise InputError(f"{path}: is a pack of another manifest than {manifest.path}. {cure}")


def _origin(manifest: Manifest) -> str:
    """What tells a manifest from others, also when it has changed; a path would not always fit into the header."""
    return hashlib.sha256(bytes(manifest.path.resolve())).hexdigest()


def _write(manifest: Manifest, says: dict[str, Any], file: BinaryIO, report: Report) -> None:
    begins, sums = starts(manifest.entries), np.zeros(len(manifest.entries), "<u4")
    file.seek(offset(len(sums)))
    for row, entry in enumerate(manifest.entries):
        samples = _samples(manifest, entry)
        sums[row] = zlib.crc32(samples.data)
        file.write(samples.data)
        report(row + 1)
    index = begins.tobytes() + sums.tobytes()
    told = json.dumps(says | {"index": hashlib.sha256(index).hexdigest()})
    file.seek(0)
    file.write(told.encode().ljust(BLOCK - 1) + b"\n" + index)


def _samples(manifest: Manifest, entry: Entry) -> NDArray[np.int16]:
    """What a file holds, [T], as long as it is the file that the manifest lists."""
    file = manifest.locate(entry)
    audio, sample_rate = read_int16(file)
    if (audio.shape[1], sample_rate) != (entry.samples, entry.sample_rate) or file_sha256(file) != entry.sha256:
        raise InputError(f"{file}: changed since {manifest.path} was made. Run `telucodec data prepare` again.")
    return np.ascontiguousarray(audio[0], "<i2")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only one who writes a pack, and remove what a killed process left of it."""
    with holding(path.with_name(f".{path.name}.lock")):
        for left in path.parent.glob(f".{path.name}.*.partial"):
            left.unlink(missing_ok=True)
        yield
