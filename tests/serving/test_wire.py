"""Media types, bodies, records and answers, as they go over the wire."""

import io
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsriaz.errors import BadValue, CallerError, DataError, RequestError
from alsriaz.questions.tally import Answered, Record
from alsriaz.serving.settings import CSV, JSON, LINES
from alsriaz.serving.wire import (
    STATUS,
    Request,
    answer_type,
    decode,
    decode_in_place,
    encode,
    error_body,
    error_code,
    json_bytes,
    receive,
    request_type,
)

# Media types.

CONTENT_TYPES = [
    (None, JSON, "a request that doesn't say is JSON"),
    ("", JSON, "nor does an empty header"),
    ("application/json; charset=utf-8", JSON, "parameters are left out"),
    ("Text/CSV", CSV, "names have no case"),
    ("application/jsonlines", LINES, "the platform's name for lines"),
    ("application/x-ndjson", LINES, "one of the other names"),
]


@pytest.mark.parametrize(("header", "media", "why"), CONTENT_TYPES, ids=[why for *_, why in CONTENT_TYPES])
def test_the_type_of_a_request(header: str | None, media: str, why: str) -> None:
    assert request_type(header) == media


def test_another_type_is_refused() -> None:
    with pytest.raises(RequestError, match="Content-Type is 'image/png', expected application/json, ") as caught:
        request_type("image/png")
    assert caught.value.code == "unsupported_media_type"


ACCEPTS = [
    (None, CSV, CSV, "what leaves the choice open gets the default"),
    ("*/*", LINES, LINES, "so does any type"),
    ("text/csv", JSON, CSV, "the type asked for"),
    ("text/html, application/json;q=0.9", CSV, JSON, "the first that is ours"),
    ("text/csv;q=0.1, application/json", CSV, JSON, "by quality"),
    ("application/json;q=0, text/csv", JSON, CSV, "quality 0 means not that one"),
    ("application/*", LINES, LINES, "a range that the default lies in"),
    ("application/*", CSV, JSON, "a range that it doesn't"),
    ("text/*", JSON, CSV, "a range with one of ours"),
    ("application/json;q=0, */*", JSON, LINES, "any type but that one"),
    ("application/*;q=0, */*", JSON, CSV, "any type but those of a range"),
    ("application/*;q=0, application/json", CSV, JSON, "the closest range counts"),
    ("application/x-ndjson", JSON, LINES, "lines by another name"),
    ("application/x-ndjson;q=0, application/jsonlines", JSON, LINES, "which doesn't bar their own"),
    ("text/csv, application/json", JSON, CSV, "in the order given"),
]


@pytest.mark.parametrize(("header", "default", "media", "why"), ACCEPTS, ids=[why for *_, why in ACCEPTS])
def test_the_type_of_an_answer(header: str | None, default: str, media: str, why: str) -> None:
    assert answer_type(header, default) == media


@pytest.mark.parametrize(
    "header",
    [
        "image/png",
        "application/json;q=0",
        "text/html;q=x",
        "*/*;q=0",
        "application/x-ndjson, application/jsonlines;q=0",
    ],
)
def test_no_type_of_ours(header: str) -> None:
    with pytest.raises(RequestError, match="Accept is ") as caught:
        answer_type(header, JSON)
    assert caught.value.code == "not_acceptable"


# Bodies.

LENGTHS = [0, 1, 1 << 18, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20]


class Dribble(io.BytesIO):
    """Gives less than was asked for, as a socket does."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 70_001))


@pytest.mark.parametrize("length", LENGTHS)
def test_a_body_is_as_it_was_sent(length: int) -> None:
    sent = os.urandom(length)
    with receive(Dribble(sent)) as body:
        assert body.read() == sent


def test_a_long_body_is_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with receive(io.BytesIO(b"x" * (2 << 20))) as body:
        assert os.readlink(f"/proc/self/fd/{body.fileno()}").startswith(f"{tmp_path}/")
        assert os.fstat(body.fileno()).st_size == 2 << 20
        assert not list(tmp_path.iterdir()), "a file without a name: nothing is left whatever ends us"


def test_no_room_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with receive(io.BytesIO(b"x" * (1 << 20))) as body:
        assert len(body.read()) == 1 << 20, "a short one needs no room"
    with pytest.raises(RequestError, match=r"can't be stored \(No such file or directory\): send it in smaller parts"):
        receive(io.BytesIO(b"x" * (2 << 20)))


# Records.


def codes(records: Any) -> list[Any]:
    """Return the records, each bad one as its code."""
    return [record.code if isinstance(record, RequestError) else record for record in records]


READ: list[tuple[bytes, str, list[Any], str]] = [
    (b'{"customer": "a"}', JSON, [{"customer": "a"}], "one object"),
    (b'\xef\xbb\xbf{"customer": "a"}', JSON, [{"customer": "a"}], "a byte order mark"),
    (b'{"customer": "a", "instances": null}', JSON, [{"customer": "a"}], "null is absent"),
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
    request = decode(io.BytesIO(body), media)
    assert codes(request.records) == records
    assert codes(request.records) == records, "they can be gone through again"
    assert request.batch == (not body.removeprefix(b"\xef\xbb\xbf").startswith(b'{"customer"'))


REFUSED = [
    (b"", JSON, "empty_body", "The body is empty", "nothing"),
    (b" \n", CSV, "empty_body", "The body is empty", "blanks"),
    (b"customer\n", CSV, "empty_body", "only the header", "a header alone"),
    (b"\xff", JSON, "bad_encoding", "not UTF-8: byte 0", "bytes that are no text"),
    (b"a\n\xc3", CSV, "bad_encoding", "not UTF-8: byte 2", "a character cut off at the end"),
    (
        b"\xef\xbb\xbfab\xe9\n",
        LINES,
        "bad_encoding",
        "not UTF-8: byte 5",
        "counted from the body's begin, mark and all",
    ),
    (
        b"x" * 65_535 + b"\xc3x",
        CSV,
        "bad_encoding",
        "not UTF-8: byte 65535",
        "a character over the border of two pieces",
    ),
    (b'{"k": 1, "k": 2}', JSON, "bad_json", "'k' is given twice", "a key twice"),
    (b"\xef\xbb\xbf\n", CSV, "empty_body", "The body is empty", "a byte order mark alone"),
    (b"{", JSON, "bad_json", "Expecting property name", "half an object"),
    (b"[" * 10_000, JSON, "bad_json", "nested too deeply", "nested 10,000 deep"),
    (b'{"k": ' * 10_000, JSON, "bad_json", "nested too deeply", "objects nested 10,000 deep"),
    (b"9" * 5_000, JSON, "bad_json", "read: a whole number has more than 4300 digits.", "a number of 5,000 digits"),
    (b'{"k": NaN}', JSON, "bad_json", "NaN is no JSON number", "not a number"),
    (b"[1]", JSON, "bad_json", "The body is [1], expected a JSON object", "a list"),
    (b'{"instances": {}}', JSON, "bad_value", "instances is {}, expected a list", "instances that are no list"),
    (b'{"instances": []}', JSON, "bad_value", "instances is empty", "no instances"),
    (b'{"instances": [{}], "k": 1}', JSON, "unknown_field", "no field 'k'", "a field beside instances"),
]


@pytest.mark.parametrize(("body", "media", "code", "words", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_a_body_that_can_not_be_read(body: bytes, media: str, code: str, words: str, why: str) -> None:
    with pytest.raises(CallerError) as caught:
        decode(io.BytesIO(body), media)
    assert error_code(caught.value) == code
    assert STATUS[code] == 400
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


IN_PLACE: list[tuple[bytes, str, list[Any], bool, str]] = [
    # body, media, records, whether a JSON answer is one object, why
    (b'{"k": 1}', JSON, [{"k": 1}], False, "a line alone, of type JSON"),
    (b'{"k": 1}\n', JSON, [{"k": 1}], False, "a line alone, ended"),
    (b'{\n"k": 1\n}\n', JSON, [{"k": 1}], False, "a file that is one object, written over several lines"),
    (b'{"instances": [{"k": 1}, 7]}', JSON, [{"k": 1}, "bad_json"], True, "a file that is a batch"),
    (b'{"k": 1}\n{"k": 2}\n', JSON, [{"k": 1}, {"k": 2}], False, "lines of type JSON: SplitType=Line, MULTI_RECORD"),
    (b'{"k": \n{"k": 2}', JSON, ["bad_json", {"k": 2}], False, "the first of them a bad one"),
    (b'\xff\n{"k": 2}', JSON, ["bad_encoding", {"k": 2}], False, "or no text"),
    (b'{"k": 1}\n\xff', LINES, [{"k": 1}, "bad_encoding"], False, "no text in one line only"),
    (b'{"k": ', JSON, ["bad_json"], False, "a bad line alone"),
    (b'{"instances": []}', JSON, ["bad_value"], False, "a batch of nothing"),
    (b"", JSON, ["bad_json"], False, "a blank line alone, its newline taken off by the platform"),
    (b"\n", JSON, ["bad_json"], False, "a blank line alone"),
    (b"", CSV, ["bad_csv"], False, "a blank line of CSV"),
    (b"\n\n", LINES, ["bad_json", "bad_json"], False, "two blank lines"),
    (b"customer\n", CSV, ["bad_csv"], False, "a header alone, which is a body of its own with SINGLE_RECORD"),
    (b"customer\na", CSV, ["bad_csv", {"customer": "a"}], False, "a header keeps its place: lines pair"),
    (b"a\ncustomer", CSV, [{"customer": "a"}, {"customer": "customer"}], False, "no header but the first line"),
    (b"\xef\xbb\xbfa", CSV, [{"customer": "a"}], False, "a byte order mark"),
    (b"\xef\xbb\xbf", CSV, ["bad_csv"], False, "a byte order mark alone"),
]


@pytest.mark.parametrize(("body", "media", "records", "batch", "why"), IN_PLACE, ids=[why for *_, why in IN_PLACE])
def test_a_body_of_a_transform_job_is_never_refused(
    body: bytes, media: str, records: list[Any], batch: bool, why: str
) -> None:
    request = decode_in_place(io.BytesIO(body), media)
    assert codes(request.records) == records
    assert request.batch == batch


def test_a_header_that_keeps_its_place_says_what_it_is() -> None:
    (error,) = decode_in_place(io.BytesIO(b"customer"), CSV).records
    assert str(error) == "The line is the header, expected a customer id."


@given(st.binary(max_size=60), st.sampled_from([LINES, CSV]))
def test_any_bytes_have_a_record_for_each_line(body: bytes, media: str) -> None:
    lines = body.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").split(b"\n")
    assert len(list(decode_in_place(io.BytesIO(body), media).records)) == len(lines)


@given(st.binary(max_size=60))
def test_any_bytes_of_type_json_have_a_record(body: bytes) -> None:
    assert list(decode_in_place(io.BytesIO(body), JSON).records)


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), min_size=1, max_size=4))
def test_lines_of_type_json_pair_with_their_records(records: list[Record]) -> None:
    body = "\n".join(map(json.dumps, records)).encode()
    assert list(decode_in_place(io.BytesIO(body), JSON).records) == records


# Answers and errors.

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


def standard(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")


SPELLINGS: list[Any] = [
    *(1e-4, 9.999999e-5, 1e-5, 1.5e-5, -1e-5, 1e-6, 1e-7, [1e-7], [0, -1.25e-9], {"a": 1e-10}, 5e-324),
    *(1e15, 1e16, 1.5e16, 1e21, 1e22, 1e23, 1.7976931348623157e308, -0.0, 0.1, 1 / 3, 2**53, 2**63, 2**64, -(2**70)),
    *("\ud800", '\x7f\x00\x1f\n"\\/', "\u2028é𝄞", "x-ray:1e-7", None, [], {}, [[[]]], {"": None}),
]


@pytest.mark.parametrize("value", SPELLINGS, ids=repr)
def test_json_is_spelled_as_by_the_standard_library(value: Any) -> None:
    assert json_bytes(value) == standard(value)
    assert json_bytes({"a": [value, {"b": value}]}) == standard({"a": [value, {"b": value}]})


floats = st.floats(allow_nan=False, allow_infinity=False)
near = st.sampled_from([1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1.0, 1e15, 1e16, 1e17, 1e21])
numbers = floats | st.builds(float.__mul__, near, floats.filter(lambda x: abs(x) < 10)) | st.integers()
texts = st.text(st.characters(), max_size=8) | st.from_regex(r"[:,\[]-?[0-9.]+e-[0-9]+|null", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
)


@settings(max_examples=1000)
@given(values)
def test_any_json_is_spelled_as_by_the_standard_library(value: Any) -> None:
    assert json_bytes(value) == standard(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_a_defect_not_null(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_bytes({"score": [value]})


CODES = [
    # error, code, why
    (BadValue("include.new", "x"), "bad_rule", "what is wrong within a rule is a bad rule"),
    (BadValue("exclude.some", "x", "unknown_field"), "bad_rule", "whatever it is"),
    (BadValue("boost[2].by", "x"), "bad_rule", "or in a list of them"),
    (BadValue("at_most", "x"), "bad_rule", "or the rule itself"),
    (BadValue("included", "x", "unknown_field"), "unknown_field", "a field of a question has its own fault"),
    (BadValue("k", "x"), "bad_value", "such as its value"),
    (BadValue("item", "x", "missing_field"), "missing_field", "or that it is not there"),
    (DataError("x"), "bad_value", "another error of the caller"),
    (BAD, "bad_value", "an error with a code"),
]


@pytest.mark.parametrize(("error", "code", "why"), CODES, ids=[why for *_, why in CODES])
def test_the_code_of_an_error(error: CallerError, code: str, why: str) -> None:
    assert error_code(error) == code
    assert code in STATUS
