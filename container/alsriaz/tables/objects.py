"""Objects end to end, as Pipe mode gives them, made one CSV table again."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO, Final

from alsriaz.errors import DataError
from alsriaz.platform.values import shown
from alsriaz.tables.csv_files import (
    BOM,
    LONGEST_LINE,
    PEEKED,
    CsvLayout,
    LineGuard,
    NotUtf8,
    last_line_end,
    refuse_binary,
)
from alsriaz.tables.reading import TableKind

_PIECE: Final = LONGEST_LINE  # as the guard's own: a first line that can be read ends within it, or just after
_NEITHER_DIGIT_NOR_LINE_END: Final = bytes(set(range(256)) - set(b"0123456789\r\n"))
_LINE_WITHOUT_DIGIT = re.compile(rb"(?<![^\r\n])[^0-9\r\n]+(?![^\r\n])")
_BOM_AT_LINE_START = re.compile(rb"(?<![^\r\n])" + BOM)
_DIGIT = re.compile(rb"[0-9]")
_LINE_END = re.compile(rb"\r\n|\r|\n")


def one_table(source: BinaryIO, kind: TableKind[Any]) -> Iterator[bytes]:
    """Yield, in whole lines, the CSV table that objects which were joined end to end make up.

    The first object's header stays. Each later line of the same bytes is a later object's header, and goes. Where one
    stands at the end of a row, the object before had no line end: the row gets its own. A byte order mark at the
    beginning of a line goes too. Where there is no header, equal rows may be true, and all stay.

    Args:
        source: all objects; a read is short at the end only.
        kind: what the table is about.

    Raises:
        DataError: it isn't CSV; or a later object has another header, which would give its columns other meanings.
    """
    beginning = source.read(_PIECE)
    refuse_binary(beginning[:PEEKED], kind.name)
    beginning = beginning.removeprefix(BOM)
    whole = beginning[: last_line_end(beginning) or len(beginning)]
    layout = _layout(whole, kind)
    top = whole.splitlines(keepends=True)[: layout.skip]
    header = top[-1].rstrip(b"\r\n") if top else b""
    if header.count(b'"') % 2:
        raise DataError(
            f"{kind.name}: its header goes beyond one line, which Pipe mode can't tell from data: use File mode"
        )
    yield b"".join(top)
    cleaner = _Cleaner(header, layout, kind)
    for lines in _whole_lines(beginning[sum(map(len, top)) :], source):
        yield cleaner.clean(lines)


def _layout(lines: bytes, kind: TableKind[Any], *, latin1: bool = False) -> CsvLayout:
    try:
        with closing(LineGuard(io.BytesIO(lines), latin1=latin1)) as guard:
            return kind.find_layout(guard.read().decode())
    except NotUtf8:
        return _layout(lines, kind, latin1=True)


def _whole_lines(rest: bytes, source: BinaryIO) -> Iterator[bytes]:
    """Yield what is left, cut where lines end; the last line gets an end."""
    while data := source.read(_PIECE):
        rest += data
        if cut := last_line_end(rest):
            yield rest[:cut]
            rest = rest[cut:]
        else:
            rest = rest[: LONGEST_LINE + 1]  # of a line so long that it will be refused, its beginning is enough
    if rest:
        yield rest if rest.endswith((b"\r", b"\n")) else rest + b"\n"


class _Cleaner:
    """Takes out of lines what only the beginnings of objects have."""

    def __init__(self, header: bytes, layout: CsvLayout, kind: TableKind[Any]) -> None:
        self._header = header
        self._layout = layout
        self._kind = kind

    def clean(self, lines: bytes) -> bytes:
        """Return whole lines without repeated headers and byte order marks."""
        if self._header and self._header in lines:
            lines = self._without_headers(lines)
        if BOM in lines:
            lines = _BOM_AT_LINE_START.sub(b"", lines)
        self._refuse_other_headers(lines)
        return lines

    def _without_headers(self, lines: bytes) -> bytes:
        first, *others = lines.split(self._header)
        kept = bytearray(first)
        for after in others:
            line_end = _LINE_END.match(after)
            newline = kept.rfind(b"\n")
            row = bytes(kept[max(newline, kept.rfind(b"\r", newline + 1)) + 1 :])
            before = row.removesuffix(BOM)
            if not line_end or (before and not self._is_row(before)):
                kept += self._header + after  # no header, but a part of a row, or of another header
                continue
            del kept[len(kept) - len(row) + len(before) :]
            kept += after if before else after[line_end.end() :]
        return bytes(kept)

    def _is_row(self, before: bytes) -> bool:
        """Return whether what stands before a header is a whole row, and not the beginning of another header.

        A row of items may have no digit: then it has the header's number of cells, closed quotes, and a last cell.
        """
        if _DIGIT.search(before):
            return True
        if self._kind.has_digits or before.count(b'"') % 2:
            return False
        cells = self._cells(before.decode("utf-8", "replace"))
        return len(cells) == len(self._layout.names) and bool(cells[-1].strip())

    def _refuse_other_headers(self, lines: bytes) -> None:
        """Raise a DataError where a line is a header."""
        for line in self._may_be_headers(lines):
            text = line.decode("utf-8", "replace")
            if self._kind.is_later_header(self._cells(text), self._layout.names):
                header = shown(self._header.decode("utf-8", "replace"), 160) if self._header else "which has none"
                raise DataError(
                    f"{self._kind.name}: a later object begins with another header, {shown(text, 160)}, than the "
                    f"first, {header}. "
                    "Pipe mode joins the objects of a channel: give all the same header, or use File mode"
                )

    def _may_be_headers(self, lines: bytes) -> list[bytes]:
        """Return the lines to look at: of sales those without a digit, as each row has some in quantity and date."""
        if not self._kind.has_digits:
            return lines.splitlines()
        digits = lines.translate(None, _NEITHER_DIGIT_NOR_LINE_END).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not digits.startswith(b"\n") and b"\n\n" not in digits:
            return []
        return _LINE_WITHOUT_DIGIT.findall(lines)

    def _cells(self, line: str) -> list[str]:
        if '"' not in line:
            return line.split(self._layout.delimiter)
        try:
            return next(csv.reader([line], delimiter=self._layout.delimiter), [])
        except csv.Error:
            return []
