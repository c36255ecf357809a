"""Objects end to end, as Pipe mode gives them, made one CSV table again."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

from alsriaz.core.errors import DataError
from alsriaz.core.setting import shown
from alsriaz.training.sales.columns import find_columns
from alsriaz.training.sales.lines import BOM, LONGEST_LINE, LineGuard, NotUtf8, last_line_end
from alsriaz.training.sales.sales_spec import SalesSpec
from alsriaz.training.sales.sniff import PEEKED, Layout, find_layout, refuse_binary

_PIECE: Final = 1 << 20
_NEITHER_DIGIT_NOR_LINE_END: Final = bytes(set(range(256)) - set(b"0123456789\r\n"))
_LINE_WITHOUT_DIGIT = re.compile(rb"(?<![^\r\n])[^0-9\r\n]+(?![^\r\n])")
_BOM_AT_LINE_START = re.compile(rb"(?<![^\r\n])" + BOM)
_DIGIT = re.compile(rb"[0-9]")
_LINE_END = re.compile(rb"\r\n|\r|\n")


def one_table(source: BinaryIO, spec: SalesSpec, name: str) -> Iterator[bytes]:
    """Yield, in whole lines, the CSV table that objects which were joined end to end make up.

    The first object's header stays. Each later line of the same bytes is a later object's header, and goes. Where one
    stands at the end of a row, the object before had no line end: the row gets its own. A byte order mark at the
    beginning of a line goes too. Where there is no header, equal rows may be true, and all stay.

    Args:
        source: all objects; a read is short at the end only.
        spec: what isn't to be detected.
        name: what errors call the table.

    Raises:
        DataError: it is no CSV; or a later object has another header, which would give its columns other meanings.
    """
    beginning = source.read(_PIECE)
    refuse_binary(beginning[:PEEKED], name)
    beginning = beginning.removeprefix(BOM)
    whole = beginning[: last_line_end(beginning) or len(beginning)]
    layout = _layout(whole, spec, name)
    top = whole.splitlines(keepends=True)[: layout.skip]
    header = top[-1].rstrip(b"\r\n") if top else b""
    if header.count(b'"') % 2:
        raise DataError(f"{name}: its header goes beyond one line, which Pipe mode can't tell from data: use File mode")
    yield b"".join(top)
    cleaner = _Cleaner(header, layout, spec, name)
    for lines in _whole_lines(beginning[sum(map(len, top)) :], source):
        yield cleaner.clean(lines)


def _layout(lines: bytes, spec: SalesSpec, name: str) -> Layout:
    try:
        return _layout_of_text(lines, spec, name, latin1=False)
    except NotUtf8:
        return _layout_of_text(lines, spec, name, latin1=True)


def _layout_of_text(lines: bytes, spec: SalesSpec, name: str, *, latin1: bool) -> Layout:
    with closing(LineGuard(io.BytesIO(lines), latin1=latin1)) as guard:
        return find_layout(guard.read().decode(), spec, name)


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

    def __init__(self, header: bytes, layout: Layout, spec: SalesSpec, name: str) -> None:
        self._header = header
        self._layout = layout
        self._spec = spec
        self._name = name

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
            if not line_end or (before and not _DIGIT.search(before)):
                kept += self._header + after  # no header, but a part of a row, or of another header
                continue
            del kept[len(kept) - len(row) + len(before) :]
            kept += after if before else after[line_end.end() :]
        return bytes(kept)

    def _refuse_other_headers(self, lines: bytes) -> None:
        """Raise a DataError where a line is a header: every row has a digit in it, in its quantity and its date."""
        digits = lines.translate(None, _NEITHER_DIGIT_NOR_LINE_END).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not digits.startswith(b"\n") and b"\n\n" not in digits:
            return
        for line in _LINE_WITHOUT_DIGIT.findall(lines):
            if self._is_header(text := line.decode("utf-8", "replace")):
                raise DataError(
                    f"{self._name}: a later object begins with another header, {shown(text, 160)}, than the first, "
                    f"{shown(self._header.decode('utf-8', 'replace'), 160) if self._header else 'which has none'}. "
                    "Pipe mode joins the objects of a channel: give all the same header, or use File mode"
                )

    def _is_header(self, line: str) -> bool:
        if any(isinstance(column, int) for column in self._spec.columns.values()):
            return False  # columns are known by number: any line has them
        try:
            find_columns(next(csv.reader([line], delimiter=self._layout.delimiter)), self._spec.columns, self._name)
        except (csv.Error, DataError):
            return False
        return True
