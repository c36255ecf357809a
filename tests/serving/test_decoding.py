import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.errors import RequestError
from alsriaz.serving.wire import decode, decode_in_place
from alsriaz.serving.wire import CSV, JSON, LINES
from alsriaz.serving.wire import STATUS, Record


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
    with pytest.raises(RequestError) as caught:
        decode(io.BytesIO(body), media)
    assert caught.value.code == code
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
