"""Parquet rows, batch by batch, their typed columns turned into the texts that a CSV file would have."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alsriaz.core.errors import DataError
from alsriaz.core.setting import shown
from alsriaz.training.sales.batches import Batch
from alsriaz.training.sales.columns import READ, find_columns
from alsriaz.training.sales.sales_spec import SalesSpec

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
        try:
            self._parquet = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise  # it can't be read at all
            told = str(error).rstrip(".")
            raise DataError(
                f"{file} can't be read as Parquet: {told}. Is it whole, and not CSV under another name?"
            ) from error
        schema = self._parquet.schema_arrow
        columns = find_columns(schema.names, spec.columns, file)
        self._names = {role: schema.names[place] for role, place in columns.items()}
        self.numeric = frozenset(role for role, place in columns.items() if _is_number(schema.types[place]))
        self.typed_dates = "date" in columns and _is_date(schema.types[columns["date"]])
        for name in self._names.values():
            if schema.names.count(name) > 1:
                raise DataError(f"{file} has two columns named {shown(name)}: give each its own name")

    def __iter__(self) -> Iterator[Batch]:
        """Yield the rows; DataError where the file is damaged, or a column is of a kind that has no text."""
        with closing(self._parquet):
            row = 1
            for batch in self._batches():
                columns = [self._texts(batch, role) if role in self._names else None for role in READ]
                yield Batch(np.arange(row, row + batch.num_rows, dtype=np.uint32), *columns)
                row += batch.num_rows

    def _batches(self) -> Iterator[Any]:
        names = list(dict.fromkeys(self._names.values()))
        try:
            yield from self._parquet.iter_batches(batch_size=_ROWS, columns=names, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self._file} is damaged: {error}") from error

    def _texts(self, batch: Any, role: str) -> Any:
        column = batch.column(self._names[role])
        try:
            return as_texts(column)
        except pa.ArrowException as error:
            raise DataError(
                f"{self._file}: the column {shown(self._names[role])} ({role}) is of type {column.type}: "
                f"expected text in UTF-8, numbers or dates ({error})"
            ) from error


def as_texts(column: Any) -> Any:
    """Return an Arrow array of any plain type as strings; null and NaN become empty.

    Whole numbers have no ``.0``, whatever type holds them. A time with a time zone is told in that zone.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = column.cast(pa.large_string()).cast(pa.large_binary())  # and back: that checks that it is UTF-8
    texts = _float_texts(column.cast(pa.float64())) if pa.types.is_floating(kind) else column.cast(pa.string())
    if pa.types.is_decimal(kind):
        texts = pc.replace_substring_regex(texts, r"\.0+$", "")
    return pc.fill_null(texts, "")


def _float_texts(column: Any) -> Any:
    whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), _WHOLE_FLOATS))
    digits = pc.if_else(whole, column, 0.0).cast(pa.int64()).cast(pa.string())
    texts = pc.if_else(whole, digits, column.cast(pa.string()))
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.string()), texts)


def _is_date(kind: Any) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _is_number(kind: Any) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
