"""What records, answers and errors are, and answers written as JSON, JSON Lines or CSV. Knows no transport.

In a batch each record is answered in its own place, a failed one by its error, so that answers stay paired with what
was asked. `decoding` reads the records.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from alsriaz.errors import BadValue, CallerError, RequestError
from alsriaz.platform.values import parse_id
from alsriaz.questions.question import Answer, Record
from alsriaz.questions.recommender import Answered
from alsriaz.rules.rows import SECTIONS
from alsriaz.serving.media import CSV, LINES

STATUS = {
    "empty_body": 400,
    "bad_encoding": 400,
    "bad_json": 400,
    "bad_csv": 400,
    "missing_field": 400,
    "unknown_field": 400,
    "bad_value": 400,
    "bad_rule": 400,
    "unusable_model": 400,
    "unknown_customer": 404,
    "unknown_item": 404,
    "model_not_loaded": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "model_loaded": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "internal": 500,
    "unavailable": 503,
    "no_model": 503,
    "out_of_memory": 507,
}
"""Every error code of the application and its status; nginx.conf has those of nginx, docs/http-api.md all."""


@dataclass(frozen=True)
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


def encode(answers: Iterable[Answered], request: Request, media: str) -> Iterator[bytes]:
    """Yield the body that answers `request`, of type JSON, LINES or CSV, in pieces, as its records are answered.

    Lines are joined, not ended, by a newline.
    """
    if media == CSV:
        yield from _joined((_csv_line(record, answer) for record, answer in answers), b"\n")
        return
    values = (json_bytes(error_body(a) if isinstance(a, CallerError) else a) for _, a in answers)
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
    return json_bytes(error_body(error))


def error_code(error: CallerError) -> str:
    """Return the code of an error, a key of `STATUS`."""
    if isinstance(error, RequestError):
        return error.code
    if isinstance(error, BadValue):
        section, inside, _ = error.field.partition(".")
        in_rules = section.partition("[")[0] in SECTIONS and (inside or error.fault != "unknown_field")
        return "bad_rule" if in_rules else error.fault
    return "bad_value"


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
    """Return a value as JSON. A lone surrogate, which only an error can quote, becomes its JSON escape again."""
    return _ENCODER.encode(value).encode(errors="backslashreplace")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))  # json.dumps makes one per call


def _joined(pieces: Iterable[bytes], separator: bytes) -> Iterator[bytes]:
    for number, piece in enumerate(pieces):
        yield separator + piece if number else piece
