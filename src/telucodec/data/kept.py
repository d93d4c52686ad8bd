"""Long manifests as columns in the cache, mapped into memory: a million lines take seconds to parse, once."""

import hashlib
import mmap
import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from telucodec.data.cache import cache_dir
from telucodec.data.columns import Columns, schema
from telucodec.data.entry import KINDS, RANGES, SPLITS
from telucodec.data.long import read_columns, tables
from telucodec.disk import PARTIAL

FORMAT = 1  # of what is kept


def kept_columns(path: Path) -> Columns | None:
    """Read and check a manifest as `read_columns` does, and keep the columns for the next start.

    They are found again by the hash of the manifest's bytes, wherever it lies, and count only with the hash that they
    were written with: what is damaged is made anew. Where the cache cannot be written, memory holds them.

    Raises:
        OSError: the manifest cannot be read.
    """
    folder = cache_dir() / f"lists-{rules()}"
    if (found := _found(path, folder)) is not None:
        return found
    try:
        place = _keep(path, folder)
        return None if place is None else _mapped(place)
    except OSError:  # a full disk, or a folder that only others may write in
        return read_columns(path)


def rules() -> str:
    """What columns were checked by: those that other rules have let in are not taken for checked."""
    rules = repr((FORMAT, schema(), sorted(KINDS.items(), key=str), sorted(RANGES.items()), SPLITS))
    return hashlib.sha256(rules.encode()).hexdigest()[:12]


def _found(path: Path, folder: Path) -> Columns | None:
    size = path.stat().st_size
    try:
        if any(folder.glob(f"{size}-*")):  # else nothing has to be hashed
            for place in folder.glob(f"{size}-{_digest(path)}-*"):
                if _digest(place) == place.name.rpartition("-")[2]:
                    return _mapped(place)
    except (OSError, ValueError):  # as pyarrow's errors are: as if there were none
        pass
    return None


def _keep(path: Path, folder: Path) -> Path | None:
    """Parse a manifest into a file, complete or not at all; its name says which, and holds its own hash."""
    import pyarrow

    folder.mkdir(parents=True, exist_ok=True)
    opened, name = mkstemp(dir=folder, prefix=".", suffix=PARTIAL)  # by a name that no other machine takes either
    partial = Path(name)
    try:
        read, size = hashlib.sha256(), 0
        with os.fdopen(opened, "wb") as file, pyarrow.ipc.new_stream(file, schema()) as writer:
            for table, block in tables(path):
                if table is None:
                    return None
                read.update(block)  # of what is parsed, should the manifest change meanwhile
                size += len(block)
                writer.write_table(table)
        place = folder / f"{size}-{read.hexdigest()}-{_digest(partial)}"
        os.replace(partial, place)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return place


def _mapped(place: Path) -> Columns:
    import pyarrow

    with place.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    return Columns(pyarrow.ipc.open_stream(pyarrow.py_buffer(memory)).read_all(), memory=memory)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
