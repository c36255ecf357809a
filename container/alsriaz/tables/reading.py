"""Sales files to purchases: the one function that the rest of training calls, and how a file is read."""

import gzip
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from alsriaz.errors import DataError
from alsriaz.tables.batches import Batch
from alsriaz.tables.cleaning import FileRows
from alsriaz.tables.collected import Collected
from alsriaz.tables.csv_rows import CsvRows, OutOfStep
from alsriaz.tables.lines import LineGuard, NotUtf8, open_bytes
from alsriaz.tables.parquet_rows import ParquetRows
from alsriaz.tables.purchases import Purchases
from alsriaz.tables.refusals import Refusals
from alsriaz.tables.sales_spec import SalesSpec
from alsriaz.tables.sniff import PEEKED, Layout, find_layout, refuse_binary

__all__ = ["SalesSpec", "read_purchases"]

Progress = Callable[[str], None]
_TOLD_EVERY: Final = 1_000_000


def read_purchases(files: Sequence[Path], spec: SalesSpec, progress: Progress) -> tuple[Purchases, Refusals]:
    """Read and clean sales files.

    Args:
        files: .csv, .csv.gz and .parquet files, in the order in which their rows shall come.
        spec: what to refuse, and what isn't to be detected.
        progress: called with a line for a person, for each file and each million rows.

    Returns:
        The accepted rows, and what was refused.

    Raises:
        DataError: a file can't be read, columns are missing, the dates have no one format, too many rows are bad, or
            no row is accepted.
    """
    if not files:
        raise DataError("there are no sales files: expected .csv, .csv.gz or .parquet")
    collected = Collected(spec)
    for path, name in zip(files, names_of(files), strict=True):
        with reading(name):
            collected.add(_SalesReader(path, name, spec, progress).read())
    if not collected.refusals.rows:
        others = f", nor has any of the other {len(files) - 1} files" if len(files) > 1 else ""
        raise DataError(f"{names_of(files)[0]} has no rows: there is nothing below its header{others}")
    return collected.finish(), collected.refusals


class Rows(Protocol):
    """What the rows of one file are gathered in.

    Attributes:
        refusals: counts and samples so far.
        readable: how many rows make sense: of two readings of a file, the one with more of them is right.
    """

    refusals: Refusals
    readable: int

    def refuse_shape(self, number: int, line: str) -> None:
        """Count a row that has too few or too many columns."""


R = TypeVar("R", bound=Rows)
B = TypeVar("B")


class FileReader(ABC, Generic[R]):
    """Reads one file, again in another way where the first fails; a subclass knows what its columns mean."""

    def __init__(self, path: Path, name: str, spec: SalesSpec, progress: Progress) -> None:
        """Prepare to read `path`, called `name` in messages."""
        self._path = path
        self._name = name
        self._spec = spec
        self._progress = progress

    @abstractmethod
    def _layout(self, beginning: str) -> Layout:
        """Return how to read a CSV file that begins so; DataError where it isn't recognised."""

    @abstractmethod
    def _no_rows(self) -> R:
        """Return what a CSV file's rows will be gathered in."""

    @abstractmethod
    def _taken(self, records: CsvRows, rows: R) -> R:
        """Return `rows` with all of `records` taken in."""

    @abstractmethod
    def _from_parquet(self) -> R:
        """Return the rows of a Parquet file."""

    def read(self) -> R:
        """Return the file's rows; DataError where they can't be read."""
        rows = self._read()
        self._progress(f"read {self._name}: {rows.refusals.rows:,} rows")
        return rows

    def _read(self) -> R:
        suffixes = "".join(self._path.suffixes[-2:]).lower()
        if suffixes.endswith(".parquet"):
            return self._from_parquet()
        if not suffixes.endswith((".csv", ".csv.gz")):
            raise DataError(
                f"{self._name} is of an unknown kind: expected a name that ends with .csv, .csv.gz or .parquet"
            )
        with open_bytes(self._path) as source:
            refuse_binary(source.read(PEEKED), self._name)
        try:
            return self._read_csv(latin1=False)
        except NotUtf8:
            self._progress(f"{self._name} is not UTF-8: reading it as Latin-1")
            return self._read_csv(latin1=True)

    def _read_csv(self, *, latin1: bool) -> R:
        """Read a CSV file by RFC 4180 and, where values seem to hold line ends, line by line too.

        A quote that opened by mistake swallows rows. So the reading with more rows that make sense is right, unless a
        subclass knows better; equal numbers speak for RFC 4180.
        """
        with closing(LineGuard(open_bytes(self._path), latin1=latin1)) as guard:
            layout = self._layout(guard.read().decode())
        whole, torn = self._by_quotes(layout, latin1)
        if whole and not torn:
            return whole
        self._progress(f"{self._name} has quoted values that go beyond a line: reading it line by line too")
        lines = self._by_lines(layout, latin1)
        return whole if whole and not self._right_by_lines(lines, whole, layout, latin1) else lines

    def _right_by_lines(self, lines: R, whole: R, layout: Layout, latin1: bool) -> bool:
        """Return which of two readings of a file is right: True for that line by line, False for that by RFC 4180."""
        return lines.readable > whole.readable

    def _by_quotes(self, layout: Layout, latin1: bool) -> tuple[R | None, bool]:
        """Return the rows, or None where that fails, and whether there were more lines than records."""
        rows = self._no_rows()
        with closing(LineGuard(open_bytes(self._path), latin1=latin1)) as guard:
            records = CsvRows(guard, layout, rows.refuse_shape, newlines=True)
            try:
                return self._taken(records, rows), guard.lines > records.records
            except OutOfStep:
                return None, True

    def _by_lines(self, layout: Layout, latin1: bool) -> R:
        rows = self._no_rows()
        with closing(LineGuard(open_bytes(self._path), latin1=latin1, closing=layout.delimiter)) as guard:
            try:
                return self._taken(CsvRows(guard, layout, rows.refuse_shape, newlines=False), rows)
            except OutOfStep as error:
                raise DataError(f"{self._name} can't be read as CSV: {error}") from error

    def _told(self, batches: Iterable[B], rows: R) -> Iterator[B]:
        """Yield `batches`, and tell how far `rows` has come."""
        told = 0
        for batch in batches:
            yield batch
            if rows.refusals.rows // _TOLD_EVERY > told:
                told = rows.refusals.rows // _TOLD_EVERY
                self._progress(f"{self._name}: {rows.refusals.rows:,} rows so far")


class _SalesReader(FileReader[FileRows]):
    """Reads one file of sales."""

    def _layout(self, beginning: str) -> Layout:
        return find_layout(beginning, self._spec, self._name)

    def _no_rows(self) -> FileRows:
        return FileRows(self._name, self._spec)

    def _taken(self, records: Iterable[Batch], rows: FileRows) -> FileRows:
        for batch in self._told(records, rows):
            rows.add(batch)
        return rows

    def _from_parquet(self) -> FileRows:
        parquet = ParquetRows(self._path, self._spec, self._name)
        return self._taken(parquet, FileRows(self._name, self._spec, parquet.numeric, typed_dates=parquet.typed_dates))


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what reading a broken file raises into a DataError."""
    try:
        yield
    except (EOFError, zlib.error) as error:
        raise DataError(f"{name} can't be unpacked, it is cut short or damaged: {error}") from error
    except gzip.BadGzipFile as error:
        raise DataError(
            f"{name} can't be unpacked: {error}. If it isn't compressed at all, let its name end with .csv"
        ) from error
    except OSError as error:
        raise DataError(f"{name} can't be read: {error.strerror or error}") from error


def names_of(files: Sequence[Path]) -> list[str]:
    """Return the files' paths below the folder that holds them all."""
    folder = os.path.commonpath([path.absolute().parent for path in files])
    names = [path.absolute().relative_to(folder).as_posix() for path in files]
    return [os.fsencode(name).decode(errors="replace") for name in names]  # a name may be no UTF-8
