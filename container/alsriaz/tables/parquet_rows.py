"""Parquet rows, batch by batch, their typed columns turned into the texts that a CSV file would have."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alsriaz.errors import DataError
from alsriaz.platform.values import shown
from alsriaz.tables.batches import Batch
from alsriaz.tables.columns import READ, find_columns
from alsriaz.tables.sales_spec import SalesSpec

_ROWS = 1 << 17
_WHOLE_FLOATS = float(1 << 53)  # below it a float64 is an exact whole number or has a fraction


class ParquetRows:
    """The rows of one Parquet file, read once from beginning to end.

    Attributes:
        numeric: the words whose column holds numbers, not texts.
        typed_dates: True where the dates are dates or times, not texts or numbers.
    """

    def __init__(self, path: Path, spec: SalesSpec, file: str) -> None:
        """Open `path`, called `file` in errors; DataError where it is no Parquet file or columns are missing."""
        self._file = file
        self._parquet = open_parquet(path, file)
        schema = self._parquet.schema_arrow
        columns = find_columns(schema.names, spec.columns, file)
        columns = {role: place for role, place in columns.items() if role != "description" or _is_told(schema, place)}
        self._names = {role: schema.names[place] for role, place in columns.items()}
        self.numeric = frozenset(role for role, place in columns.items() if is_number(schema.types[place]))
        self.typed_dates = "date" in columns and _is_date(schema.types[columns["date"]])
        for name in self._names.values():
            if schema.names.count(name) > 1:
                raise DataError(f"{file} has two columns named {shown(name)}: give each its own name")

    def __iter__(self) -> Iterator[Batch]:
        """Yield the rows; DataError where the file is damaged, or a column is of a kind that has no text."""
        with closing(self._parquet):
            row = 1
            for batch in parquet_batches(self._parquet, list(dict.fromkeys(self._names.values())), self._file):
                columns = [self._texts(batch, role) if role in self._names else None for role in READ]
                yield Batch(np.arange(row, row + batch.num_rows, dtype=np.uint32), *columns)
                row += batch.num_rows

    def _texts(self, batch: Any, role: str) -> Any:
        return told_texts(batch.column(self._names[role]), f"{shown(self._names[role])} ({role})", self._file)


def open_parquet(path: Path, file: str) -> Any:
    """Return a Parquet file, called `file` in errors, to be closed by the caller; DataError where it is none."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # it can't be read at all
        told = str(error).rstrip(".")
        raise DataError(
            f"{file} can't be read as Parquet: {told}. Is it whole, and not CSV under another name?"
        ) from error


def parquet_batches(parquet: Any, names: list[str], file: str) -> Iterator[Any]:
    """Yield the columns of these names as Arrow batches; DataError where the file is damaged."""
    try:
        yield from parquet.iter_batches(batch_size=_ROWS, columns=names, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is damaged: {error}") from error


def told_texts(column: Any, name: str, file: str, *, finite: bool = False) -> Any:
    """Return `as_texts` of a column; DataError where it is of a kind that has no text."""
    try:
        return as_texts(column, finite=finite)
    except pa.ArrowException as error:
        raise DataError(
            f"{file}: the column {name} is of type {column.type}: expected text in UTF-8, numbers or dates ({error})"
        ) from error


def as_texts(column: Any, *, finite: bool = False) -> Any:
    """Return an Arrow array of any plain type as strings; null and NaN become empty, `finite` the infinite too.

    Whole numbers have no ``.0``, whatever type holds them; a fraction has the digits that its own type needs. A time
    with a time zone is told in that zone.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = column.cast(pa.large_string()).cast(pa.large_binary())  # and back: that checks that it is UTF-8
    texts = _float_texts(column, finite) if pa.types.is_floating(kind) else column.cast(pa.string())
    if pa.types.is_decimal(kind):
        texts = pc.replace_substring_regex(texts, r"\.0+$", "")
    return pc.fill_null(texts, "")


def _float_texts(column: Any, finite: bool) -> Any:
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())  # in which Arrow writes fewer digits
    wide = column.cast(pa.float64())
    whole = pc.and_(pc.equal(pc.floor(wide), wide), pc.less(pc.abs(wide), _WHOLE_FLOATS))
    digits = pc.if_else(whole, wide, 0.0).cast(pa.int64()).cast(pa.string())
    texts = pc.if_else(whole, digits, column.cast(pa.string()))
    missing = pc.invert(pc.is_finite(wide)) if finite else pc.is_nan(wide)
    return pc.if_else(missing, pa.scalar(None, pa.string()), texts)


def _is_told(schema: Any, place: int) -> bool:
    """Return whether a column can serve as the description: what can't is left alone, since nothing hangs on it."""
    kind = schema.types[place]
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return bool(text) and schema.names.count(schema.names[place]) == 1


def _is_date(kind: Any) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def is_number(kind: Any) -> bool:
    """Return whether an Arrow type holds numbers, be it as categories."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
