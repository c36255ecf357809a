"""Sales files to purchases: the one function that the rest of training calls, and how a file is read."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from alsriaz.core.errors import DataError
from alsriaz.training.sales.batches import Batch
from alsriaz.training.sales.cleaning import FileRows
from alsriaz.training.sales.collected import Collected
from alsriaz.training.sales.csv_rows import CsvRows, OutOfStep
from alsriaz.training.sales.lines import LineGuard, NotUtf8, open_bytes
from alsriaz.training.sales.parquet_rows import ParquetRows
from alsriaz.training.sales.purchases import Purchases
from alsriaz.training.sales.refusals import Refusals
from alsriaz.training.sales.sales_spec import SalesSpec
from alsriaz.training.sales.sniff import PEEKED, Layout, find_layout, refuse_binary

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
    for path, name in zip(files, _names(files), strict=True):
        with _reading(name):
            collected.add(_FileReader(path, name, spec, progress).read())
    if not collected.refusals.rows:
        others = f", nor has any of the other {len(files) - 1} files" if len(files) > 1 else ""
        raise DataError(f"{_names(files)[0]} has no rows: there is nothing below its header{others}")
    return collected.finish(), collected.refusals


class _FileReader:
    """Reads one file, again in another way where the first fails."""

    def __init__(self, path: Path, name: str, spec: SalesSpec, progress: Progress) -> None:
        self._path = path
        self._name = name
        self._spec = spec
        self._progress = progress

    def read(self) -> FileRows:
        """Return the file's rows; DataError where they can't be read."""
        rows = self._read()
        self._progress(f"read {self._name}: {rows.refusals.rows:,} rows")
        return rows

    def _read(self) -> FileRows:
        suffixes = "".join(self._path.suffixes[-2:]).lower()
        if suffixes.endswith(".parquet"):
            parquet = ParquetRows(self._path, self._spec, self._name)
            return self._taken(
                parquet, FileRows(self._name, self._spec, parquet.numeric, typed_dates=parquet.typed_dates)
            )
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

    def _read_csv(self, *, latin1: bool) -> FileRows:
        """Read a CSV file by RFC 4180 and, where values seem to hold line ends, line by line too.

        A quote that opened by mistake swallows rows. So the reading with more rows that have a quantity and a date is
        right; equal numbers speak for RFC 4180.
        """
        with closing(LineGuard(open_bytes(self._path), latin1=latin1)) as guard:
            layout = find_layout(guard.read().decode(), self._spec, self._name)
        whole, torn = self._by_quotes(layout, latin1)
        if whole and not torn:
            return whole
        self._progress(f"{self._name} has quoted values that go beyond a line: reading it line by line too")
        lines = self._by_lines(layout, latin1)
        return whole if whole and whole.readable >= lines.readable else lines

    def _by_quotes(self, layout: Layout, latin1: bool) -> tuple[FileRows | None, bool]:
        """Return the rows, or None where that fails, and whether there were more lines than records."""
        rows = FileRows(self._name, self._spec)
        with closing(LineGuard(open_bytes(self._path), latin1=latin1)) as guard:
            records = CsvRows(guard, layout, rows.refuse_shape, newlines=True)
            try:
                return self._taken(records, rows), guard.lines > records.records
            except OutOfStep:
                return None, True

    def _by_lines(self, layout: Layout, latin1: bool) -> FileRows:
        rows = FileRows(self._name, self._spec)
        with closing(LineGuard(open_bytes(self._path), latin1=latin1, closing=layout.delimiter)) as guard:
            try:
                return self._taken(CsvRows(guard, layout, rows.refuse_shape, newlines=False), rows)
            except OutOfStep as error:
                raise DataError(f"{self._name} can't be read as CSV: {error}") from error

    def _taken(self, batches: Iterable[Batch], rows: FileRows) -> FileRows:
        told = 0
        for batch in batches:
            rows.add(batch)
            if rows.refusals.rows // _TOLD_EVERY > told:
                told = rows.refusals.rows // _TOLD_EVERY
                self._progress(f"{self._name}: {rows.refusals.rows:,} rows so far")
        return rows


@contextmanager
def _reading(name: str) -> Iterator[None]:
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


def _names(files: Sequence[Path]) -> list[str]:
    """Return the files' paths below the folder that holds them all."""
    folder = os.path.commonpath([path.absolute().parent for path in files])
    names = [path.absolute().relative_to(folder).as_posix() for path in files]
    return [os.fsencode(name).decode(errors="replace") for name in names]  # a name may be no UTF-8
