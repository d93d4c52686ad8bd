"""A long manifest as columns: a million entries as objects would take half a minute and more than a gigabyte."""

from collections.abc import Iterator, Sequence
from mmap import MADV_DONTNEED, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from telucodec.data.entry import FIELDS, KINDS, Entry

if TYPE_CHECKING:
    import pyarrow

ROWS = 1 << 12  # entries that are made or written at once
OPTIONAL = ("speaker", "language")  # may be null


class Columns(Sequence[Entry]):
    """Entries that are made when they are asked for.

    Args:
        table: one column for each field of an entry.
        rows: which of its rows these are, in this order; None: all.
        folder: where relative paths start from, which are given as `str(folder / path)` has them; None: as they are.
        memory: the file that the table is mapped from; what is read of it block by block is let go of at once.
    """

    def __init__(
        self,
        table: "pyarrow.Table",
        rows: NDArray[np.int32] | None = None,
        folder: Path | None = None,
        memory: mmap | None = None,
    ) -> None:
        self.table, self.folder, self.memory = table, folder, memory
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
            return self.at(self.rows[index])
        row = int(self.rows[index])
        return Entry(self.path(index), *(column[row].as_py() for column in self.table.columns[1:]))

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
        path = str(self.paths[int(self.rows[index])].as_py())
        return path if self.folder is None else str(self.folder / path)

    def at(self, rows: NDArray[np.int32]) -> "Columns":
        """The entries in some rows of the table."""
        return Columns(self.table, rows, self.folder, self.memory)

    def numbers(self, name: str) -> NDArray[Any]:
        """A field that holds numbers, of all entries."""
        found = np.asarray(self.table[name].to_numpy()[self.rows])
        self._let_go()
        return found

    def equal(self, name: str, value: str) -> NDArray[np.bool_]:
        """Which entries have a value in a field that holds texts."""
        import pyarrow.compute as pc

        found = np.asarray(pc.equal(self.table[name], value).to_numpy()[self.rows])
        self._let_go()
        return found

    def texts(self, name: str) -> Iterator[list[str]]:
        """A field that holds texts, block by block."""
        return (part[name].to_pylist() for part in self.parts([name]))

    def placed(self, folder: Path) -> "Columns":
        """The entries with paths from an absolute folder on, as `str(folder / path)` has them."""
        return Columns(self.table, self.rows, folder / (self.folder or ""), self.memory)

    def parts(self, names: Sequence[str] = FIELDS) -> Iterator["pyarrow.Table"]:
        """The entries, or some columns of them, in tables of so many, one behind the other."""
        import pyarrow

        table = self.table.select(names)
        for start in range(0, len(self), ROWS):
            rows = self.rows[start : start + ROWS]
            near = np.split(rows, np.flatnonzero(np.diff(rows // ROWS)) + 1)  # what lies far apart, one by one
            part = pyarrow.concat_tables([self._taken(table, some) for some in near])
            yield part if self.folder is None or "path" not in names else _placed(part, self.folder)
            self._let_go()

    def _taken(self, table: "pyarrow.Table", rows: NDArray[np.int32]) -> "pyarrow.Table":
        import pyarrow

        there = table.slice(int(rows.min()), int(np.ptp(rows)) + 1)
        if (np.diff(rows) != 1).any():
            there = there.take(pyarrow.array(rows - rows.min()))
            self._let_go()
        return there

    def _let_go(self) -> None:
        """What was read of a mapped file counts as memory of this process until then; it is read again when needed."""
        if self.memory is not None:
            self.memory.madvise(MADV_DONTNEED)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"memory": None}  # another process gets a copy


def numbers(entries: Sequence[Entry], name: str) -> NDArray[Any]:
    """A field that holds numbers, of all entries."""
    return entries.numbers(name) if isinstance(entries, Columns) else np.array([getattr(e, name) for e in entries])


def texts(entries: Sequence[Entry], name: str) -> Iterator[list[str]]:
    """A field that holds texts, of all entries, block by block."""
    return entries.texts(name) if isinstance(entries, Columns) else iter([[getattr(e, name) for e in entries]])


def in_split(entries: Sequence[Entry], name: str) -> NDArray[np.bool_]:
    """Which entries are in a split."""
    if isinstance(entries, Columns):
        return entries.equal("split", name)
    return np.array([entry.split == name for entry in entries], dtype=np.bool_)


def chosen(entries: Sequence[Entry], places: NDArray[np.intp]) -> Sequence[Entry]:
    """The entries at some places."""
    if isinstance(entries, Columns):
        return entries.at(entries.rows[places])
    return tuple(entries[place] for place in places)


def schema() -> "pyarrow.Schema":
    """The types of the columns."""
    import pyarrow

    types = {str: pyarrow.string(), int: pyarrow.int64()}
    return pyarrow.schema([(name, _kind(KINDS[name], types, pyarrow.float64())) for name in FIELDS])


def _placed(part: "pyarrow.Table", folder: Path) -> "pyarrow.Table":
    import pyarrow
    import pyarrow.compute as pc

    paths = part["path"]
    if pc.any(pc.match_substring_regex(paths, r"//|(^|/)\.(/|$)|/$|^$")).as_py():  # what a Path writes otherwise
        placed = pyarrow.chunked_array([[str(folder / path) for path in paths.to_pylist()]])
    else:
        below = pc.binary_join_element_wise(str(folder / "x")[:-1], paths, "")
        placed = pc.if_else(pc.starts_with(paths, "/"), paths, below)
    return part.set_column(part.column_names.index("path"), "path", placed)


def _kind(kinds: Any, types: dict[Any, Any], real: Any) -> Any:
    return types[str] if kinds is str or (isinstance(kinds, tuple) and str in kinds) else types.get(kinds, real)
