import json
from typing import Any

import pytest

from alsriaz.core.errors import RequestError, RuleError
from alsriaz.serving.media import CSV, JSON, LINES
from alsriaz.serving.wire import STATUS, Answered, Request, check_fields, decode, encode, error_code, error_text

READ: list[tuple[bytes, str, list[Any], str]] = [
    (b'{"customer": "a"}', JSON, [{"customer": "a"}], "one object"),
    (b'\xef\xbb\xbf{"customer": "a"}', JSON, [{"customer": "a"}], "a byte order mark"),
    (b'{"instances": [{"k": 1}, 2]}', JSON, [{"k": 1}, "bad_json"], "a batch, with what is no object in it"),
    (b'{"k": 1}\n{"k": 2}\n', LINES, [{"k": 1}, {"k": 2}], "a trailing newline is no record"),
    (b'{"k": 1}\r\n{"k": 2}', LINES, [{"k": 1}, {"k": 2}], "lines that end as in Windows"),
    (b'{"k": 1}\n\n{"k"\n', LINES, [{"k": 1}, "bad_json", "bad_json"], "a blank line is a bad record in its place"),
    (b"a\nb\n", CSV, [{"customer": "a"}, {"customer": "b"}], "a customer a line"),
    (b"customer\na", CSV, [{"customer": "a"}], "a header is skipped"),
    (b"a\ncustomer", CSV, [{"customer": "a"}, {"customer": "customer"}], "but only as the first line"),
    (b'"a,b"\r\n" ""c"""\r\n', CSV, [{"customer": "a,b"}, {"customer": '"c"'}], "quoted values, trimmed"),
    (b'a\n\nb,c\n"x', CSV, [{"customer": "a"}, "bad_csv", "bad_csv", "bad_csv"], "bad lines in their places"),
    ("é".encode(), CSV, [{"customer": "é"}], "UTF-8"),
]


@pytest.mark.parametrize(("body", "media", "records", "why"), READ, ids=[why for *_, why in READ])
def test_records_are_read(body: bytes, media: str, records: list[Any], why: str) -> None:
    request = decode(body, media)
    assert [r.code if isinstance(r, RequestError) else r for r in request.records] == records
    assert request.batch == (not body.removeprefix(b"\xef\xbb\xbf").startswith(b'{"customer"'))


REFUSED = [
    (b"", JSON, "empty_body", "The body is empty", "nothing"),
    (b" \n", CSV, "empty_body", "The body is empty", "blanks"),
    (b"customer\n", CSV, "empty_body", "only the header", "a header alone"),
    (b"\xff", JSON, "bad_encoding", "not UTF-8: byte 0", "bytes that are no text"),
    (b'{"k": 1, "k": 2}', JSON, "bad_json", "'k' is given twice", "a key twice"),
    (b"\xef\xbb\xbf\n", CSV, "empty_body", "The body is empty", "a byte order mark alone"),
    (b"{", JSON, "bad_json", "Expecting property name", "half an object"),
    (b"[" * 10_000, JSON, "bad_json", "nested too deeply", "nested 10,000 deep"),
    (b'{"k": ' * 10_000, JSON, "bad_json", "nested too deeply", "objects nested 10,000 deep"),
    (b"9" * 5_000, JSON, "bad_json", "not JSON that can be read", "a number of 5,000 digits"),
    (b'{"k": NaN}', JSON, "bad_json", "NaN is no JSON number", "not a number"),
    (b"[1]", JSON, "bad_json", "The body is [1], expected a JSON object", "a list"),
    (b'{"instances": {}}', JSON, "bad_value", "instances is {}, expected a list", "instances that are no list"),
    (b'{"instances": []}', JSON, "bad_value", "instances is empty", "no instances"),
    (b'{"instances": [{}], "k": 1}', JSON, "unknown_field", "no field 'k'", "a field beside instances"),
]


@pytest.mark.parametrize(("body", "media", "code", "words", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_a_body_that_can_not_be_read(body: bytes, media: str, code: str, words: str, why: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode(body, media)
    assert caught.value.code == code
    assert STATUS[code] == 400
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


GOOD: dict[str, Any] = {"customer": "a,b", "recommendations": [{"item": "x"}, {"item": 'y"z'}]}
BAD = RequestError("bad_value", "k is 0.", "k")


def body_of(answered: list[Answered], media: str, *, batch: bool = True) -> str:
    request = Request([record for record, _ in answered], batch=batch)
    return b"".join(encode(answered, request, media)).decode()


def test_csv_answers_stay_paired_with_their_lines() -> None:
    answered: list[Answered] = [
        ({"customer": "a,b"}, GOOD),
        ({"customer": 7}, BAD),
        (RequestError("bad_csv", "x"), BAD),
        ({"customer": [1]}, BAD),
        ({"customer": "a\nb"}, BAD),
        ({"customer": "\ud800"}, BAD),
    ]
    assert body_of(answered, CSV) == '"a,b",x,"y""z"\n7,\n,\n,\n,\n,'


def test_json_lines_answers_stay_paired_with_their_lines() -> None:
    lines = body_of([({}, GOOD), ({}, BAD)], LINES).split("\n")
    assert [json.loads(line) for line in lines] == [
        GOOD,
        {"error": {"code": "bad_value", "message": "k is 0.", "field": "k"}},
    ]


def test_json_answers_have_the_shape_of_their_request() -> None:
    assert json.loads(body_of([({}, GOOD)], JSON, batch=False)) == GOOD
    assert json.loads(body_of([({}, GOOD), ({}, GOOD)], JSON)) == {"predictions": [GOOD, GOOD]}


def test_an_error_may_quote_what_is_no_text() -> None:
    assert json.loads(error_text(RequestError("bad_value", "x", "\ud800")))["error"]["field"] == "\ud800"


def test_every_error_has_a_code_of_the_table() -> None:
    assert error_code(RuleError("include.new", "x")) == "bad_rule"
    assert error_code(BAD) == "bad_value"
    assert {"bad_rule", "bad_value"} <= STATUS.keys()


def test_an_unknown_field_is_named_with_its_path_and_the_nearest_one() -> None:
    with pytest.raises(RequestError, match="no field 'quantiti', did you mean 'quantity'?") as caught:
        check_fields({"quantiti": 1}, ("item", "quantity"), "history[2]")
    assert caught.value.field == "history[2].quantiti"
