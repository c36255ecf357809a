"""The HTTP application by itself; tests/serving/test_http.py asks the same of real processes."""

import json
import logging
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alsriaz.predictor import MOST_MB_AT_ONCE, create_app, execution_parameters
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.questions.tasks import TASKS
from alsriaz.serving.settings import read_settings
from alsriaz.serving.wire import STATUS
from tests.small_models import shop

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"


@pytest.fixture
def client() -> FlaskClient:
    client = create_app(Recommender(Shop(shop().in_memory(), Limits())), read_settings({})).test_client()
    client.application.config["MAX_CONTENT_LENGTH"] = 10_000
    return client


def test_ping_says_that_it_is_ready(client: FlaskClient) -> None:
    response = client.get("/ping")
    assert (response.status_code, response.data) == (200, b"")


TYPES = [
    ('{"customer": "ann"}', JSON, None, JSON, "an object for an object"),
    ('{"instances": [{"customer": "ann"}]}', JSON, None, JSON, "predictions for instances"),
    ('{"customer": "ann"}', LINES, None, LINES, "lines for lines"),
    ("ann", CSV, None, CSV, "CSV for CSV"),
    ("ann", CSV, JSON, JSON, "unless another type is asked for"),
    ('{"customer": "ann"}', JSON, CSV, CSV, "or CSV"),
    ('{"customer": "ann"}', None, "*/*", JSON, "no Content-Type means JSON"),
]


@pytest.mark.parametrize(("body", "kind", "accept", "answered", "why"), TYPES, ids=[why for *_, why in TYPES])
def test_types(client: FlaskClient, body: str, kind: str | None, accept: str | None, answered: str, why: str) -> None:
    headers = {"Accept": accept} if accept else {}
    response = client.post("/invocations", data=body, content_type=kind, headers=headers)
    assert (response.status_code, response.content_type) == (200, answered)
    assert "apple" in response.text


def test_the_type_of_answers_that_leave_it_open_can_be_set() -> None:
    settings = read_settings({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": LINES})
    client = create_app(Recommender(Shop(shop().in_memory(), Limits())), settings).test_client()
    assert client.post("/invocations", data="ann", content_type=CSV).content_type == LINES


ERRORS: list[tuple[str, str, bytes, dict[str, str], str]] = [
    ("POST", "/invocations", b"", {}, "empty_body"),
    ("POST", "/invocations", b"\xff", {}, "bad_encoding"),
    ("POST", "/invocations", b"{", {}, "bad_json"),
    ("POST", "/invocations", b'{"customer": "ann", "kk": 1}', {}, "unknown_field"),
    ("POST", "/invocations", b"{}", {}, "missing_field"),
    ("POST", "/invocations", b'{"customer": "ann", "k": 0}', {}, "bad_value"),
    ("POST", "/invocations", b'{"customer": "ann", "include": {"new": -1}}', {}, "bad_rule"),
    ("POST", "/invocations", b'{"customer": "zoe", "on_unknown": "error"}', {}, "unknown_customer"),
    ("POST", "/invocations", b'{"customer": "ann"}', {"Content-Type": "image/png"}, "unsupported_media_type"),
    ("POST", "/invocations", b'{"customer": "ann"}', {"Accept": "image/png"}, "not_acceptable"),
    ("POST", "/invocations", b'{"task": "popular"}', {"Accept": CSV}, "not_acceptable"),
    ("POST", "/invocations", b"{}", {"Content-Encoding": "gzip"}, "unsupported_media_type"),
    ("POST", "/invocations", b" " * 10_001, {}, "too_large"),
    ("GET", "/invocations", b"", {}, "method_not_allowed"),
    ("DELETE", "/ping", b"", {}, "method_not_allowed"),
    ("GET", "/pingpong", b"", {}, "not_found"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "code"), ERRORS, ids=[f"{e[0]} {e[1]} {e[4]}" for e in ERRORS]
)
def test_errors_have_their_code_and_status(
    client: FlaskClient, method: str, path: str, body: bytes, headers: dict[str, str], code: str
) -> None:
    response = client.open(path, method=method, data=body, headers=headers)
    assert response.content_type == JSON
    error = response.get_json()["error"]
    assert error.keys() == {"code", "message", "field"}
    assert error["code"] == code
    assert response.status_code == STATUS[code]


def test_a_method_that_is_not_allowed_names_those_that_are(client: FlaskClient) -> None:
    response = client.get("/invocations")
    assert response.headers["Allow"] == "POST"
    assert response.get_json()["error"]["message"] == "GET is not for this path: use POST."


def test_a_readable_batch_is_answered_though_every_record_failed(client: FlaskClient) -> None:
    response = client.post("/invocations", json={"instances": [{"k": 0}, 7]})
    assert response.status_code == 200
    assert [answer["error"]["code"] for answer in response.get_json()["predictions"]] == ["missing_field", "bad_json"]


def test_an_unforeseen_error_is_logged_and_opaque(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("/secret/path")

    monkeypatch.setattr(Recommender, "answers", fail)
    with caplog.at_level(logging.ERROR, logger="alsriaz"):
        response = client.post("/invocations", data=json.dumps({"customer": "ann"}))
    assert response.status_code == 500
    assert response.get_json() == {
        "error": {"code": "internal", "message": "The server failed to answer; its log says why.", "field": None}
    }
    assert "ZeroDivisionError: /secret/path" in caplog.text


numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=4) | st.sampled_from(["\ud800", "\0"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
names = st.sampled_from(
    [
        *sorted({"task", *(field.name for task in TASKS.values() for field in task.fields)}),
        *("new", "only", "where", "placement", "purchased", "popular", "customers", "quantity", "date", "by"),
    ]
)
objects = st.dictionaries(names, values | st.dictionaries(names, values, max_size=3), max_size=5)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(objects, st.sampled_from([JSON, LINES, CSV]))
def test_no_value_in_any_field_is_a_defect(client: FlaskClient, asked: dict[str, Any], accept: str) -> None:
    alone = client.post("/invocations", data=json.dumps(asked), headers={"Accept": accept})
    assert alone.status_code < 500, alone.text
    batch = json.dumps({"instances": [asked, {"customer": "ann", "k": 1}]})
    response = client.post("/invocations", data=batch, headers={"Accept": accept})
    if response.status_code == 200:
        assert "apple" in response.text, "one bad record doesn't spoil the others"
    else:
        assert response.status_code == 406


@pytest.mark.parametrize("field", ["customer", "k", "history", "include", "task"])
def test_no_depth_of_nesting_is_a_defect(client: FlaskClient, field: str) -> None:
    for depth in (10, 500, *range(900, 1010, 5), 4_000):
        body = f'{{"{field}": {"[" * depth}{"]" * depth}}}'
        assert client.post("/invocations", data=body).status_code == 400, depth


def test_a_long_answer_is_sent_as_it_is_worked_out(client: FlaskClient) -> None:
    lines = "\n".join(['{"customer": "ann", "k": 5}'] * 300)
    client.application.config["MAX_CONTENT_LENGTH"] = 1 << 20
    whole = client.post("/invocations", data=lines, content_type=LINES)
    assert whole.content_length is not None
    lines = "\n".join([lines] * 20)
    response = client.post("/invocations", data=lines, content_type=LINES)
    assert response.content_length is None, "streamed"
    assert response.text.split("\n") == whole.text.split("\n") * 20


# Batch transform.

TRANSFORMS: list[tuple[dict[str, str], dict[str, Any], str]] = [
    # environ, the answer, why
    ({}, {"MaxConcurrentTransforms": 4, "MaxPayloadInMB": 1}, "two at a time for each of two workers"),
    ({"ALSRIAZ_THREADS": "1"}, {"MaxConcurrentTransforms": 2, "MaxPayloadInMB": 1}, "one, where it has one thread"),
    ({"ALSRIAZ_WORKERS": "256"}, {"MaxConcurrentTransforms": 100, "MaxPayloadInMB": 1}, "no more than the platform's"),
    (
        {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"},
        {"MaxConcurrentTransforms": 4, "MaxPayloadInMB": 6},
        "what the job has is given back",
    ),
    (
        {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6", "ALSRIAZ_MAX_BODY_MB": "2"},
        {"MaxConcurrentTransforms": 4, "MaxPayloadInMB": 2},
        "but no body that we would refuse",
    ),
    (
        {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"},
        {"MaxConcurrentTransforms": 4, "MaxPayloadInMB": 1},
        "no limit of ours is none to the platform, to which 0 means something else",
    ),
    (
        {
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "50",
            "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
        },
        {"MaxConcurrentTransforms": 50, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2},
        "smaller bodies for many at a time",
    ),
    (
        {"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "0"},
        {"MaxConcurrentTransforms": 4, "MaxPayloadInMB": 1},
        "0 leaves it to us",
    ),
]


@pytest.mark.parametrize(("environ", "expected", "why"), TRANSFORMS, ids=[why for *_, why in TRANSFORMS])
def test_execution_parameters(environ: dict[str, str], expected: dict[str, Any], why: str) -> None:
    given = {"ALSRIAZ_WORKERS": "2"} | environ
    assert execution_parameters(read_settings(given)) == {"BatchStrategy": "MULTI_RECORD"} | expected


@pytest.mark.parametrize("workers", range(1, 257, 5))
def test_the_platform_s_limit_is_kept(workers: int) -> None:
    answer = execution_parameters(read_settings({"ALSRIAZ_WORKERS": str(workers)}))
    at_once, payload = answer["MaxConcurrentTransforms"], answer["MaxPayloadInMB"]
    assert isinstance(at_once, int)
    assert isinstance(payload, int)
    assert 1 <= at_once * payload <= MOST_MB_AT_ONCE
