import pytest

from alsriaz.errors import RequestError
from alsriaz.serving.media import CSV, JSON, LINES, answer_type, request_type

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
