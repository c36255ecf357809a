import json
from typing import Any

from alsriaz.errors import RequestError, RuleError
from alsriaz.serving.wire import CSV, JSON, LINES, STATUS, Answered, Request, encode, error_body, error_code, json_bytes

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
    assert json.loads(json_bytes(error_body(RequestError("bad_value", "x", "\ud800"))))["error"]["field"] == "\ud800"


def test_every_error_has_a_code_of_the_table() -> None:
    assert error_code(RuleError("include.new", "x")) == "bad_rule"
    assert error_code(BAD) == "bad_value"
    assert {"bad_rule", "bad_value"} <= STATUS.keys()
