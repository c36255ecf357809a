"""What kind of table a CSV file is, told from its beginning: delimiter, header or none, and which column is what."""

import codecs
import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import Final, NamedTuple

from alsriaz.errors import DataError
from alsriaz.platform.values import shown
from alsriaz.tables.columns import NEEDED, find_columns, listed, offered, roles_in
from alsriaz.tables.day_column import looks_like_date
from alsriaz.tables.sales_spec import SalesSpec
from alsriaz.tables.texts import parse_quantity

DELIMITERS: Final = ",|\t;"
PEEKED: Final = 1 << 16
_LOOKED_AT: Final = 100

_SIGNATURES: Final = (
    (b"\x1f\x8b", "gzip-compressed data: let its name end with .csv.gz"),
    (b"PK\x03\x04", "a zip archive, or an Excel workbook (.xlsx): unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls): save the sheet as CSV"),
    (b"PAR1", "a Parquet file: let its name end with .parquet"),
    (codecs.BOM_UTF16_LE, "text in UTF-16: save it as UTF-8"),
    (codecs.BOM_UTF16_BE, "text in UTF-16: save it as UTF-8"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it, or compress it with gzip"),
    (b"BZh", "compressed with bzip2: unpack it, or compress it with gzip"),
    (b"\xfd7zXZ", "compressed with xz: unpack it, or compress it with gzip"),
    (b"%PDF", "a PDF: export the table as CSV"),
)


@dataclass(frozen=True)
class Layout:
    """How to read one CSV file.

    Attributes:
        delimiter: one ASCII character.
        names: the header's names, or ``column 1`` and so on where there is no header.
        columns: which column (from 0) is the customer, item, quantity, date, and invoice where there is one.
        skip: records before the first row of data: the header and blank ones above it.
        empty: how many of them are empty lines.
    """

    delimiter: str
    names: tuple[str, ...]
    columns: dict[str, int]
    skip: int
    empty: int


class _Table(NamedTuple):
    """The file's first records as one delimiter splits them, the first one not blank.

    `above` blank ones stood before it, `empty` of them without any cell.
    """

    delimiter: str
    records: list[list[str]]
    above: int
    empty: int


def refuse_binary(beginning: bytes, file: str) -> None:
    """Raise a DataError where a file's first bytes say that it is no text, with what it seems to be."""
    for signature, told in _SIGNATURES:
        if beginning.startswith(signature):
            raise DataError(f"{file} is no CSV text but {told}")
    if _is_utf16(beginning):
        raise DataError(f"{file} is no CSV text but text in UTF-16: save it as UTF-8")
    # A hole of NULs costs its line only. Compressed data and images have all bytes alike, a tenth of them controls.
    controls = sum(map(beginning.count, range(32))) - sum(map(beginning.count, b"\t\n\v\f\r\x1a"))
    if 10 * controls > 9 * len(beginning) > 0 or (20 * controls > len(beginning) and not _is_utf8(beginning)):
        raise DataError(
            f"{file} is no CSV text: it begins with {shown(beginning[:16])}. Expected a table in UTF-8 or Latin-1"
        )


def find_layout(beginning: str, spec: SalesSpec, file: str) -> Layout:
    """Return how to read a CSV file.

    Recognised are a header with names that `columns` or the aliases know, columns given by number, and the headerless
    ``customer|item|quantity|date`` (with any delimiter), where some of the first rows have a number third and a date
    fourth.

    Args:
        beginning: the file's first lines, whole.
        spec: its `delimiter` and `columns` win over what would be detected.
        file: the file's name, for errors.

    Raises:
        DataError: the file is empty, or isn't recognised, or columns are missing.
    """
    if not beginning.strip():
        raise DataError(f"{file} is empty: expected rows of customer, item, quantity and date")
    tables = [_split(beginning, delimiter) for delimiter in spec.delimiter or DELIMITERS]
    table = max(tables, key=lambda table: _likeness(table, spec))
    first, wanted = table.records[0], spec.columns
    if all(isinstance(wanted.get(role), int) for role in NEEDED):
        names = [f"column {number + 1}" for number in range(_usual_width(table))]
        return Layout(table.delimiter, tuple(names), find_columns(names, wanted, file), 0, 0)
    if wanted or roles_in(first, wanted):
        names = [name.strip() for name in first]
        return Layout(table.delimiter, tuple(names), find_columns(names, wanted, file), table.above + 1, table.empty)
    if _is_reference(table):
        columns = {role: place for place, role in enumerate(NEEDED)}
        return Layout(table.delimiter, ("column 1", "column 2", "column 3", "column 4"), columns, 0, 0)
    raise DataError(_unrecognised(table, file))


def _split(text: str, delimiter: str) -> _Table:
    records = list(_records(text, delimiter))
    filled = list(dropwhile(lambda record: not any(cell.strip() for cell in record), records))
    above = len(records) - len(filled)
    return _Table(delimiter, filled or [[""]], above, sum(not record for record in records[:above]))


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the first records; one that the csv module refuses, such as a very long value, as one strange cell."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    for _ in range(_LOOKED_AT):
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield [str(error)]


def _likeness(table: _Table, spec: SalesSpec) -> tuple[int, bool, int]:
    """Return a key that is largest for the right delimiter."""
    width = len(table.records[0])
    alike = sum(len(record) == width for record in table.records) if width > 1 else 0
    return roles_in(table.records[0], spec.columns), _is_reference(table), alike


def _usual_width(table: _Table) -> int:
    widths = [len(record) for record in table.records if record]
    return max(widths, key=lambda width: (widths.count(width), width))


def _is_reference(table: _Table) -> bool:
    """Return whether the rows are customer, item, quantity, date.

    A first row of four texts with neither a number nor a date is a header in a language we don't know.
    """
    first = table.records[0]
    if len(first) == len(NEEDED) and not _is_number(first[2]) and not looks_like_date(first[3]):
        return False
    rows = (record for record in table.records if len(record) == len(NEEDED))
    return any(_is_number(record[2]) and looks_like_date(record[3]) for record in rows)


def _is_number(text: str) -> bool:
    return not math.isnan(parse_quantity(text))


def _is_utf16(beginning: bytes) -> bool:
    """Return whether every other byte is a NUL, more or less, and the ones between are not."""
    few, many = sorted((beginning[::2].count(0), beginning[1::2].count(0)))
    return 4 * many > len(beginning) and 10 * few < many


def _is_utf8(beginning: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return False
    return True


def _unrecognised(table: _Table, file: str) -> str:
    recognised = "; ".join(f"{role}: {offered(role)}" for role in NEEDED)
    return (
        f"{file}: no header that is recognised, and no rows of customer, item, quantity, date. "
        'Name the columns in the setting columns, for example {"customer": "Client"}, or, where there is no header, '
        '{"customer": 1, "item": 2, "quantity": 3, "date": 4}. '
        f"The first line, split at {shown(table.delimiter)}, is {listed([cell.strip() for cell in table.records[0]])}. "
        f"Recognised are {recognised}, and the like"
    )


def find_named_columns(beginning: str, is_header: Callable[[Sequence[str]], bool]) -> Layout | None:
    """Return how to read all columns of a CSV file whose first row that isn't blank names them, or None.

    `columns` has the columns by their numbers, from 0, as texts. Of the delimiters that make a header of that row, the
    one that gives the most columns counts.

    Args:
        beginning: the file's first lines, whole.
        is_header: whether a row of names has what a header needs.
    """
    tables = [_split(beginning, delimiter) for delimiter in DELIMITERS]
    fit = [table for table in tables if is_header([name.strip() for name in table.records[0]])]
    if not fit:
        return None
    table = max(fit, key=lambda table: len(table.records[0]))
    names = tuple(name.strip() for name in table.records[0])
    columns = {str(place): place for place in range(len(names))}
    return Layout(table.delimiter, names, columns, table.above + 1, table.empty)
