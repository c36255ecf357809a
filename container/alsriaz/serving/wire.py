"""What goes over the wire: media types, bodies read as records, answers and errors written. Knows no transport.

A body is JSON, JSON Lines or CSV. In a batch each record is answered in its own place, a failed one by its error, so
that answers stay paired with what was asked.
"""

import codecs
import contextlib
import csv
import functools
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import orjson

from alsriaz.errors import BadValue, CallerError, RequestError
from alsriaz.platform.json_file import no_constant, no_repeats, told_of
from alsriaz.platform.values import check_fields, parse_id, shown
from alsriaz.questions.tally import Answer, Answered, Record
from alsriaz.rules.rows import SECTIONS
from alsriaz.serving.settings import CSV, JSON, LINES

# ---- Media types ----------------------------------------------------------------------------------------------------

_NAMES = {
    JSON: JSON,
    LINES: LINES,
    "application/x-jsonlines": LINES,
    "application/jsonl": LINES,
    "application/x-ndjson": LINES,
    CSV: CSV,
}
_KNOWN = f"expected {JSON}, {LINES} or {CSV}"

# Clients send the same headers again and again; 64 of the longest that nginx lets through, 8 KB, are half a megabyte.
_looked_up_once = functools.lru_cache(maxsize=64)


@_looked_up_once
def request_type(content_type: str | None) -> str:
    """Return the type of a request's body: JSON, LINES or CSV; a request that doesn't say is JSON.

    Raises:
        RequestError: `unsupported_media_type`, for any other.
    """
    if not content_type or not content_type.strip():
        return JSON
    name, _ = _split(content_type)
    if name not in _NAMES:
        raise RequestError("unsupported_media_type", f"Content-Type is {shown(content_type)}, {_KNOWN}.")
    return _NAMES[name]


@_looked_up_once
def answer_type(accept: str | None, default: str) -> str:
    """Return the type that Accept asks for, or `default` where it leaves the choice.

    For each type the closest range counts; types are taken by quality, then in the order given, as RFC 9110 12.5.1 has
    it. Among types that one range names, `default` comes first.

    Raises:
        RequestError: `not_acceptable`, where none of ours is asked for.
    """
    if not accept or not accept.strip():
        return default
    ranges = [_split(part) for part in accept.split(",") if part.strip()]
    best, (quality, _) = max(
        ((media, _wish(media, ranges)) for media in dict.fromkeys((default, JSON, LINES, CSV))), key=lambda one: one[1]
    )
    if not quality:
        raise RequestError("not_acceptable", f"Accept is {shown(accept)}, {_KNOWN}.")
    return best


def _wish(media: str, ranges: Sequence[tuple[str, float]]) -> tuple[float, int]:
    """Return how much a type is wanted, which the closest range says: its quality, and its place from the end."""
    aliases = {name for name, meant in _NAMES.items() if meant == media}
    for names in ({media}, aliases, {f"{media.split('/')[0]}/*"}, {"*/*"}):
        told = [(quality, -place) for place, (name, quality) in enumerate(ranges) if name in names]
        if told:
            return max(told)
    return 0.0, 0


def _split(part: str) -> tuple[str, float]:
    """Return a media range without its parameters, and its quality."""
    name, *parameters = part.split(";")
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                quality = min(max(float(value), 0.0), 1.0)
            except ValueError:
                quality = 0.0
            break
    return name.strip().lower(), quality


# ---- Bodies ---------------------------------------------------------------------------------------------------------

IN_MEMORY = 1 << 20
"""The longest body, in bytes, that is kept in memory: each thread of each worker may hold one."""

_AT_ONCE = 1 << 18


def receive(stream: IO[bytes]) -> IO[bytes]:
    """Return all of `stream` as a file at its start, a long one without a name on disk; the caller closes it.

    It is taken whole before anything is answered: nginx sends no more of a body once the answer has begun.

    Raises:
        RequestError: `unavailable`, where the folder for temporary files is full or can't be written.
    """
    with contextlib.ExitStack() as held:
        body = held.enter_context(tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))
        try:
            while part := stream.read(_AT_ONCE):
                body.write(part)
            body.seek(0)
        except OSError as error:
            message = f"The body can't be stored ({os.strerror(error.errno or 0)}): send it in smaller parts."
            raise RequestError("unavailable", message) from error
        held.pop_all()
    return body


# ---- Reading records ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """The records of one body, each with the error that kept it from being read in its place.

    Attributes:
        records: at least one; can be gone through again. Lines are read as they come up, so that a long body takes no
            more memory than its longest line.
        batch: True where a JSON answer holds the answers in a list, `predictions`; False where it is the answers
            themselves, a line each.
    """

    records: Iterable[Record | CallerError]
    batch: bool


def decode(body: IO[bytes], media: str) -> Request:
    """Return the records in a body of type JSON, LINES or CSV.

    Args:
        body: a file, which is read from its start, and must stay open as long as records of lines are read.
        media: its type.

    Raises:
        RequestError: the body as a whole can't be read.
    """
    start = _check_text(body)
    if media == JSON:
        return _decode_json(_text(body))
    if media == LINES:
        return Request(_Lines(body, start, _decode_line, _decode_line), batch=True)
    body.seek(start)
    first = body.readline()
    if _decode_csv_line(first.decode().removesuffix("\n")) == _HEADER:
        start += len(first)
        if not body.read(1):
            raise RequestError("empty_body", "The body holds only the header, expected a customer id on each line.")
    return Request(_Lines(body, start, _decode_csv_line, _decode_csv_line), batch=True)


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
    return Request(_Lines(body, start, _decode_line, _decode_line), batch=False)


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of a file from `start` on, each decoded when its turn comes. A newline at the end ends the last one."""

    body: IO[bytes]
    start: int
    decode_line: Callable[[str], Record | CallerError]
    decode_first: Callable[[str], Record | CallerError]

    def __iter__(self) -> Iterator[Record | CallerError]:
        self.body.seek(self.start)
        decode_line = self.decode_first
        for line in self.body:
            try:
                yield decode_line(line.removesuffix(b"\n").decode())
            except UnicodeDecodeError as error:
                yield _bad_encoding("line", error.start)
            decode_line = self.decode_line


def _check_text(body: IO[bytes]) -> int:
    """Return where the text begins; raise RequestError where it is not UTF-8, or holds nothing but blanks."""
    start = _after_mark(body)
    at = body.seek(start)
    blank = True
    for line in body:  # which ends no character: no byte of a longer one is a newline
        try:
            blank = line.decode().isspace() and blank
        except UnicodeDecodeError as error:
            raise _bad_encoding("body", at + error.start) from None
        at += len(line)
    if blank:
        raise RequestError("empty_body", "The body is empty, expected at least one record.")
    return start


def _text(body: IO[bytes]) -> str:
    body.seek(0)
    return body.read().decode("utf-8-sig")


def _bad_encoding(what: str, at: int) -> RequestError:
    return RequestError("bad_encoding", f"The {what} is not UTF-8: byte {at} can't be read.")


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


def _decode_line(line: str) -> Record | CallerError:
    if not line or line.isspace():
        return _BLANK_JSON
    try:
        return _as_record(_parse_json(line))
    except RequestError as error:
        return error


def _as_record(value: Any) -> Record | CallerError:
    return value if isinstance(value, dict) else _NOT_AN_OBJECT


_DECODER = json.JSONDecoder(parse_constant=no_constant, object_pairs_hook=no_repeats)  # json.loads makes one per call


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


def _not_a_header(line: str) -> Record | CallerError:
    record = _decode_csv_line(line)
    return RequestError("bad_csv", "The line is the header, expected a customer id.") if record == _HEADER else record


def _decode_csv_line(line: str) -> Record | CallerError:
    if not line or line.isspace():
        return _BLANK_CSV
    try:
        cells = next(csv.reader([line.removesuffix("\r")], strict=True), [])
    except csv.Error as error:
        return RequestError("bad_csv", f"The line is no CSV: {error}.")
    if len(cells) != 1 or not cells[0].strip():
        return RequestError("bad_csv", f"The line {shown(line)} has {len(cells)} values, expected one customer id.")
    return {"customer": cells[0].strip()}


# ---- Writing answers ------------------------------------------------------------------------------------------------


def encode(answers: Iterable[Answered], request: Request, media: str) -> Iterator[bytes]:
    """Yield the body that answers `request`, of type JSON, LINES or CSV, in pieces, as its records are answered.

    Lines are joined, not ended, by a newline.
    """
    if media == CSV:
        return _joined(_csv_line(record, answer) for record, answer in answers)
    values = (json_bytes(error_body(a) if isinstance(a, CallerError) else a) for _, a in answers)
    if media == LINES or not request.batch:
        return _joined(values)
    return _joined(values, b'{"predictions":[', b",", b"]}")


def _joined(pieces: Iterable[bytes], start: bytes = b"", separator: bytes = b"\n", end: bytes = b"") -> Iterator[bytes]:
    before = start
    for piece in pieces:
        yield before + piece
        before = separator
    if end:
        yield end


def _csv_line(record: Record | CallerError, answer: Answer | CallerError) -> bytes:
    """Return ``customer,item_1,...,item_k``; of a failed record ``customer,`` alone, where its customer is an id."""
    if not isinstance(answer, CallerError):
        return _csv_bytes([answer["customer"] or "", *(entry["item"] for entry in answer["recommendations"])])
    try:
        customer = "" if isinstance(record, CallerError) else parse_id(record.get("customer"))
    except ValueError:
        customer = ""
    return _csv_bytes([customer, ""])


def _csv_bytes(cells: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().removesuffix("\n").encode()


def json_bytes(value: Any) -> bytes:
    """Return a value as the standard library's JSON, in a tenth of its time wherever orjson writes the same bytes.

    A lone surrogate, which only an error can quote, becomes its JSON escape again.

    Raises:
        ValueError: a number is not finite.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:  # a lone surrogate, a whole number of more than 64 bits, depth
        return _standard_json(value)
    # orjson writes null for numbers that are not finite, and those below 1e-4 in a spelling of its own: 0.00001, 1e-7.
    if b"null" in text or b"0.0000" in text or (b"e-" in text and _SMALL_NUMBER.search(text)):
        return _standard_json(value)
    return text


_SMALL_NUMBER = re.compile(rb"[:,\[]-?[0-9.]+e-|^-?[0-9.]+e-")
_STANDARD = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))  # json.dumps makes one a call


def _standard_json(value: Any) -> bytes:
    return _STANDARD.encode(value).encode(errors="backslashreplace")


# ---- Errors ---------------------------------------------------------------------------------------------------------

STATUS = {
    code: status
    for status, codes in {
        400: "empty_body bad_encoding bad_json bad_csv missing_field unknown_field bad_value bad_rule unusable_model",
        404: "unknown_customer unknown_item model_not_loaded not_found",
        405: "method_not_allowed",
        406: "not_acceptable",
        409: "model_loaded",
        413: "too_large",
        415: "unsupported_media_type",
        500: "internal",
        503: "unavailable no_model",
        507: "out_of_memory",
    }.items()
    for code in codes.split()
}
"""Every error code of the application and its status; nginx.conf has those of nginx, docs/http-api.md all."""


def error_code(error: CallerError) -> str:
    """Return the code of an error, a key of `STATUS`: whatever is wrong within a rule is a bad rule."""
    match error:
        case RequestError():
            return error.code
        case BadValue():
            section, inside, _ = error.field.partition(".")
            in_rules = section.partition("[")[0] in SECTIONS and (inside or error.fault != "unknown_field")
            return "bad_rule" if in_rules else error.fault
    return "bad_value"


def error_body(error: CallerError) -> dict[str, dict[str, str | None]]:
    """Return the JSON object that tells a client of an error."""
    return {"error": {"code": error_code(error), "message": str(error), "field": getattr(error, "field", None)}}
