"""A stream of whole, clean lines in front of the CSV parser: what would upset it is replaced, line by line."""

import gzip
import io
import re
from pathlib import Path
from typing import BinaryIO, Final, cast

from alsriaz.tables.refusals import SAMPLES

LONGEST_LINE: Final = 1 << 20
_PIECE: Final = LONGEST_LINE
_SHOWN: Final = 800
BOM: Final = b"\xef\xbb\xbf"
_MARK: Final = "\x01"
_LINE_END = re.compile(rb"[\r\n]")


class NotUtf8(Exception):
    """The file is to be read again, as Latin-1."""


def open_bytes(path: Path) -> BinaryIO:
    """Open a sales file for reading, unpacking it where its name ends with ``.gz``."""
    return cast(BinaryIO, gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


class LineGuard(io.RawIOBase):
    """A readable stream of UTF-8 text in which every read ends with a line's end.

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
            NotUtf8: a line that isn't replaced is no valid UTF-8.
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
                return self._first_line_bounded(
                    buffer if not buffer or buffer.endswith((b"\n", b"\r")) else buffer + b"\n"
                )
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
        if len(self._replaced) < SAMPLES:
            encoding = "latin-1" if self._latin1 else "utf-8"
            self._replaced.append(line[:_SHOWN].decode(encoding, "replace"))
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
