"""CSV files: what a file's first lines say of its layout, a guard that keeps the parser from upsets, and the rows."""

import codecs
import csv
import gzip
import io
import math
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv

from alsriaz.errors import DataError
from alsriaz.platform.spec import Spec
from alsriaz.platform.values import shown
from alsriaz.tables.columns import NEEDED, find_columns, is_items_header, listed, offered, roles_in
from alsriaz.tables.refusals import SAMPLES, SHOWN_CHARACTERS
from alsriaz.tables.texts import Batch, RowNumbers, looks_like_date, parse_quantity

PEEKED: Final = 1 << 16  # bytes that tell text from binary data: enough for shares of control bytes to mean something
DELIMITERS: Final = ",|\t;"
_LOOKED_AT: Final = 100  # records: rows of the reference's layout may follow some bad ones

LONGEST_LINE: Final = 1 << 20  # bytes: no row of sales comes near, and a few such lines are all that memory holds
BOM: Final = b"\xef\xbb\xbf"
_PIECE: Final = LONGEST_LINE  # so that only the first line of what is at hand can be too long
_KEPT_BYTES: Final = 4 * SHOWN_CHARACTERS  # of a line that is replaced: in UTF-8 enough for what a sample shows
_MARK: Final = "\x01"
_LINE_END = re.compile(rb"[\r\n]")

_BLOCK: Final = 8 << 20  # bytes, more than LineGuard ever hands over at once

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


class NotUtf8(Exception):
    """The file is to be read again, as Latin-1."""


class OutOfStep(Exception):
    """A quote never closes, or not for megabytes: the file is to be read again, line by line."""


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading, unpacking it where its name ends with ``.gz``."""
    return cast(BinaryIO, gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


# ---- What the first bytes and lines tell ----------------------------------------------------------------------------


def refuse_binary(beginning: bytes, file: str) -> None:
    """Raise a DataError where a file's first bytes say that it isn't text, with what it seems to be."""
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


@dataclass(frozen=True)
class CsvLayout:
    """How to read one CSV file.

    Attributes:
        delimiter: one ASCII character.
        names: the header's names, or ``column 1`` and so on where there is no header.
        columns: by our word for it, the place (from 0) of each column that is read. Of sales the words are the
            customer, item, quantity and date, and the invoice and the description where there are such; of items, all
            of whose columns are read, they are the places themselves as text.
        skip: records before the first row of data: the header and blank ones above it.
        empty: how many of them are empty lines.
    """

    delimiter: str
    names: tuple[str, ...]
    columns: dict[str, int]
    skip: int
    empty: int


class _Head(NamedTuple):
    """The file's first records as one delimiter splits them, the first one not blank.

    `above` blank ones stood before it, `empty` of them without any cell.
    """

    delimiter: str
    records: list[list[str]]
    above: int
    empty: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.records[0])

    def with_header(self, columns: dict[str, int]) -> CsvLayout:
        return CsvLayout(self.delimiter, self.names, columns, self.above + 1, self.empty)


def find_sales_layout(beginning: str, spec: Spec, file: str) -> CsvLayout:
    """Return how to read a CSV file of sales.

    Recognised are a header with names that `columns` or the aliases know, columns given by number, and the headerless
    ``customer|item|quantity|date`` (with any delimiter), where some of the first rows have a number third and a date
    fourth. The spec's `delimiter` and `columns` win over what would be detected. `beginning` is whole lines.

    Raises:
        DataError: the file is empty, or isn't recognised, or columns are missing.
    """
    if not beginning.strip():
        raise DataError(f"{file} is empty: expected rows of customer, item, quantity and date")
    heads = [_split(beginning, delimiter) for delimiter in spec.delimiter or DELIMITERS]
    head = max(heads, key=lambda head: _likeness(head, spec))
    wanted = spec.columns
    if all(isinstance(wanted.get(role), int) for role in NEEDED):
        names = [f"column {number + 1}" for number in range(_usual_width(head))]
        return CsvLayout(head.delimiter, tuple(names), find_columns(names, wanted, file), 0, 0)
    if wanted or roles_in(head.records[0], wanted):
        return head.with_header(find_columns(head.names, wanted, file))
    if _is_reference(head):
        columns = {role: place for place, role in enumerate(NEEDED)}
        return CsvLayout(head.delimiter, ("column 1", "column 2", "column 3", "column 4"), columns, 0, 0)
    recognised = "; ".join(f"{role}: {offered(role)}" for role in NEEDED)
    raise DataError(
        f"{file}: no header that is recognised, and no rows of customer, item, quantity, date. "
        'Name the columns in the setting columns, for example {"customer": "Client"}, or, where there is no header, '
        '{"customer": 1, "item": 2, "quantity": 3, "date": 4}. '
        f"The first line, split at {shown(head.delimiter)}, is {listed(head.names)}. "
        f"Recognised are {recognised}, and the like"
    )


def find_items_layout(beginning: str, wanted: str | int | None, file: str) -> CsvLayout:
    """Return how to read a CSV file of items: its first row that isn't blank names all columns.

    Of the delimiters that make a header of that row, the one that gives the most columns counts; DataError where none
    does. `wanted` is what the setting `columns` says of the item in sales files.
    """
    heads = [_split(beginning, delimiter) for delimiter in DELIMITERS]
    fit = [head for head in heads if is_items_header(head.names, wanted)]
    if not fit:
        first = next((line for line in beginning.splitlines() if line.strip()), "")
        raise DataError(
            f"{file}: no header that is recognised. Expected names in the first row, one of them for the "
            f"item's id ({offered('item')}, id and the like) and further ones, divided by , | ; or tab. "
            f"The first line is {shown(first.strip(), 200)}"
        )
    head = max(fit, key=lambda head: len(head.names))
    return head.with_header({str(place): place for place in range(len(head.names))})


def _split(text: str, delimiter: str) -> _Head:
    records = list(_first_records(text, delimiter))
    filled = list(dropwhile(lambda record: not any(cell.strip() for cell in record), records))
    above = len(records) - len(filled)
    return _Head(delimiter, filled or [[""]], above, sum(not record for record in records[:above]))


def _first_records(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the first records; one that the csv module refuses, such as a very long value, as one strange cell."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    for _ in range(_LOOKED_AT):
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield [str(error)]


def _likeness(head: _Head, spec: Spec) -> tuple[int, bool, int]:
    """Return a key that is largest for the right delimiter."""
    width = len(head.records[0])
    alike = sum(len(record) == width for record in head.records) if width > 1 else 0
    return roles_in(head.records[0], spec.columns), _is_reference(head), alike


def _usual_width(head: _Head) -> int:
    widths = [len(record) for record in head.records if record]
    return max(widths, key=lambda width: (widths.count(width), width))


def _is_reference(head: _Head) -> bool:
    """Return whether the rows are customer, item, quantity, date.

    A first row of four texts with neither a number nor a date is a header in a language we don't know.
    """
    first = head.records[0]
    if len(first) == len(NEEDED) and not _is_number(first[2]) and not looks_like_date(first[3]):
        return False
    rows = (record for record in head.records if len(record) == len(NEEDED))
    return any(_is_number(record[2]) and looks_like_date(record[3]) for record in rows)


def _is_number(text: str) -> bool:
    return not math.isnan(parse_quantity(text))


# ---- Lines ----------------------------------------------------------------------------------------------------------


class LineGuard(io.RawIOBase):
    """A readable stream of UTF-8 text, in front of the parser, in which every read ends with a line's end.

    Replaced by a line of one short word, which no table of two columns or more can hold: a line longer than 1 MB, a
    line with a NUL byte, and, where `closing` is given, a line on which a quote opens and doesn't close. Memory stays
    within a few MB whatever the file holds. A byte order mark at the beginning is left out; the last line gets an end.

    Attributes:
        lines: how many lines have been read that aren't empty.
    """

    def __init__(self, source: BinaryIO, *, latin1: bool, closing: str | None = None) -> None:
        """Guard `source`.

        Args:
            source: the raw bytes; closed with the guard.
            latin1: read the bytes as Latin-1 rather than UTF-8.
            closing: the delimiter of a table in which a quoted value ends on the line on which it begins.
        """
        super().__init__()
        self._source = source
        self._latin1 = latin1
        self._closed_line = _closed_line(closing) if closing else None
        self._rest = b""
        self._at_start = True
        self._replaced: list[str] = []
        self.lines = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the source too."""
        self._source.close()
        super().close()

    def read(self, size: int = -1) -> bytes:
        """Return the next whole lines, about 1 MB and at most 4 MB whatever `size` says; empty at the end.

        Raises:
            NotUtf8: a line that isn't replaced is not valid UTF-8.
        """
        piece = self._whole_lines()
        if b"\0" in piece or (self._closed_line and b'"' in piece):
            piece = b"".join(map(self._screened, piece.splitlines(keepends=True)))
        if not piece.isascii():
            piece = self._utf8(piece)
        self._count(piece)
        return piece

    def beginning(self, text: str) -> str:
        """Return the beginning of the line that was replaced by `text`; `text` itself where none was."""
        number = text[len(_MARK) :]
        if text.startswith(_MARK) and number.isdecimal() and int(number) < len(self._replaced):
            return self._replaced[int(number)]
        return text

    def _whole_lines(self) -> bytes:
        while True:
            data = self._source.read(_PIECE)
            if self._at_start:
                data = data.removeprefix(BOM)
                self._at_start = False
                if not data:
                    data = self._source.read(_PIECE)
            buffer = self._rest + data
            self._rest = b""
            if not data:
                ended = not buffer or buffer.endswith((b"\n", b"\r"))
                return self._first_line_bounded(buffer if ended else buffer + b"\n")
            cut = last_line_end(buffer)
            if cut:
                self._rest = buffer[cut:]
                return self._first_line_bounded(buffer[:cut])
            if len(buffer) > LONGEST_LINE:
                return self._drained(buffer)
            self._rest = buffer

    def _first_line_bounded(self, piece: bytes) -> bytes:
        """Replace the first line where it is too long; the others lie within one read and can't be."""
        if len(piece) <= LONGEST_LINE:
            return piece
        first = _LINE_END.search(piece)
        return self._placeholder(piece) + piece[first.start() :] if first and first.start() > LONGEST_LINE else piece

    def _drained(self, buffer: bytes) -> bytes:
        """Drop the rest of a line that is too long, and return what stands in its place."""
        while not buffer.endswith(b"\r") and (data := self._source.read(_PIECE)):
            if end := _LINE_END.search(data):
                self._rest = data[end.end() :]
                break
        return self._placeholder(buffer) + b"\n"

    def _screened(self, line: bytes) -> bytes:
        text = line.rstrip(b"\r\n")
        if b"\0" in text or (self._closed_line and b'"' in text and not self._closed_line.fullmatch(text)):
            return self._placeholder(text) + line[len(text) :]
        return line

    def _placeholder(self, line: bytes) -> bytes:
        if len(self._replaced) < SAMPLES:  # more than that many are never shown
            encoding = "latin-1" if self._latin1 else "utf-8"
            self._replaced.append(line[:_KEPT_BYTES].decode(encoding, "replace"))
            return f"{_MARK}{len(self._replaced) - 1}".encode()
        return f"{_MARK}{SAMPLES}".encode()

    def _utf8(self, piece: bytes) -> bytes:
        if self._latin1:
            return piece.decode("latin-1").encode()
        try:
            piece.decode()  # whole lines: no character is cut in two
        except UnicodeDecodeError as error:
            raise NotUtf8 from error
        return piece

    def _count(self, piece: bytes) -> None:
        ends = piece.count(b"\n")
        if b"\r" in piece:
            ends += piece.count(b"\r") - piece.count(b"\r\n")
        if piece.startswith((b"\n", b"\r")) or any(pair in piece for pair in (b"\n\n", b"\n\r", b"\r\r")):
            ends = sum(1 for line in piece.splitlines() if line)
        self.lines += ends


def last_line_end(buffer: bytes) -> int:
    """Return how many bytes of `buffer` are whole lines. A lone CR ends a line only where there is no LF."""
    return buffer.rfind(b"\n") + 1 or buffer.rfind(b"\r", 0, len(buffer) - 1) + 1


def _closed_line(delimiter: str) -> re.Pattern[bytes]:
    """Return a pattern of a line whose quoted values all end on it; only a quote that begins a value opens one."""
    mark = re.escape(delimiter).encode()
    value = rb'(?:"(?:[^"]++|"")*+"|(?!"))[^' + mark + rb"]*+"
    return re.compile(value + rb"(?:" + mark + value + rb")*+", re.DOTALL)


def all_quotes_close(path: Path, delimiter: str, *, latin1: bool) -> bool:
    """Return whether each quote that closes a value ends it: one that opened by mistake closes where one opens."""
    with closing(LineGuard(open_bytes(path), latin1=latin1)) as guard:
        lines = (line.decode() for piece in iter(guard.read, b"") for line in piece.splitlines(keepends=True))
        try:
            deque(csv.reader(lines, delimiter=delimiter, strict=True), maxlen=0)
        except csv.Error:
            return False
    return True


# ---- Rows -----------------------------------------------------------------------------------------------------------


class CsvRows:
    """The rows of one CSV file, read once from beginning to end.

    Attributes:
        records: how many records have been read, header and refused ones included.
    """

    def __init__(
        self, guard: LineGuard, layout: CsvLayout, refused: Callable[[int, str], None], *, newlines: bool
    ) -> None:
        """Prepare to read `guard`.

        Args:
            guard: the file; closed by the caller.
            layout: how to read it.
            refused: called with the number and the text of each row that has too few or too many columns.
            newlines: whether a quoted value may hold line ends.
        """
        self._guard = guard
        self._layout = layout
        self._refused = refused
        self._newlines = newlines
        self._refused_numbers: list[int] = []
        self.records = layout.skip - layout.empty
        self._next = self.records + 1

    def __iter__(self) -> Iterator[Batch]:
        """Yield the rows with the right number of columns, by the layout's words for them.

        Raises:
            OutOfStep: see there.
            NotUtf8: see LineGuard.
        """
        try:
            with self._open() as reader:
                for rows in reader:
                    self.records += rows.num_rows
                    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
                    yield Batch(self._numbers(rows.num_rows), columns)
        except pa.ArrowInvalid as error:
            raise OutOfStep(str(error)) from error

    def _open(self) -> Any:
        columns = self._layout.columns
        words = {place: word for word, place in columns.items()}
        names = [words.get(place, f"#{place}") for place in range(len(self._layout.names))]
        return pa.csv.open_csv(
            self._guard,
            read_options=pa.csv.ReadOptions(
                use_threads=False, block_size=_BLOCK, column_names=names, skip_rows_after_names=self._layout.skip
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=self._layout.delimiter, newlines_in_values=self._newlines, invalid_row_handler=self._invalid
            ),
            # Every text stays as it is: NA and null are ids like others. The guard has checked the encoding.
            convert_options=pa.csv.ConvertOptions(
                check_utf8=False, include_columns=list(columns), column_types=dict.fromkeys(columns, pa.string())
            ),
        )

    def _invalid(self, row: Any) -> str:
        number = row.number - self._layout.empty  # Arrow counts empty lines while it skips, and not later
        self.records += 1
        if number == self._next:  # nothing is waiting before it, so nothing needs to know it
            self._next += 1
        else:
            self._refused_numbers.append(number)
        self._refused(number, self._guard.beginning(row.text))
        return "skip"

    def _numbers(self, rows: int) -> RowNumbers:
        """Return the numbers of the next `rows` good rows: those of the refused rows between them are left out."""
        if not rows:
            return np.empty(0, np.uint32)
        refused = np.array(self._refused_numbers, np.int64) - self._next
        # The j-th refused row has refused[j] - j good rows before it.
        before = np.searchsorted(refused - np.arange(len(refused)), np.arange(rows), side="right")
        numbers = self._next + np.arange(rows) + before
        self._next = int(numbers[-1]) + 1
        self._refused_numbers = [number for number in self._refused_numbers if number >= self._next]
        return numbers.astype(np.uint32)
