"""A long manifest as columns: a million entries as objects would take half a minute and more than a gigabyte."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from telucodec.data.manifest import FIELDS, KINDS, Entry

if TYPE_CHECKING:
    import pyarrow

ROWS = 1 << 16  # entries that are made or written at once
OPTIONAL = ("speaker", "language")  # may be null


class Columns(Sequence[Entry]):
    """Entries that are made when they are asked for.

    Args:
        table: one column for each field of an entry.
        rows: which of its rows these are, in this order; None: all.
    """

    def __init__(self, table: "pyarrow.Table", rows: NDArray[np.int32] | None = None) -> None:
        self.table = table
        self.rows = np.arange(table.num_rows, dtype=np.int32) if rows is None else rows
        paths = table["path"]
        self.paths = paths.chunk(0) if paths.num_chunks == 1 else paths  # the first is found twice as fast in

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> "Columns":
        """The columns of some entries."""
        import pyarrow

        if isinstance(entries, Columns):
            return entries
        return cls(pyarrow.table({name: [getattr(e, name) for e in entries] for name in FIELDS}, schema=schema()))

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> "Columns": ...

    def __getitem__(self, index: int | slice) -> "Entry | Columns":
        if isinstance(index, slice):
            return Columns(self.table, self.rows[index])
        row = int(self.rows[index])
        return Entry(*(column[row].as_py() for column in self.table.columns))

    def __iter__(self) -> Iterator[Entry]:
        for part in self.parts():
            yield from map(Entry, *(column.to_pylist() for column in part.columns))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Columns):
            pairs = zip(self.parts(), other.parts(), strict=False)
            return len(self) == len(other) and all(a.equals(b) for a, b in pairs)
        return isinstance(other, tuple) and len(self) == len(other) and all(map(Entry.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    def path(self, index: int) -> str:
        """The path of one entry."""
        return str(self.paths[int(self.rows[index])].as_py())

    def numbers(self, name: str) -> NDArray[Any]:
        """A field that holds numbers, of all entries."""
        return np.asarray(self.table[name].to_numpy()[self.rows])

    def texts(self, name: str) -> Iterator[list[str]]:
        """A field that holds texts, block by block."""
        return (part[name].to_pylist() for part in self.parts([name]))

    def placed(self, folder: Path) -> "Columns":
        """The entries with paths from a folder on, as `str(folder / path)` has them."""
        import pyarrow
        import pyarrow.compute as pc

        paths = self.table["path"]
        if pc.any(pc.match_substring_regex(paths, r"//|(^|/)\.(/|$)|/$|^$")).as_py():  # what a Path writes otherwise
            placed = pyarrow.chunked_array([[str(folder / path) for path in paths.to_pylist()]])
        else:
            below = pc.binary_join_element_wise(str(folder / "x")[:-1], paths, "")
            placed = pc.if_else(pc.starts_with(paths, "/"), paths, below)
        return Columns(self.table.set_column(0, "path", placed), self.rows)

    def parts(self, names: Sequence[str] = FIELDS) -> Iterator["pyarrow.Table"]:
        """The entries, or some columns of them, in tables of so many, one behind the other."""
        import pyarrow

        table = self.table.select(names)
        for start in range(0, len(self), ROWS):
            rows = self.rows[start : start + ROWS]
            there = table.slice(int(rows.min()), int(np.ptp(rows)) + 1)
            if len(there) > len(rows) or (np.diff(rows) < 0).any():
                there = there.take(pyarrow.array(rows - rows.min()))
            yield there


def numbers(entries: Sequence[Entry], name: str) -> NDArray[Any]:
    """A field that holds numbers, of all entries."""
    return entries.numbers(name) if isinstance(entries, Columns) else np.array([getattr(e, name) for e in entries])


def texts(entries: Sequence[Entry], name: str) -> Iterator[list[str]]:
    """A field that holds texts, of all entries, block by block."""
    return entries.texts(name) if isinstance(entries, Columns) else iter([[getattr(e, name) for e in entries]])


def in_split(entries: Sequence[Entry], name: str) -> NDArray[np.bool_]:
    """Which entries are in a split."""
    if not isinstance(entries, Columns):
        return np.array([entry.split == name for entry in entries], dtype=np.bool_)
    import pyarrow.compute as pc

    return np.asarray(pc.equal(entries.table["split"], name).to_numpy()[entries.rows])


def chosen(entries: Sequence[Entry], places: NDArray[np.intp]) -> Sequence[Entry]:
    """The entries at some places."""
    if isinstance(entries, Columns):
        return Columns(entries.table, entries.rows[places])
    return tuple(entries[place] for place in places)


def schema() -> "pyarrow.Schema":
    """The types of the columns."""
    import pyarrow

    types = {str: pyarrow.string(), int: pyarrow.int64()}
    return pyarrow.schema([(name, _kind(KINDS[name], types, pyarrow.float64())) for name in FIELDS])


def _kind(kinds: Any, types: dict[Any, Any], real: Any) -> Any:
    return types[str] if kinds is str or (isinstance(kinds, tuple) and str in kinds) else types.get(kinds, real)
