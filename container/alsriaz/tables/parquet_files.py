"""Parquet files: their rows, batch by batch, typed columns turned into the texts that a CSV file would have."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alsriaz.errors import DataError
from alsriaz.tables.texts import Batch

_ROWS: Final = 1 << 17  # in a batch: half a dozen columns of short texts are then about 10 MB
_WHOLE_FLOATS: Final = float(1 << 53)  # below it a float64 is an exact whole number or has a fraction


def open_parquet(path: Path, file: str) -> Any:
    """Return a Parquet file, called `file` in errors, to be closed by the caller; DataError where it isn't one."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # it can't be read at all
        told = str(error).rstrip(".")
        raise DataError(
            f"{file} can't be read as Parquet: {told}. Is it whole, and not CSV under another name?"
        ) from error


def parquet_batches(
    parquet: Any, columns: Mapping[str, str], file: str, texts: Callable[[Any, str, str], Any]
) -> Iterator[Batch]:
    """Yield the rows, numbered from 1; DataError where the file is damaged.

    Args:
        parquet: what `open_parquet` gave.
        columns: the names of the columns to read, by the words for them.
        file: the file's name, for errors.
        texts: makes Arrow strings without nulls of an Arrow array, given its column's name and the word for it.
    """
    names = list(dict.fromkeys(columns.values()))
    first = 1
    try:
        for rows in parquet.iter_batches(batch_size=_ROWS, columns=names, use_threads=False):
            numbers = np.arange(first, first + rows.num_rows, dtype=np.uint32)
            yield Batch(numbers, {word: texts(rows.column(name), name, word) for word, name in columns.items()})
            first += rows.num_rows
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
    if is_text(kind):
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


def is_text(kind: Any) -> bool:
    """Return whether an Arrow type holds texts, be it as categories."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_date(kind: Any) -> bool:
    """Return whether an Arrow type holds dates or times."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def is_number(kind: Any) -> bool:
    """Return whether an Arrow type holds numbers, be it as categories."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
