"""Between bytes and records: JSON, JSON Lines and CSV, in both directions. Knows no transport.

A body holds one record (a JSON object) or a batch. In a batch each record is answered in its own place, a failed one
by its error, so that answers stay paired with what was asked.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alsriaz.core.errors import CallerError, RequestError, RuleError
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
    "unavailable": 503,
}
"""Every error code that a client can meet, and its HTTP status. docs/http-api.md explains each."""

Record = Mapping[str, Any]
Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """The records of one body, each with the error that kept it from being read in its place.

    Attributes:
        records: at least one.
        batch: False for a single JSON object, whose error is the response's status.
    """

    records: Sequence[Record | RequestError]
    batch: bool


def decode(body: bytes, media: str) -> Request:
    """Return the records in a body of type JSON, LINES or CSV.

    Raises:
        RequestError: the body as a whole can't be read.
    """
    if not body.strip():
        raise RequestError("empty_body", "The body is empty, expected at least one record.")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError("bad_encoding", f"The body is not UTF-8: byte {error.start} can't be read.") from None
    if media == JSON:
        return _decode_json(text)
    lines = text.removesuffix("\n").split("\n")
    if media == LINES:
        return Request([_decode_line(line) for line in lines], batch=True)
    return Request(_decode_csv(lines), batch=True)


def encode(answers: Sequence[Answer | CallerError], request: Request, media: str) -> bytes:
    """Return the body that answers `request`, of type JSON, LINES or CSV. Lines are joined, not ended, by a newline."""
    if media == CSV:
        pairs = zip(request.records, answers, strict=True)
        return "\n".join(_csv_line(record, answer) for record, answer in pairs).encode()
    values = [error_body(answer) if isinstance(answer, CallerError) else answer for answer in answers]
    if media == LINES:
        return "\n".join(_json_text(value) for value in values).encode()
    return _json_text({"predictions": values} if request.batch else values[0]).encode()


def error_body(error: CallerError) -> dict[str, dict[str, str | None]]:
    """Return the JSON object that tells a client of an error."""
    return {"error": {"code": error_code(error), "message": str(error), "field": getattr(error, "field", None)}}


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


def _decode_line(line: str) -> Record | RequestError:
    if not line.strip():
        return RequestError("bad_json", "The line is blank, expected a JSON object.")
    try:
        return _as_record(_parse_json(line))
    except RequestError as error:
        return error


def _as_record(value: Any) -> Record | RequestError:
    return value if isinstance(value, dict) else RequestError("bad_json", f"{shown(value)} is no JSON object.")


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RequestError("bad_json", f"This is not JSON: {error.msg} at {where}.") from None
    except RecursionError:
        raise RequestError("bad_json", "This JSON is nested too deeply.") from None
    except ValueError as error:
        raise RequestError("bad_json", f"This is not JSON that can be read: {shown(str(error))}.") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _decode_csv(lines: list[str]) -> list[Record | RequestError]:
    """Return a record for each line, which holds one customer id and nothing else."""
    records = [_decode_csv_line(line) for line in lines]
    if records[0] == {"customer": "customer"}:
        del records[0]
    if not records:
        raise RequestError("empty_body", "The body holds only the header, expected a customer id on each line.")
    return records


def _decode_csv_line(line: str) -> Record | RequestError:
    try:
        cells = next(csv.reader([line.removesuffix("\r")], strict=True), [])
    except csv.Error as error:
        return RequestError("bad_csv", f"The line is no CSV: {error}.")
    if len(cells) != 1 or not cells[0].strip():
        return RequestError("bad_csv", f"The line {shown(line)} has {len(cells)} values, expected one customer id.")
    return {"customer": cells[0]}


def _csv_line(record: Record | RequestError, answer: Answer | CallerError) -> str:
    """Return ``customer,item_1,...,item_k``; of a failed record ``customer,`` alone."""
    if isinstance(answer, CallerError):
        customer = "" if isinstance(record, RequestError) else record.get("customer", "")
        return _csv_text([customer if isinstance(customer, str | int) else "", ""])
    return _csv_text([answer["customer"] or "", *(entry["item"] for entry in answer["recommendations"])])


def _csv_text(cells: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
