"""Long manifests on disk: read and written by columns, many lines at a time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from telucodec.data.columns import OPTIONAL, Columns, schema
from telucodec.data.entry import FIELDS, RANGES, SPLITS
from telucodec.reading import DENSEST

if TYPE_CHECKING:
    import pyarrow

BLOCK = 1 << 21  # bytes that are parsed at once, by each of so many
THREADS = 4  # that parse
WRITERS = 2  # each holds its part of the list several times
LINE = 1 << 20  # bytes of the longest line
T = TypeVar("T")
R = TypeVar("R")
UP = r"(^|/)\.\.(/|$)"  # a path that leaves a folder


def read_columns(path: Path) -> Columns | None:
    """Read and check a manifest, a few microseconds a line; None where anything in it is unusual or wrong.

    What it gives is what the parser of lines gives, which knows what is wrong with which line.

    Raises:
        OSError: it cannot be read.
    """
    import pyarrow

    found = [schema().empty_table()]
    for table, _ in tables(path):
        if table is None:
            return None
        found.append(table)
    return Columns(pyarrow.concat_tables(found))


def tables(path: Path) -> Iterator[tuple["pyarrow.Table | None", bytes]]:
    """The columns of a manifest and the lines they are of, block by block; None where anything is unusual or wrong.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        yield from _several(_parse, iter(lambda: file.read(BLOCK) + file.readline(LINE), b""), THREADS)


def lines(entries: Columns) -> Iterator[bytes]:
    """The lines of a manifest, as `json.dumps` writes them, many at a time."""
    for written, _ in _several(_written, entries.parts(), WRITERS):
        yield from written


def _several(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[tuple[R, T]]:
    """What becomes of each item, and the item, in order; few at once, because a manifest may be larger than memory."""
    waiting = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        while several := list(islice(waiting, threads)):
            yield from zip(pool.map(function, several), several, strict=True)


def _written(part: "pyarrow.Table") -> list[bytes]:
    import pyarrow.compute as pc

    pieces: list[Any] = []
    for name, column in zip(FIELDS, part.columns, strict=True):
        pieces += [f'{", " if pieces else "{"}"{name}": ', *_as_json(column)]
    return [_data(chunk).tobytes() for chunk in pc.binary_join_element_wise(*pieces, "}\n", "").chunks]


def _parse(block: bytes) -> "pyarrow.Table | None":
    import pyarrow
    from pyarrow.json import ParseOptions, ReadOptions, read_json

    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    begins = np.append(0, ends[ends < len(data) - 1] + 1)
    if not (data[begins] == ord("{")).all():  # blank, or what else is no object; and so there is one on each line
        return None
    try:
        table = read_json(
            pyarrow.BufferReader(block),
            ReadOptions(use_threads=False, block_size=len(block) + 1),
            ParseOptions(explicit_schema=schema(), unexpected_field_behavior="error"),
            pyarrow.system_memory_pool(),  # gives back at once what was needed on the way
        )
        table.validate(full=True)  # UTF-8
    except pyarrow.ArrowInvalid:
        return None
    whole = all(
        not table[name].null_count or block.count(b'"%s":' % name.encode()) == len(begins) for name in OPTIONAL
    )  # a missing one is read as null
    return table if whole and table.num_rows == len(begins) and _fits(table) else None


def _fits(table: "pyarrow.Table") -> bool:
    """Whether all values are of the kinds and in the ranges that later code counts on."""
    import pyarrow
    import pyarrow.compute as pc

    if any(table[name].null_count for name in FIELDS if name not in OPTIONAL):
        return False
    values = {name: table[name].to_numpy() for name in RANGES}
    within = all(((low <= values[name]) & (values[name] <= high)).all() for name, (low, high) in RANGES.items())
    texts = [column for column in table.columns if column.type == pyarrow.string()]
    return bool(
        within
        and (values["samples"] <= DENSEST * (np.minimum(values["bytes"], 1 << 40) + 64)).all()  # see `holdable`
        and pc.all(pc.is_in(table["split"], pyarrow.array(SPLITS))).as_py()
        and not (b".." in _bytes(table["path"]) and pc.any(pc.match_substring_regex(table["path"], UP)).as_py())
        and all(_presentable(_bytes(column)) for column in texts)
    )


def _presentable(text: bytes) -> bool:
    """As `presentable`, of valid UTF-8: no control characters, which are U+0000 to 1F and 7F to 9F."""
    data = np.frombuffer(text, np.uint8)
    if (data < 0x20).any() or b"\x7f" in text:
        return False
    return b"\xc2" not in text or not (data[np.flatnonzero(data[:-1] == 0xC2) + 1] < 0xA0).any()


def _bytes(column: "pyarrow.ChunkedArray") -> bytes:
    """The texts of a column, one behind the other."""
    return b"".join(_data(chunk).tobytes() for chunk in column.chunks)


def _data(texts: "pyarrow.StringArray") -> NDArray[np.uint8]:
    """The bytes of texts, one behind the other."""
    _, offsets, data = texts.buffers()
    if data is None:
        return np.empty(0, np.uint8)
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]


def _as_json(column: "pyarrow.ChunkedArray") -> list[Any]:
    """What stands for a value on its line, in pieces: texts and columns of them."""
    import pyarrow
    import pyarrow.compute as pc

    if column.type == pyarrow.float64():
        return [_as_python_writes(column)]
    if column.type != pyarrow.string():
        return [column.cast(pyarrow.string())]
    data = _bytes(column)
    for character in ("\\", '"'):
        if character.encode() in data:
            column = pc.replace_substring(column, character, "\\" + character)
    if column.null_count:
        return [pc.fill_null(pc.binary_join_element_wise('"', column, '"', ""), "null")]
    return ['"', column, '"']  # joined later, once


def _as_python_writes(column: "pyarrow.ChunkedArray") -> "pyarrow.ChunkedArray":
    """Real numbers as texts: a run's record holds the hash of its list, which must not depend on who wrote it."""
    import pyarrow
    import pyarrow.compute as pc

    size = np.abs(column.to_numpy())
    if ((size > 0) & ((size < 1e-3) | (size > 1e9))).any():  # one of them has an exponent
        return pyarrow.chunked_array([list(map(repr, column.to_pylist()))])
    texts = column.cast(pyarrow.string())
    return pc.if_else(pc.match_substring(texts, "."), texts, pc.binary_join_element_wise(texts, ".0", ""))
