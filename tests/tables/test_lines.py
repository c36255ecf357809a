import io
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.tables.lines import LONGEST_LINE, LineGuard, NotUtf8

MB = 1 << 20


class Drops(io.BytesIO):
    """A source whose reads give a few bytes at a time, as a pipe's may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 3))


def guarded(data: bytes, *, latin1: bool = False, closing: str | None = None, drops: bool = False) -> LineGuard:
    return LineGuard(Drops(data) if drops else io.BytesIO(data), latin1=latin1, closing=closing)


def everything(guard: LineGuard) -> bytes:
    pieces = list(iter(guard.read, b""))
    assert all(piece.endswith((b"\n", b"\r")) and len(piece) <= 4 * MB for piece in pieces)
    return b"".join(pieces)


LINES = [
    (b"a\nb\n", b"a\nb\n", 2, "clean lines stay"),
    (b"a\nb", b"a\nb\n", 2, "the last line gets an end"),
    (b"a\r\nb\r\n", b"a\r\nb\r\n", 2, "CRLF stays"),
    (b"a\rb\rc", b"a\rb\rc\n", 3, "a lone CR ends a line"),
    (b"\xef\xbb\xbfa\n", b"a\n", 1, "a byte order mark goes"),
    (b"a\n\xef\xbb\xbf\n", b"a\n\xef\xbb\xbf\n", 2, "but only at the beginning"),
    (b"\xef\xbb\xbf", b"", 0, "a byte order mark alone is nothing"),
    (b"", b"", 0, "nothing"),
    (b"\n\na\n\r\nb\n\n", b"\n\na\n\r\nb\n\n", 2, "empty lines stay and aren't counted"),
    (b"a\nb\0c\nd\n", b"a\n\x010\nd\n", 3, "a line with a NUL is replaced"),
    (b"a\nb\0c", b"a\n\x010\n", 2, "the last one too"),
    (b"a\0\r\nb\0\n", b"\x010\r\n\x011\n", 2, "each by its own word"),
    (b"\0\n", b"\x010\n", 1, "a line of NULs is no empty line"),
]


@pytest.mark.parametrize("drops", [False, True], ids=["whole", "in drops"])
@pytest.mark.parametrize(("data", "clean", "lines"), [row[:3] for row in LINES], ids=[row[-1] for row in LINES])
def test_lines_are_clean(data: bytes, clean: bytes, lines: int, drops: bool) -> None:
    guard = guarded(data, drops=drops)
    assert everything(guard) == clean and guard.lines == lines


LONG = b'1,"' + b"x" * (10 * MB) + b'",2'


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_line_of_10_mb_is_replaced_wherever_it_stands(end: bytes) -> None:
    for before in (0, 1, 1000, 200_000):
        data = (b"1,2" + end) * before + LONG + end + b"3,4" + end
        guard = guarded(data)
        clean = everything(guard)
        assert [line for line in clean.splitlines() if line] == [b"1,2"] * before + [b"\x010", b"3,4"]
        assert guard.beginning("\x010") == '1,"' + "x" * 797


def test_the_limit_is_the_same_wherever_a_line_stands() -> None:
    for before in (0, 5, 250_000):
        start = b"1,2\n" * before
        for length, kept in ((LONGEST_LINE, True), (LONGEST_LINE + 1, False)):
            clean = everything(guarded(start + b"x" * length + b"\n3,4\n"))
            assert (clean[len(start) :] == b"x" * length + b"\n3,4\n") == kept
            assert kept or clean[len(start) :] == b"\x010\n3,4\n"


def test_memory_stays_small_under_an_endless_line() -> None:
    class Endless(io.RawIOBase):
        left = 200

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b"x" * size if self.left > 0 else b""

    tracemalloc.start()
    assert everything(LineGuard(Endless(), latin1=False)) == b"\x010\n"  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MB


def test_of_many_bad_lines_the_first_hundred_are_kept() -> None:
    guard = guarded(b"".join(b"%d\0\n" % number for number in range(150)))
    words = everything(guard).decode().split()
    assert guard.beginning(words[99]) == "99\0"
    assert guard.beginning(words[149]) == words[149] == "\x01100"


def test_a_text_that_only_looks_like_a_replaced_line_is_itself() -> None:
    guard = guarded(b"a\n")
    assert [guard.beginning(text) for text in ("\x010", "\x01", "\x01x", "a,b", "")] == [
        "\x010",
        "\x01",
        "\x01x",
        "a,b",
        "",
    ]


CLOSING = [
    (b'1,"a",2', True, "opened and closed"),
    (b'1,5" plate,2', True, "a quote within a value is a quote"),
    (b'1,"a"",",2', True, "two quotes within a quoted value are one"),
    (b'1,"",2', True, "quoted nothing"),
    (b'1,"a"b"c,2', True, "what follows a closed quote is plain"),
    (b'1,"a,2', False, "never closed"),
    (b'"', False, "opened at the very end"),
    (b'1,"a""b,c', False, "the quote in it is an escaped one"),
    (b'1,"a"",2', False, "the same, at the end"),
    (b'a",2', True, "the second half of a torn value"),
    (b'|"a,b|c"', True, "a bar is no delimiter here"),
]


@pytest.mark.parametrize(("line", "closed"), [row[:2] for row in CLOSING], ids=[row[-1] for row in CLOSING])
def test_an_open_quote_costs_its_line(line: bytes, closed: bool) -> None:
    guard = guarded(b"x\n" + line + b"\ny\n", closing=",")
    assert everything(guard) == (b"x\n" + line + b"\ny\n" if closed else b"x\n\x010\ny\n")
    assert everything(guarded(line + b"\n")) == line + b"\n", "and nothing where values may go beyond a line"


def test_latin_1_becomes_utf_8() -> None:
    assert everything(guarded("é£\0\nà\n".encode("latin-1"), latin1=True)) == b"\x010\n" + "à\n".encode()


def test_latin_1_in_utf_8_is_told_wherever_it_comes() -> None:
    guard = guarded("é\n".encode() * MB + b"\xe9\n")
    with pytest.raises(NotUtf8):
        everything(guard)


def test_no_character_is_cut_in_two() -> None:
    data = "€日本é\n".encode() * 300_000
    assert everything(guarded(data)) == data


def test_bytes_of_a_replaced_line_dont_decide_the_encoding() -> None:
    assert everything(guarded("é\n".encode() + b"\xe9\0\n")) == "é\n\x010\n".encode()


def test_the_source_is_closed_with_the_guard() -> None:
    source = io.BytesIO(b"a\n")
    guard = LineGuard(source, latin1=False)
    assert guard.readable()
    guard.close()
    assert source.closed and guard.closed


@given(st.text("ab\n\r\0,é").map(str.encode), st.booleans())
def test_clean_lines_pass_and_are_counted(data: bytes, drops: bool) -> None:
    guard = guarded(data, drops=drops)
    clean = everything(guard)
    lines = [line for line in re.split(rb"\r\n|\r|\n", data) if line]
    expected = [b"" if b"\0" in line else line for line in lines]
    got = [b"" if line.startswith(b"\x01") else line for line in re.split(rb"\r\n|\r|\n", clean) if line]
    assert got == expected and guard.lines == len(lines)
