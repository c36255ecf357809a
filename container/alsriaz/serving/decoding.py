"""Bodies read as records: JSON, JSON Lines and CSV. Knows no transport."""

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from alsriaz.errors import CallerError, RequestError
from alsriaz.platform.json_file import no_constant, no_repeats, told_of
from alsriaz.platform.values import check_fields, shown
from alsriaz.questions.question import Record
from alsriaz.serving.media import CSV, JSON, LINES
from alsriaz.serving.wire import Request


def decode(body: IO[bytes], media: str) -> Request:
    """Return the records in a body of type JSON, LINES or CSV.

    Args:
        body: a file, which is read from its begin, and must stay open as long as records of lines are read.
        media: its type.

    Raises:
        RequestError: the body as a whole can't be read.
    """
    start = _check_text(body)
    if media == JSON:
        return _decode_json(_text(body))
    if media == LINES:
        return Request(_Lines(body, start, _decode_line), batch=True)
    return Request(_decode_csv(body, start), batch=True)


def decode_in_place(body: IO[bytes], media: str) -> Request:
    """Return the records in a body of a batch transform job: whatever can't be read is a failed record in its place.

    The platform cuts a file into bodies at its newlines, joins the answers by newlines, and gives up the file where one
    body is refused. So a header is a failed record here, an empty body holds one, and a JSON body may be lines.
    """
    start = _after_mark(body)
    if body.seek(0, io.SEEK_END) <= start:
        return Request([_BLANK_CSV if media == CSV else _BLANK_JSON], batch=False)
    if media == CSV:
        return Request(_Lines(body, start, _decode_csv_line, _not_a_header), batch=False)
    if media == JSON and not _first_of_lines_is_json(body, start):
        try:
            return _decode_json(_text(body))
        except UnicodeDecodeError:
            pass
        except CallerError as error:
            if _is_one_line(body, start):
                return Request([error], batch=False)
    return Request(_Lines(body, start, _decode_line), batch=False)


class _Lines:
    """The lines of a file from `start` on, each decoded when its turn comes. A newline at the end ends the last one."""

    def __init__(
        self,
        body: IO[bytes],
        start: int,
        decode_line: Callable[[str], Record | RequestError],
        decode_first: Callable[[str], Record | RequestError] | None = None,
    ) -> None:
        """Decode the first line by `decode_first`, where there is such a one."""
        self._body = body
        self._start = start
        self._decode_line = decode_line
        self._decode_first = decode_first or decode_line

    def __iter__(self) -> Iterator[Record | RequestError]:
        self._body.seek(self._start)
        decode_line = self._decode_first
        for line in self._body:
            try:
                yield decode_line(line.removesuffix(b"\n").decode())
            except UnicodeDecodeError as error:
                yield _bad_encoding("line", error.start)
            decode_line = self._decode_line


_PIECE = 1 << 16
_Utf8 = codecs.getincrementaldecoder("utf-8")


def _check_text(body: IO[bytes]) -> int:
    """Return where the text begins; raise RequestError where it is not UTF-8, or holds nothing but blanks."""
    start = _after_mark(body)
    at = body.seek(start)
    blank, decoder = True, _Utf8()
    while piece := body.read(_PIECE):
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(piece)
        except UnicodeDecodeError as error:
            raise _bad_encoding("body", at - held + error.start) from None
        blank = blank and (not text or text.isspace())
        at += len(piece)
    if held := len(decoder.getstate()[0]):
        raise _bad_encoding("body", at - held)
    if blank:
        raise RequestError("empty_body", "The body is empty, expected at least one record.")
    return start


def _bad_encoding(what: str, at: int) -> RequestError:
    return RequestError("bad_encoding", f"The {what} is not UTF-8: byte {at} can't be read.")


def _text(body: IO[bytes]) -> str:
    body.seek(0)
    return body.read().decode("utf-8-sig")


def _after_mark(body: IO[bytes]) -> int:
    """Return where the text begins: after a byte order mark, where there is one."""
    body.seek(0)
    return len(codecs.BOM_UTF8) if body.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0


def _is_one_line(body: IO[bytes], start: int) -> bool:
    body.seek(start)
    body.readline()
    return not body.read(1)


def _first_of_lines_is_json(body: IO[bytes], start: int) -> bool:
    """True where a body has several lines, and the first is a JSON object by itself."""
    if _is_one_line(body, start):
        return False
    body.seek(start)
    try:
        return isinstance(_parse_json(body.readline().decode()), dict)
    except (RequestError, UnicodeDecodeError):
        return False


def _decode_json(text: str) -> Request:
    value = _parse_json(text)
    if not isinstance(value, dict):
        raise RequestError("bad_json", f"The body is {shown(value)}, expected a JSON object.")
    instances = value.get("instances")
    if instances is None:
        value.pop("instances", None)
        return Request([value], batch=False)
    check_fields(value, ("instances",))
    if not isinstance(instances, list):
        raise RequestError("bad_value", f"instances is {shown(instances)}, expected a list of objects.", "instances")
    if not instances:
        raise RequestError("bad_value", "instances is empty, expected at least one object.", "instances")
    return Request([_as_record(instance) for instance in instances], batch=True)


_BLANK_JSON = RequestError("bad_json", "The line is blank, expected a JSON object.")
_BLANK_CSV = RequestError("bad_csv", "The line is blank, expected a customer id.")
_HEADER = {"customer": "customer"}
_NOT_AN_OBJECT = RequestError("bad_json", "The record is no JSON object.")


def _decode_line(line: str) -> Record | RequestError:
    if not line or line.isspace():
        return _BLANK_JSON
    try:
        return _as_record(_parse_json(line))
    except RequestError as error:
        return error


def _as_record(value: Any) -> Record | RequestError:
    return value if isinstance(value, dict) else _NOT_AN_OBJECT


def _parse_json(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RequestError("bad_json", f"This is not JSON: {error.msg} at {where}.") from None
    except RecursionError:
        raise RequestError("bad_json", "This JSON is nested too deeply.") from None
    except ValueError as error:
        raise RequestError("bad_json", f"This is not JSON that can be read: {told_of(error)}") from None


_DECODER = json.JSONDecoder(parse_constant=no_constant, object_pairs_hook=no_repeats)  # json.loads makes one per call


def _decode_csv(body: IO[bytes], start: int) -> Iterable[Record | RequestError]:
    """Return a record for each line, which holds one customer id and nothing else."""
    body.seek(start)
    first = body.readline()
    if _decode_csv_line(first.decode().removesuffix("\n")) != _HEADER:
        return _Lines(body, start, _decode_csv_line)
    if not body.read(1):
        raise RequestError("empty_body", "The body holds only the header, expected a customer id on each line.")
    return _Lines(body, start + len(first), _decode_csv_line)


def _not_a_header(line: str) -> Record | RequestError:
    record = _decode_csv_line(line)
    return RequestError("bad_csv", "The line is the header, expected a customer id.") if record == _HEADER else record


def _decode_csv_line(line: str) -> Record | RequestError:
    if not line or line.isspace():
        return _BLANK_CSV
    try:
        cells = next(csv.reader([line.removesuffix("\r")], strict=True), [])
    except csv.Error as error:
        return RequestError("bad_csv", f"The line is no CSV: {error}.")
    if len(cells) != 1 or not cells[0].strip():
        return RequestError("bad_csv", f"The line {shown(line)} has {len(cells)} values, expected one customer id.")
    return {"customer": cells[0].strip()}
