"""Between bytes and records: JSON, JSON Lines and CSV, in both directions. Knows no transport.

A body holds one record (a JSON object) or a batch. In a batch each record is answered in its own place, a failed one
by its error, so that answers stay paired with what was asked.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alsriaz.core.errors import CallerError, RequestError, RuleError
from alsriaz.core.ids import parse_id
from alsriaz.core.json_file import no_repeats
from alsriaz.core.setting import nearest, shown
from alsriaz.serving.media import CSV, JSON, LINES

STATUS = {
    "empty_body": 400,
    "bad_encoding": 400,
    "bad_json": 400,
    "bad_csv": 400,
    "missing_field": 400,
    "unknown_field": 400,
    "bad_value": 400,
    "bad_rule": 400,
    "unknown_customer": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "too_large": 413,
    "unsupported_media_type": 415,
    "internal": 500,
}
"""Every error code of the application and its status; nginx.conf has those of nginx, docs/http-api.md all."""

Record = Mapping[str, Any]
Answer = Mapping[str, Any]
Answered = tuple[Record | RequestError, Answer | CallerError]
"""A record, or why it could not be read, with its answer, or with the error that it met."""


@dataclass(frozen=True)
class Request:
    """The records of one body, each with the error that kept it from being read in its place.

    Attributes:
        records: at least one; can be gone through again. Lines are read as they come up, so that a long body takes no
            more memory than its text.
        batch: False for a single JSON object, whose error is the response's status.
    """

    records: Iterable[Record | RequestError]
    batch: bool


def decode(body: bytes, media: str) -> Request:
    """Return the records in a body of type JSON, LINES or CSV.

    Raises:
        RequestError: the body as a whole can't be read.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError("bad_encoding", f"The body is not UTF-8: byte {error.start} can't be read.") from None
    if not text or text.isspace():
        raise RequestError("empty_body", "The body is empty, expected at least one record.")
    if media == JSON:
        return _decode_json(text)
    if media == LINES:
        return Request(_Lines(text, 0, _decode_line), batch=True)
    return Request(_decode_csv(text), batch=True)


def encode(answers: Iterable[Answered], request: Request, media: str) -> Iterator[bytes]:
    """Yield the body that answers `request`, of type JSON, LINES or CSV, in pieces, as its records are answered.

    Lines are joined, not ended, by a newline.
    """
    if media == CSV:
        yield from _joined((_csv_line(record, answer) for record, answer in answers), b"\n")
        return
    values = (_json_bytes(error_body(a) if isinstance(a, CallerError) else a) for _, a in answers)
    if media == LINES or not request.batch:
        yield from _joined(values, b"\n")
        return
    yield b'{"predictions":['
    yield from _joined(values, b",")
    yield b"]}"


def error_body(error: CallerError) -> dict[str, dict[str, str | None]]:
    """Return the JSON object that tells a client of an error."""
    return {"error": {"code": error_code(error), "message": str(error), "field": getattr(error, "field", None)}}


def error_text(error: CallerError) -> bytes:
    """Return the body of a response that is an error."""
    return _json_bytes(error_body(error))


def error_code(error: CallerError) -> str:
    """Return the code of an error, a key of `STATUS`."""
    if isinstance(error, RequestError):
        return error.code
    return "bad_rule" if isinstance(error, RuleError) else "bad_value"


def check_fields(record: Record, known: Sequence[str], path: str = "") -> None:
    """Raise RequestError where an object has a field that is not `known`; `path` leads to the object."""
    for name in record:
        if name not in known:
            message = f"There is no field {shown(name)}{nearest(name, known)} Known are {', '.join(known)}."
            raise RequestError("unknown_field", message, f"{path}.{name[:80]}" if path else name[:80])


class _Lines:
    """The lines of a text from `start` on, each decoded when its turn comes. A newline at the end ends the last one."""

    def __init__(self, text: str, start: int, decode_line: Callable[[str], Record | RequestError]) -> None:
        self._text = text
        self._start = start
        self._decode_line = decode_line

    def __iter__(self) -> Iterator[Record | RequestError]:
        start = self._start
        while start < len(self._text):
            end = self._text.find("\n", start)
            end = len(self._text) if end < 0 else end
            yield self._decode_line(self._text[start:end])
            start = end + 1


def _decode_json(text: str) -> Request:
    value = _parse_json(text)
    if not isinstance(value, dict):
        raise RequestError("bad_json", f"The body is {shown(value)}, expected a JSON object.")
    if "instances" not in value:
        return Request([value], batch=False)
    check_fields(value, ("instances",))
    instances = value["instances"]
    if not isinstance(instances, list):
        raise RequestError("bad_value", f"instances is {shown(instances)}, expected a list of objects.", "instances")
    if not instances:
        raise RequestError("bad_value", "instances is empty, expected at least one object.", "instances")
    return Request([_as_record(instance) for instance in instances], batch=True)


_BLANK_JSON = RequestError("bad_json", "The line is blank, expected a JSON object.")
_BLANK_CSV = RequestError("bad_csv", "The line is blank, expected a customer id.")
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
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=no_repeats)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RequestError("bad_json", f"This is not JSON: {error.msg} at {where}.") from None
    except RecursionError:
        raise RequestError("bad_json", "This JSON is nested too deeply.") from None
    except ValueError as error:
        raise RequestError("bad_json", f"This is not JSON that can be read: {str(error)[:200]}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number.")


def _decode_csv(text: str) -> Iterable[Record | RequestError]:
    """Return a record for each line, which holds one customer id and nothing else."""
    first, newline, rest = text.partition("\n")
    if _decode_csv_line(first) != {"customer": "customer"}:
        return _Lines(text, 0, _decode_csv_line)
    if not rest:
        raise RequestError("empty_body", "The body holds only the header, expected a customer id on each line.")
    return _Lines(text, len(first) + len(newline), _decode_csv_line)


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


def _csv_line(record: Record | RequestError, answer: Answer | CallerError) -> bytes:
    """Return ``customer,item_1,...,item_k``; of a failed record ``customer,`` alone, where its customer is an id."""
    if not isinstance(answer, CallerError):
        return _csv_bytes([answer["customer"] or "", *(entry["item"] for entry in answer["recommendations"])])
    try:
        customer = "" if isinstance(record, RequestError) else parse_id(record.get("customer"))
    except ValueError:
        customer = ""
    return _csv_bytes([customer, ""])


def _csv_bytes(cells: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().removesuffix("\n").encode()


def _json_bytes(value: Any) -> bytes:
    """Return a value as JSON. A lone surrogate, which only an error can quote, becomes its JSON escape again."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        errors="backslashreplace"
    )


def _joined(pieces: Iterable[bytes], separator: bytes) -> Iterator[bytes]:
    for number, piece in enumerate(pieces):
        yield separator + piece if number else piece
