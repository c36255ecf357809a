"""How a file is read, whatever its table is about, and again in another way where the first one fails."""

import gzip
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from alsriaz.errors import DataError
from alsriaz.platform.progress import Progress
from alsriaz.platform.spec import Spec
from alsriaz.tables.csv_files import (
    PEEKED,
    CsvLayout,
    CsvRows,
    LineGuard,
    NotUtf8,
    OutOfStep,
    all_quotes_close,
    open_bytes,
    refuse_binary,
)
from alsriaz.tables.parquet_files import open_parquet, parquet_batches
from alsriaz.tables.refusals import Refusals, RejectedRow
from alsriaz.tables.texts import Batch

_TOLD_EVERY: Final = 1_000_000  # rows, which take two seconds or so


class FileRows(ABC):
    """What the rows of one file are gathered in.

    Attributes:
        file: the file's name, for samples and messages.
        refusals: counts and samples so far.
        readable: how many rows make sense: of two readings of a file, the one with more of them is right.
    """

    def __init__(self, file: str) -> None:
        """Start without rows."""
        self.file = file
        self.refusals = Refusals()
        self.readable = 0

    def refuse_shape(self, number: int, line: str) -> None:
        """Count a row that has too few or too many columns."""
        self.refusals.rows += 1
        self.refusals.count("shape", 1, bad=1)
        self.refusals.sample(RejectedRow(self.file, number, "shape", line=line))

    def refuse(self, reason: str, mask: NDArray[np.bool_], bad: int, batch: Batch, fields: Mapping[str, str]) -> None:
        """Count the rows of a batch that `mask` tells, `bad` of them bad. `fields`: a sample's, by their columns."""
        places = np.flatnonzero(mask)
        self.refusals.count(reason, len(places), bad)
        for place in places[: self.refusals.wanted(reason)].tolist():
            texts = {field: batch.columns[word][place].as_py() for field, word in fields.items()}
            self.refusals.sample(RejectedRow(self.file, int(batch.numbers[place]), reason, **texts))

    @abstractmethod
    def add(self, batch: Batch) -> None:
        """Take in a batch of rows: count the refused ones, keep the others."""


R = TypeVar("R", bound=FileRows)


class TableKind(ABC, Generic[R]):
    """What a table is about: how one is recognised, and what its columns mean.

    Attributes:
        expected: what a file holds that isn't empty, for an error.
        has_digits: True where each row has a digit, so that a line without one isn't a row.
        name: what messages call the table.
    """

    expected: ClassVar[str]
    has_digits: ClassVar[bool]

    def __init__(self, spec: Spec, name: str) -> None:
        """Take what isn't to be detected, and what to refuse, from `spec`."""
        self.name = name
        self._spec = spec

    @abstractmethod
    def find_layout(self, beginning: str) -> CsvLayout:
        """Return how to read a CSV table that begins so; DataError where it isn't recognised."""

    @abstractmethod
    def is_later_header(self, cells: Sequence[str], names: Sequence[str]) -> bool:
        """Return whether the cells of a later line make another header than the names of the first."""

    @abstractmethod
    def csv_rows(self, layout: CsvLayout) -> R:
        """Return what a CSV file's rows will be gathered in."""

    @abstractmethod
    def parquet_rows(self, schema: Any) -> tuple[R, dict[str, str]]:
        """Return what a Parquet file's rows will be gathered in, and the names of its columns by our words for them."""

    @abstractmethod
    def parquet_texts(self, column: Any, name: str, word: str) -> Any:
        """Return a Parquet column's values as Arrow strings without nulls; DataError where they have no text."""

    def right_by_lines(self, lines: R, whole: R, quotes_close: Callable[[], bool]) -> bool:
        """Return which of two readings of a file is right: True for that line by line, False for that by RFC 4180.

        Args:
            lines: the rows line by line.
            whole: the rows by RFC 4180.
            quotes_close: reads the file again to see whether its quotes are right.
        """
        return lines.readable > whole.readable


def read_file(path: Path, kind: TableKind[R], progress: Progress) -> R:
    """Return the rows of a .csv, .csv.gz or .parquet file; DataError where they can't be read."""
    with _broken_files_told(kind.name):
        rows = _FileReader(path, kind, progress).read()
        progress(f"read {kind.name}: {rows.refusals.rows:,} rows")
    return rows


def names_of(files: Sequence[Path]) -> list[str]:
    """Return the files' paths below the folder that holds them all."""
    folder = os.path.commonpath([path.absolute().parent for path in files])
    names = [path.absolute().relative_to(folder).as_posix() for path in files]
    return [os.fsencode(name).decode(errors="replace") for name in names]  # a name may not be UTF-8


@contextmanager
def _broken_files_told(name: str) -> Iterator[None]:
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


class _FileReader(Generic[R]):
    def __init__(self, path: Path, kind: TableKind[R], progress: Progress) -> None:
        self._path = path
        self._name = kind.name
        self._kind = kind
        self._progress = progress

    def read(self) -> R:
        suffixes = "".join(self._path.suffixes[-2:]).lower()
        if suffixes.endswith(".parquet"):
            return self._parquet()
        if not suffixes.endswith((".csv", ".csv.gz")):
            raise DataError(
                f"{self._name} is of an unknown kind: expected a name that ends with .csv, .csv.gz or .parquet"
            )
        with open_bytes(self._path) as source:
            refuse_binary(source.read(PEEKED), self._name)
        try:
            return self._csv(latin1=False)
        except NotUtf8:
            self._progress(f"{self._name} is not UTF-8: reading it as Latin-1")
            return self._csv(latin1=True)

    def _parquet(self) -> R:
        with closing(open_parquet(self._path, self._name)) as parquet:
            rows, columns = self._kind.parquet_rows(parquet.schema_arrow)
            return self._gathered(parquet_batches(parquet, columns, self._name, self._kind.parquet_texts), rows)

    def _csv(self, *, latin1: bool) -> R:
        """Read a CSV file by RFC 4180 and, where values seem to hold line ends, line by line too.

        A quote that opened by mistake swallows rows. So the reading with more rows that make sense is right, unless the
        table's kind knows better; equal numbers speak for RFC 4180.
        """
        with self._guarded(latin1) as guard:
            beginning = guard.read().decode()
        if not beginning.strip():
            raise DataError(f"{self._name} is empty: expected {self._kind.expected}")
        layout = self._kind.find_layout(beginning)
        whole, torn = self._by_quotes(layout, latin1)
        if whole and not torn:
            return whole
        self._progress(f"{self._name} has quoted values that go beyond a line: reading it line by line too")
        lines = self._by_lines(layout, latin1)
        if whole is None:
            return lines
        by_lines = self._kind.right_by_lines(
            lines, whole, lambda: all_quotes_close(self._path, layout.delimiter, latin1=latin1)
        )
        return lines if by_lines else whole

    def _by_quotes(self, layout: CsvLayout, latin1: bool) -> tuple[R | None, bool]:
        """Return the rows, or None where that fails, and whether there were more lines than records."""
        rows = self._kind.csv_rows(layout)
        with self._guarded(latin1) as guard:
            records = CsvRows(guard, layout, rows.refuse_shape, newlines=True)
            try:
                return self._gathered(records, rows), guard.lines > records.records
            except OutOfStep:
                return None, True

    def _by_lines(self, layout: CsvLayout, latin1: bool) -> R:
        rows = self._kind.csv_rows(layout)
        with self._guarded(latin1, layout.delimiter) as guard:
            try:
                return self._gathered(CsvRows(guard, layout, rows.refuse_shape, newlines=False), rows)
            except OutOfStep as error:
                raise DataError(f"{self._name} can't be read as CSV: {error}") from error

    def _guarded(self, latin1: bool, delimiter: str | None = None) -> closing[LineGuard]:
        return closing(LineGuard(open_bytes(self._path), latin1=latin1, closing=delimiter))

    def _gathered(self, batches: Iterable[Batch], rows: R) -> R:
        """Return `rows` with all of `batches` taken in, and tell on the way how far it has come."""
        told = 0
        for batch in batches:
            rows.add(batch)
            if rows.refusals.rows // _TOLD_EVERY > told:
                told = rows.refusals.rows // _TOLD_EVERY
                self._progress(f"{self._name}: {rows.refusals.rows:,} rows so far")
        return rows
